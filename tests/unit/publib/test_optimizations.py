"""Optimisations that can be switched off: their names, and what takes their place."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from simspark import SparkConf
from simspark.driver.conf import driver_settings
from simspark.publib import optimizations
from simspark.publib.errors import ConfigError

pytestmark = pytest.mark.unit
PACKAGE = Path(optimizations.__file__).parents[1]


@pytest.fixture(autouse=True)
def all_on_afterwards():
    yield
    optimizations.do_without(frozenset())


def test_what_is_asked_for_is_what_has_a_name():
    asked = re.compile(r'\buses\("([^"]*)"\)')
    assert set(chain.from_iterable(asked.findall(file.read_text()) for file in PACKAGE.rglob("*.py"))) == set(
        optimizations.NAMES)


def test_names_stand_between_commas():
    assert optimizations.names_in(" sums, ranges ,") == {"sums", "ranges"}
    assert optimizations.names_in("") == frozenset()


def test_a_process_goes_without_what_it_was_told_last():
    assert optimizations.uses("sums")
    optimizations.do_without(frozenset({"sums"}))
    assert not optimizations.uses("sums") and optimizations.uses("ranges")
    optimizations.do_without(frozenset({"ranges"}))
    assert optimizations.uses("sums") and not optimizations.uses("ranges")


def test_a_setting_with_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError) as caught:
        driver_settings(SparkConf(False).set(optimizations.SETTING, "sums,magic"))
    assert str(caught.value) == (f"{optimizations.SETTING} is 'sums,magic', but must be some of "
                                 f"{', '.join(optimizations.NAMES)}. (SS101)")
