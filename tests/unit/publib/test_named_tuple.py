"""Named tuples: what ``typing`` makes of the same body is what they are compared with."""

from __future__ import annotations

import builtins
import copy
import pickle
import sys
import typing

import pytest

from simspark.publib.named_tuple import NamedTuple


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 0
    name: str = "here"

    @property
    def length(self):
        return self.x + self.y


class Known(typing.NamedTuple):
    x: int
    y: int = 0
    name: str = "here"


class Nothing(NamedTuple):
    """No field."""


class Special(Point):
    """Derived from one: no further field."""


GIVEN = [((1,), {}), ((1, 2), {}), ((1, 2, "there"), {}), ((), {"x": 1}), ((1,), {"name": "there"})]


@pytest.mark.parametrize(("values", "named"), GIVEN)
def test_it_is_made_as_typings_is(values, named):
    made, known = Point(*values, **named), Known(*values, **named)
    assert made == known and hash(made) == hash(known)
    assert made._asdict() == known._asdict()
    assert repr(made) == repr(known).replace("Known", "Point")
    assert (made.x, made.y, made.name) == tuple(known)


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3, 4), {}), ((1,), {"z": 2}), ((1,), {"x": 2})])
def test_it_refuses_what_typings_refuses(values, named):
    for kind in (Known, Point):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_what_is_known_of_the_class():
    assert Point._fields == Point.__match_args__ == Known._fields
    assert Point._field_defaults == Known._field_defaults
    assert Point.__doc__ == "A place."
    assert typing.get_type_hints(Point) == typing.get_type_hints(Known)
    assert Nothing._fields == () and Nothing() == ()


def test_changed_copied_and_sent_it_stays_of_its_class():
    point = Point(1)
    assert point._replace(y=5) == (1, 5, "here") and type(point._replace(y=5)) is Point
    assert Point._make([1, 2, "a"]) == (1, 2, "a")
    for again in (copy.copy(point), pickle.loads(pickle.dumps(point)), pickle.loads(pickle.dumps(point, 5))):
        assert again == point and type(again) is Point


def test_it_cannot_be_changed_wrongly():
    with pytest.raises(ValueError, match="unexpected"):
        Point(1)._replace(z=2)
    with pytest.raises(TypeError, match="Expected 3"):
        Point._make([1])
    with pytest.raises(AttributeError):
        Point(1).x = 2
    with pytest.raises(AttributeError):
        Point(1).more = 2


def test_methods_patterns_and_derived_classes_work():
    assert Point(1, 2).length == 3
    match Point(1, 2):
        case Point(1, y):
            assert y == 2
    assert Special(4, 5) == (4, 5, "here") and type(Special(4)) is Special and Special(4).length == 4
    assert type(Point(1)) is Point and type(pickle.loads(pickle.dumps(Special(1)))) is Special


def test_its_instances_are_as_small_as_tuples():
    assert sys.getsizeof(Point(1, 2, "a")) == sys.getsizeof(Known(1, 2, "a"))


def test_making_a_class_compiles_nothing(monkeypatch):
    compiled = []
    for name in ("eval", "exec", "compile"):
        monkeypatch.setattr(
            builtins, name, lambda *given, known=getattr(builtins, name): compiled.append(1) or known(*given)
        )

    class Made(NamedTuple):
        rows: tuple[int, ...]
        name: str = ""

    assert not compiled
    assert Made((1,)) == ((1,), "")
    assert Made((2,)) == ((2,), "")
    assert len(compiled) == 1  # its constructor, once
