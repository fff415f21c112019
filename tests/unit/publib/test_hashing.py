"""portable_hash: the same for equal keys, in every process."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib.hashing import portable_hash

ROOT = str(Path(__file__).parents[3])
NAN = float("nan")


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True)
class Frozen:
    name: str
    value: Any


class Plain:
    pass


def in_process(seed: str, expression: str) -> str:
    code = f"from simspark.publib.hashing import *\nprint({expression})"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": ROOT, "PYTHONHASHSEED": seed})
    return done.stdout.strip()


def test_known_values() -> None:
    assert portable_hash(None) == 0
    assert portable_hash((None, 1)) & 0xFFFFFFFF == 219750521
    assert portable_hash(()) == 0x345678
    assert (portable_hash(7), portable_hash(-1), portable_hash(2.5)) == (7, -2, hash(2.5))
    assert portable_hash("a") == hash("a") and portable_hash(b"a") == hash(b"a")


scalars = st.one_of(st.none(), st.integers(), st.booleans(), st.floats(allow_nan=False), st.text(), st.binary())
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


@settings(deadline=None)
@given(key=keys)
def test_tuples_follow_the_documented_arithmetic(key: Any) -> None:
    def expected(value: Any) -> int:
        if not isinstance(value, tuple):
            return 0 if value is None else hash(value)
        total = 0x345678
        for item in value:
            total = ((total ^ expected(item)) * 1000003) & sys.maxsize
        return total ^ len(value)

    assert portable_hash(key) == expected(key)


@pytest.mark.parametrize("equal", [
    (1, 1.0, True, Decimal(1), Fraction(1), np.int64(1), np.float32(1), 1 + 0j),
    ((1, None), (1.0, None), Pair(True, None)),
    (frozenset([None, (1, None)]), frozenset([(True, None), None])),
    (frozenset(["a", (1, 2)]), frozenset([(1.0, 2), "a"])),
    (Frozen("a", None), Frozen("a", None)),
])
def test_equal_keys_have_equal_hashes(equal: tuple[Any, ...]) -> None:
    assert len({portable_hash(key) for key in equal}) == 1


@pytest.mark.parametrize("make", [float, np.float32, np.float64, Decimal, lambda text: complex(text, 1)])
def test_every_nan_has_the_same_hash(make: Any) -> None:
    made = make(NAN if "lambda" in repr(make) else "nan")
    assert portable_hash(made) == 0
    assert portable_hash((NAN, made)) == portable_hash((float("nan"), float("nan")))


@pytest.mark.parametrize("key", [Plain(), Plain, len, (1, Plain()), frozenset([Plain()]), object(),
                                 Frozen("a", Plain())])
def test_a_hash_that_is_an_address_is_refused_by_name(key: Any) -> None:
    with pytest.raises(TypeError, match=r"(Plain|type|builtin_function_or_method|object) cannot be a key"):
        portable_hash(key)


@pytest.mark.parametrize("key", [[1], {}, (1, [2]), np.zeros(2)])
def test_what_cannot_be_hashed_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        portable_hash(key)


def test_other_hashable_types_keep_their_hash() -> None:
    day = dt.date(2020, 1, 2)
    assert portable_hash(day) == hash(day)


def test_two_interpreters_agree_and_the_probe_tells_another_seed() -> None:
    expression = "[portable_hash(k) for k in (None, 'a', b'b', ('a', None, (2.5, None)), frozenset([None, 'x']))]"
    assert in_process("0", expression) == in_process("0", expression) != in_process("1", expression)
    assert in_process("0", "hash_probe() == STANDARD_HASH_PROBE") == "True"
    assert in_process("1", "hash_probe() == STANDARD_HASH_PROBE") == "False"
