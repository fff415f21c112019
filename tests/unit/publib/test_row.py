from __future__ import annotations

import copy
import pickle

import pytest

from simspark.publib.row import lines_between, text_row
from simspark.sql import Row

pytestmark = pytest.mark.unit

ANN = Row(name="ann", age=4)
Person = Row("name", "age")


def test_a_row_is_read_by_name_place_and_attribute():
    assert (ANN.name, ANN["age"], ANN[0], ANN[:1], len(ANN)) == ("ann", 4, "ann", ("ann",), 2)
    name, age = ANN
    assert (name, age) == ANN == Person("ann", 4)


def test_names_make_rows():
    assert repr(Person) == "<Row('name', 'age')>"
    assert repr(Person("bob", 5)) == "Row(name='bob', age=5)"
    assert repr(Person("bob")) == "Row(name='bob')"
    with pytest.raises(ValueError, match=r"Can not create Row with fields <Row\('name', 'age'\)>, expected 2 values"):
        Person(1, 2, 3)


def test_in_asks_for_a_name_where_there_are_names():
    assert "name" in ANN and "ann" not in ANN
    assert "name" in Person


def test_what_is_not_there_is_said_as_for_a_tuple_or_an_attribute():
    with pytest.raises(AttributeError):
        ANN.home
    with pytest.raises(ValueError, match="home"):
        ANN["home"]
    with pytest.raises(KeyError, match="age"):
        Person("bob")["age"]
    with pytest.raises(IndexError):
        ANN[7]


def test_a_row_is_read_only():
    with pytest.raises(RuntimeError, match="Row is read-only"):
        ANN.name = "x"


def test_names_and_bare_values_do_not_mix():
    with pytest.raises(ValueError, match="Can not use both args and kwargs to create Row"):
        Row(1, name="x")


def test_a_row_becomes_a_dictionary():
    assert ANN.asDict() == {"name": "ann", "age": 4}
    nested = Row(home=Row(town="Rome"), pets=[Row(name="rex")], by={"x": Row(y=1)})
    assert nested.asDict()["home"] == Row(town="Rome")
    assert nested.asDict(True) == {"home": {"town": "Rome"}, "pets": [{"name": "rex"}], "by": {"x": {"y": 1}}}
    with pytest.raises(TypeError, match="Cannot convert a Row class into dict"):
        Person.asDict()


@pytest.mark.parametrize("row", [ANN, Person, Person("bob", 5), Row()], ids=repr)
def test_a_row_travels_with_its_names(row):
    for other in (pickle.loads(pickle.dumps(row)), copy.copy(row), copy.deepcopy(row)):
        assert (type(other), other, repr(other)) == (Row, row, repr(row))


def test_a_method_of_tuples_hides_a_field_of_its_name():
    assert Row(count=3)["count"] == 3
    assert callable(Row(count=3).count)


def test_a_line_is_a_row_of_its_value():
    assert text_row("to be") == Row(value="to be")


def test_a_separator_at_the_end_begins_no_line():
    cut = lines_between(";")
    assert [cut("a;b"), cut("a;b;"), cut("a;;b")] == [["a", "b"], ["a", "b"], ["a", "", "b"]]
    assert [cut(";"), cut("")] == [[""], []]
