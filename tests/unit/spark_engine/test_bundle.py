"""What Spark's workers get of simspark: all of it, and of what tasks mention nothing that they lack."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from simspark.publib.errors import UserError
from simspark.publib.spark_tasks import spark_files, spark_task_context
from simspark.spark_engine.bundle import ModulesBesideScript, write_bundle, write_package

pytestmark = pytest.mark.unit

MENTIONED = (
    "Accumulator", "AccumulatorParam", "Broadcast", "ResultIterable", "StatCounter", "StorageLevel", "TaskContext",
    "BarrierTaskContext",
    "BarrierTaskContext", "SimsparkError", "SparkConf", "SparkFiles",
)  # fmt: skip


def test_what_closures_mention_works_from_the_zip_with_the_standard_library_alone(tmp_path):
    bundle = write_bundle(str(tmp_path))
    code = f"import sys; sys.path.append({bundle!r}); from simspark import {', '.join(MENTIONED)}; print(Broadcast)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "<class 'simspark.publib.lineage.shared.Broadcast'>\n")


def test_a_package_without_an_init_file_can_be_imported_from_its_zip(tmp_path):
    (tmp_path / "engine" / "parts").mkdir(parents=True)
    (tmp_path / "engine" / "parts" / "valves.py").write_text("COUNT = 16")
    (tmp_path / "out").mkdir()
    bundle = write_package(str(tmp_path / "out"), str(tmp_path / "engine"), "engine.zip")
    code = f"import sys; sys.path.append({bundle!r}); from engine.parts import valves; print(valves.COUNT)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "16\n")


class ContextOnSpark:
    """Keeps what is added, and has settings."""

    def __init__(self, **settings):
        self._conf = settings
        self.added = []

    def addPyFile(self, path):
        with zipfile.ZipFile(path) as archive:
            self.added.append([name for name in archive.namelist() if not name.endswith("/")])


@pytest.fixture
def beside(monkeypatch, tmp_path):
    """A module beside the script, imported."""
    (tmp_path / "valves_beside.py").write_text("COUNT = 16")
    monkeypatch.setattr("simspark.driver.local_modules.script_folder", lambda: str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("valves_beside")
    yield tmp_path
    del sys.modules["valves_beside"]


def test_modules_beside_the_script_are_added_once(beside, tmp_path_factory):
    context = ContextOnSpark()
    modules = ModulesBesideScript(context, str(tmp_path_factory.mktemp("out")))
    modules.refresh()
    modules.refresh()
    assert context.added == [["valves_beside.py"]]


def test_modules_beside_the_script_stay_where_the_program_wants_that(beside):
    context = ContextOnSpark(**{"spark.simspark.ship.localModules": "false"})
    ModulesBesideScript(context, "/nowhere").refresh()
    assert context.added == []


def test_modules_that_are_too_large_are_refused_with_what_to_do(beside):
    context = ContextOnSpark(**{"spark.simspark.ship.maxSize": "5b"})
    with pytest.raises(UserError, match=r"The modules beside the script are .* more than spark\.simspark\.ship"):
        ModulesBesideScript(context, "/nowhere").refresh()


def test_where_spark_is_not_there_is_no_task_of_sparks(monkeypatch):
    for module in ("pyspark.taskcontext", "pyspark.core.files"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert spark_task_context() is None
    assert spark_files() is None
