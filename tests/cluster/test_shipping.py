"""Files, archives and modules on their way to executors that do not see the driver's: copied once, verified, swept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from simspark import SparkConf, SparkContext, SparkFiles
from simspark.testing import LocalCluster

from .conftest import leftovers, wait_until

pytestmark = pytest.mark.cluster

LARGE = 6 << 20


@pytest.fixture
def cluster(request: pytest.FixtureRequest, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """A master and as many workers as the parameter says, each with one executor."""
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with LocalCluster(getattr(request, "param", 2), 1, 512) as made:
        yield made


def conf() -> SparkConf:
    """Executors that have all of the driver's files over the network; the tests' own modules stay here."""
    made = SparkConf().set("spark.executor.memory", "512m").set("spark.simspark.blocks.overNetwork", True)
    return made.set("spark.simspark.ship.localModules", False)


def large_file(tmp_path: Path) -> str:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(LARGE))
    return str(path)


def read_large(_: int) -> tuple[str, bytes]:
    path = SparkFiles.get("large.bin")
    with open(path, "rb") as file:
        return path, file.read()


def seen(sc: SparkContext, partitions: int = 8) -> tuple[set[str], set[bytes]]:
    """At which paths tasks find the large file, and with which contents."""
    rows = sc.parallelize(range(partitions), partitions).map(read_large).collect()
    return {path for path, _ in rows}, {content for _, content in rows}


def test_executors_of_a_machine_copy_a_file_once_below_their_own_directory(scratch: Path, tmp_path: Path) -> None:
    path = large_file(tmp_path)
    with SparkContext("local-cluster[2,2,512]", conf=conf()) as sc:
        sc.addFile(path)
        paths, contents = seen(sc)
        assert contents == {Path(path).read_bytes()}
        assert len(paths) == len({path.rpartition("/userfiles/")[0] for path in paths}) <= 2
        assert SparkFiles.get("large.bin") not in paths
        assert not [file for file in leftovers(scratch) if file.endswith(".new")]


def test_an_executor_that_joins_later_has_what_was_added_before(cluster: LocalCluster, tmp_path: Path) -> None:
    path = large_file(tmp_path)
    with SparkContext(conf=conf()) as sc:
        sc.addFile(path)
        first, _ = seen(sc)
        cluster.workers[0].kill()
        cluster.workers[1].kill()
        cluster.add_workers(1)
        later, contents = seen(sc)
        assert contents == {Path(path).read_bytes()}
        assert not later & first


def test_an_executor_killed_while_it_copies_costs_nothing(scratch: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SIMSPARK_FAILPOINTS", f"p9=kill,role=executor,once={tmp_path}/claim")
    path = large_file(tmp_path)
    with SparkContext("local-cluster[2,1,512]", conf=conf()) as sc:
        sc.addFile(path)
        _, contents = seen(sc)
        assert (tmp_path / "claim").exists()
        assert contents == {Path(path).read_bytes()}


@pytest.mark.parametrize("cluster", [0], indirect=True)
def test_a_worker_killed_while_its_executor_copies_costs_nothing(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = tmp_path / "claim"
    monkeypatch.setenv("SIMSPARK_FAILPOINTS", f"p9=stop,role=executor,once={claim}")
    cluster.add_workers(2)
    path = large_file(tmp_path)

    def kill_its_worker() -> None:
        wait_until(lambda: claim.exists() and claim.read_text(), "an executor that copies")
        executor = psutil.Process(int(claim.read_text().split()[-1]))
        workers = {worker.pid for worker in cluster.workers}
        next(parent for parent in executor.parents() if parent.pid in workers).kill()

    with SparkContext(conf=conf()) as sc:
        sc.addFile(path)
        killer = threading.Thread(target=kill_its_worker)
        killer.start()
        paths, contents = seen(sc)
        killer.join()
        assert contents == {Path(path).read_bytes()}
        assert len(paths) == 1


def application_files(cluster: LocalCluster, worker: int, pattern: str) -> list[Path]:
    return sorted(Path(cluster.directory, str(worker)).glob(f"worker-*/app-*/{pattern}"))


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_damaged_copy_on_another_machine_is_not_believed(cluster: LocalCluster, tmp_path: Path) -> None:
    path = large_file(tmp_path)
    with SparkContext(conf=conf()) as sc:
        sc.addFile(path)
        assert len(seen(sc)[0]) == 1
        (copy,) = (file for file in application_files(cluster, 0, "shared-*") if file.suffix == "")
        with open(copy, "r+b") as file:
            file.seek(LARGE // 2)
            byte = file.read(1)[0]
            file.seek(LARGE // 2)
            file.write(bytes([byte ^ 1]))
        cluster.add_workers(1)

        def both() -> bool:
            paths, contents = seen(sc, 16)
            assert contents == {Path(path).read_bytes()}
            return len(paths) == 2

        wait_until(both, "tasks on both workers")


def test_a_file_that_no_executor_can_have_fails_the_job_by_name(scratch: Path, tmp_path: Path) -> None:
    with SparkContext("local-cluster[1,1,512]", conf=conf()) as sc:
        sc.addFile(large_file(tmp_path))
        (block,) = (file for file in scratch.glob("local-*/shared-*") if file.suffix == "")
        block.unlink()
        with pytest.raises(Exception, match=rf"could not read {block.name} of driver"):
            sc.parallelize([1], 1).map(read_large).collect()


PROGRAM = """
import sys
from simspark import SparkConf, SparkContext

conf = SparkConf().set("spark.executor.memory", "512m").set("spark.simspark.blocks.overNetwork", True)
with SparkContext(conf=conf, pyFiles=[sys.argv[1]]) as sc:
    def value(_):
        import shared_word
        return shared_word.VALUE
    for _ in range(3):
        print(*sorted(set(sc.parallelize(range(4), 4).map(value).collect())))
"""


def test_two_applications_have_modules_of_the_same_name_each_its_own(cluster: LocalCluster, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    programs = []
    for word in ("one", "two"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "shared_word.py").write_text(f"VALUE = {word!r}")
        command = [sys.executable, str(script), str(tmp_path / word / "shared_word.py")]
        programs.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    assert [program.communicate(timeout=90)[0].split() for program in programs] == [["one"] * 3, ["two"] * 3]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("master", ["local[1]", "local-cluster[1,1,512]"])
def test_settings_and_constructor_name_files_archives_and_modules(master: str, tmp_path: Path) -> None:
    import zipfile

    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    for name in ("shared_c", "shared_d"):
        (tmp_path / f"{name}.py").write_text(f"VALUE = {name!r}")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("e.txt", "e")
    settings = conf().set("spark.files", f"{tmp_path}/a.txt,{tmp_path}/b.txt")
    settings.set("spark.archives", f"{tmp_path}/e.zip#e").set("spark.submit.pyFiles", f"{tmp_path}/shared_c.py")

    def found(_: int) -> list[str]:
        from importlib import import_module

        values = [import_module(name).VALUE for name in ("shared_c", "shared_d")]
        return [open(SparkFiles.get(name)).read() for name in ("a.txt", "b.txt", "e/e.txt")] + values  # noqa: SIM115

    before = list(sys.path)
    with SparkContext(master, conf=settings, pyFiles=[f"{tmp_path}/shared_d.py"]) as sc:
        assert sc.parallelize([1], 1).map(found).collect() == [["a.txt", "b.txt", "e", "shared_c", "shared_d"]]
    assert sys.path == before


@pytest.mark.usefixtures("scratch")
def test_a_context_whose_files_are_missing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no .*/nope\.py"):
        SparkContext("local[1]", pyFiles=[f"{tmp_path}/nope.py"])
    with SparkContext("local[1]") as sc:
        assert sc.parallelize([1, 2], 1).sum() == 3


MAIN = """
import sys
from simspark import SparkConf, SparkContext
import engineering
from helpers.deep import words

conf = SparkConf().set("spark.executor.memory", "512m")
conf.setAll(pair.split("=") for pair in sys.argv[1:])

def use(x):
    import engineering.valves
    return engineering.scale(x), words.say(), engineering.valves.COUNT, "modules-" in engineering.__file__

with SparkContext(conf=conf) as sc:
    rows = sc.parallelize(range(4), 4).map(engineering.scale).collect()
    print(rows, flush=True)
    print(*sorted(set(sc.parallelize([2, 2], 2).map(use).collect())), flush=True)
"""
FILES = {
    "main.py": MAIN,
    "engineering/__init__.py": "def scale(x):\n    return x * 10\n",
    "engineering/valves.py": "COUNT = 16\n",
    "helpers/deep/words.py": "def say():\n    return 'hello'\n",
}
EXPECTED = "[0, 10, 20, 30]\n(20, 'hello', 16, {copied})\n"


def project(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.py"


def run_program(command: list[str], **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, **more)
    return done.stdout if done.returncode == 0 else f"{done.stdout}{done.stderr}"


def test_modules_beside_the_script_are_imported_where_they_are_on_the_same_machine(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    assert run_program([sys.executable, str(project(tmp_path))]) == EXPECTED.format(copied=False)


def test_sent_modules_win_over_the_same_paths_of_another_machine(cluster: LocalCluster, tmp_path: Path) -> None:
    command = [sys.executable, str(project(tmp_path)), "spark.simspark.blocks.overNetwork=true"]
    assert run_program(command) == EXPECTED.format(copied=True)


def test_modules_that_are_too_large_fail_the_job_where_they_are_needed(cluster: LocalCluster, tmp_path: Path) -> None:
    command = [sys.executable, str(project(tmp_path)), "spark.simspark.ship.maxSize=50"]
    assert run_program(command) == EXPECTED.format(copied=False)
    assert "the largest files: " in run_program([*command, "spark.simspark.blocks.overNetwork=true"])


def may_have_a_view_of_its_own() -> bool:
    try:
        return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def elsewhere(folder: Path, source: Path, *arguments: str) -> str:
    """The output of the program, run where nobody else sees the folder that it and its scratch files are in."""
    script = f'mount -t tmpfs none {folder} && cp -r {source}/. {folder} && cd {folder} && exec "$0" main.py "$@"'
    return run_program(["unshare", "-m", "sh", "-ec", script, sys.executable, *arguments,
                        f"spark.local.dir={folder}/scratch"])  # fmt: skip


@pytest.mark.skipif(not may_have_a_view_of_its_own(), reason="only root can mount a folder that others do not see")
def test_workers_that_do_not_see_the_scripts_folder_have_its_modules(cluster: LocalCluster, tmp_path: Path) -> None:
    project(tmp_path / "source")
    (tmp_path / "seen").mkdir()
    seen_output = elsewhere(tmp_path / "seen", tmp_path / "source")
    assert seen_output == EXPECTED.format(copied=True)
    refused = elsewhere(tmp_path / "seen", tmp_path / "source", "spark.simspark.ship.localModules=false")
    assert "has no module 'engineering' (your script has it at ./engineering)." in refused
    assert 'Ship it: sc.add_path("engineering")' in refused


RELOADING = """
import importlib, sys, pathlib
from simspark import SparkConf, SparkContext
sys.dont_write_bytecode = True
import changing

conf = SparkConf().set("spark.simspark.blocks.overNetwork", sys.argv[2])
with SparkContext(sys.argv[1], conf=conf) as sc:
    for value in (1, 22, 333):
        pathlib.Path(changing.__file__).write_text(f"def value(x):\\n    return {value}\\n")
        importlib.reload(changing)
        print(sorted(set(sc.parallelize(range(4), 4).map(changing.value).collect())), flush=True)
"""


@pytest.mark.parametrize("over_network", ["false", "true"])
@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
@pytest.mark.usefixtures("scratch")
def test_a_module_that_was_changed_and_reloaded_is_the_new_one_in_new_jobs(
    master: str, over_network: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(RELOADING)
    (tmp_path / "changing.py").write_text("def value(x):\n    return 0\n")
    assert run_program([sys.executable, str(tmp_path / "main.py"), master, over_network]) == "[1]\n[22]\n[333]\n"


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_large_captured_value_travels_once_for_all_stages_and_jobs(cluster: LocalCluster) -> None:
    value = os.urandom(LARGE)
    with SparkContext(conf=conf()) as sc:
        rows = sc.parallelize(range(8), 8)
        for step in range(3):
            pairs = rows.map(lambda x, step=step: (value[x] % 2, len(value) + step))
            assert dict(pairs.reduceByKey(lambda a, b: max(a, b, len(value))).collect()).popitem()[1] == LARGE + step
        copies = [file for file in application_files(cluster, 0, "broadcast-*") if file.suffix == ""]
        assert len(copies) == 1
        assert not application_files(cluster, 0, "program-*")
