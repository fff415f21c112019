"""Every public name of PySpark's RDD API is here, under the same module, with the same parameters and defaults.

What PySpark has is kept in ``pyspark_names.json``; where PySpark is installed the list is checked against it.
"""

from __future__ import annotations

import sys

import pytest

from . import pyspark_names

pytestmark = pytest.mark.unit

STORED = pyspark_names.stored()
OURS = pyspark_names.described("simspark")

MADE_BY_THE_CONTEXT = "PySpark's wraps objects of Java; both are made by a context only"
NONE_IS_NO_CALL = "None sorts by the key itself without a call a row; any function may be given, as in PySpark"
EXCEPTIONS = {
    "rdd.RDD.__init__": MADE_BY_THE_CONTEXT,
    "broadcast.Broadcast.__init__": MADE_BY_THE_CONTEXT,
    "conf.SparkConf.__init__": "PySpark's _jvm and _jconf are objects of Java",
    "rdd.RDD.sortByKey": NONE_IS_NO_CALL,
    "rdd.RDD.repartitionAndSortWithinPartitions": NONE_IS_NO_CALL,
}
"""Differences that are meant, each with its reason."""

MEMBERS = [
    (kind, name, text)
    for kind, members in STORED["classes"].items()
    for name, text in members.items()
    if f"{kind}.{name}" not in EXCEPTIONS
]


@pytest.mark.parametrize(("kind", "name", "text"), MEMBERS, ids=[f"{kind}.{name}" for kind, name, _ in MEMBERS])
def test_a_public_member_has_pysparks_kind_parameters_and_defaults(kind, name, text):
    assert OURS["classes"][kind].get(name) == text


@pytest.mark.parametrize("function", STORED["functions"])
def test_a_public_function_has_pysparks_parameters_and_defaults(function):
    assert OURS["functions"].get(function) == STORED["functions"][function]


@pytest.mark.parametrize("module", STORED["modules"])
def test_a_module_has_pysparks_public_names(module):
    assert set(STORED["modules"][module]) <= set(OURS["modules"][module])


def test_every_exception_is_still_a_difference():
    stored = {f"{kind}.{name}": text for kind, members in STORED["classes"].items() for name, text in members.items()}
    ours = {f"{kind}.{name}": text for kind, members in OURS["classes"].items() for name, text in members.items()}
    assert not [name for name in EXCEPTIONS if name not in ours or ours[name] == stored[name]]


def test_the_kept_list_is_what_pyspark_has():
    pyspark = pytest.importorskip("pyspark")
    if STORED["version"].partition(".")[0] != pyspark.__version__.partition(".")[0]:
        pytest.skip(f"the list is of PySpark {STORED['version']}, and {pyspark.__version__} is installed")
    found = pyspark_names.described("pyspark")
    stale = {part: sorted(differing(STORED[part], found[part])) for part in found}
    assert not any(stale.values()), f"{stale}: run {sys.executable} tests/api/pyspark_names.py"


def differing(kept, found):
    return [name for name in {*kept, *found} if kept.get(name) != found.get(name)]
