from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import simspark

pytestmark = pytest.mark.unit

PACKAGE = Path(simspark.__file__).parent
OUR_OWN = {"testing", "_version"}


def after_import(statement):
    return subprocess.run([sys.executable, "-c", f"import sys, simspark; {statement}"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip


def test_every_name_is_there_and_is_what_its_module_has():
    for name in simspark.__all__:
        assert getattr(simspark, name) is not None
    assert set(simspark._HOME) - set(simspark.__all__) == {"Row"}  # as in PySpark, whose __all__ lacks it, too


def test_modules_with_pysparks_names_are_there_without_an_import_of_their_own():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - OUR_OWN - {"__init__"} | {"core", "resource", "sql"}
    assert modules == set(simspark._MODULES)
    assert after_import("print(simspark.accumulators.AccumulatorParam is simspark.AccumulatorParam)") == "True\n"


def test_an_import_loads_nothing():
    assert after_import("print([name for name in sys.modules if name.startswith('simspark.')])") == (
        "['simspark._version']\n"
    )


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match="module 'simspark' has no attribute 'Dataframe'"):
        simspark.Dataframe


@pytest.mark.parametrize("module", ["rdd", "context", "files", "broadcast", "status"])
def test_what_pyspark_4_keeps_in_core_is_the_same(module):
    core, top = import_module(f"simspark.core.{module}"), import_module(f"simspark.{module}")
    assert core.__all__ == top.__all__
    assert all(getattr(core, name) is getattr(top, name) for name in core.__all__)
