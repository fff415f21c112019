"""What a user can get wrong: one clear error of a named type that says what to do, and nothing is lost."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from simspark import AccessRefused, ConfigError, NoMaster, NotSerializable, SparkConf, SparkContext
from simspark.driver.local_cluster import LocalCluster
from simspark.driver.master_url import LocalClusterMaster
from simspark.publib.wire.keys import KeyRing

pytestmark = pytest.mark.cluster


@pytest.fixture
def local(scratch: Path) -> SparkContext:
    with SparkContext("local[1]", "bad input") as context:
        yield context


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys that no master knows."""
    directory = tmp_path / "keys"
    KeyRing(str(directory)).ensure()
    monkeypatch.setenv("SIMSPARK_PATHS_KEYS", str(directory))
    return directory


@pytest.mark.parametrize("url", ["locl[2]", "local[0]", "simspark://", "simspark://h:port", "local-cluster[1,2]"])
def test_a_url_that_is_none_is_refused_with_the_forms_there_are(url: str) -> None:
    with pytest.raises(ConfigError, match=r"local\[|host:port|at least 1"):
        SparkContext(url)


def test_where_nobody_listens_the_error_says_how_to_start_a_master(scratch: Path, keys: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NoMaster, match=r"connection refused.*simspark-master start"):
        SparkContext(f"simspark://127.0.0.1:{port}")


def test_a_name_that_does_not_resolve_is_told_from_a_master_that_is_down(scratch: Path, keys: Path) -> None:
    with pytest.raises(NoMaster, match=r"nowhere\.invalid"):
        SparkContext("simspark://nowhere.invalid:7077")


def test_a_key_that_the_master_does_not_know_is_refused(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = LocalCluster(str(scratch / "c"), LocalClusterMaster(1, 1, 512))
    try:
        stranger = KeyRing(str(tmp_path / "keys")).ensure()
        server = KeyRing(cluster.keys_dir).server()
        # The right server key, a client key of our own: what somebody has who only saw the master's public key.
        (Path(stranger.directory) / "server.key").write_text(f"{server.public}\n{server.secret}\n")
        monkeypatch.setenv("SIMSPARK_PATHS_KEYS", stranger.directory)
        with pytest.raises(AccessRefused, match="simspark keys issue --role driver"):
            SparkContext(cluster.url)
        monkeypatch.setenv("SIMSPARK_PATHS_KEYS", cluster.keys_dir)
        with SparkContext(cluster.url, conf=SparkConf().set("spark.executor.memory", "512m")) as sc:
            assert sc.parallelize([1, 2]).sum() == 3
    finally:
        cluster.stop()
        subprocess.run(["rm", "-rf", str(scratch / "c")], check=True)


def test_a_second_context_names_the_first(local: SparkContext) -> None:
    with pytest.raises(ValueError, match=r"running already.*getOrCreate"):
        SparkContext("local[1]")
    assert local.parallelize([1]).sum() == 1


def test_a_missing_file_is_named_before_any_task_runs(local: SparkContext) -> None:
    with pytest.raises(FileNotFoundError, match="/no/such/file"):
        local.textFile("/no/such/file").count()


def test_an_output_that_exists_is_refused_before_any_task_runs(local: SparkContext, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match=str(tmp_path)):
        local.parallelize([1]).saveAsTextFile(str(tmp_path))


def test_a_closure_that_cannot_travel_names_its_variable(local: SparkContext) -> None:
    with socket.socket() as connection, pytest.raises(NotSerializable, match="connection"):
        local.parallelize([1]).map(lambda x: (x, connection)).collect()


@pytest.mark.parametrize("captured", ["rdd", "sc"])
def test_an_rdd_or_context_in_a_function_is_refused(local: SparkContext, captured: str) -> None:
    rdd = local.parallelize([1, 2])
    value = rdd if captured == "rdd" else local
    with pytest.raises(NotSerializable):
        rdd.map(lambda x: (x, value)).collect()


RAISES = """
from simspark import SparkContext
def parse(line):
    return int(line)
with SparkContext("local[2]") as sc:
    sc.parallelize(["1", "2", "three"], 2).map(parse).collect()
"""


def test_a_raising_function_ends_the_program_with_a_short_traceback(scratch: Path, tmp_path: Path) -> None:
    program = tmp_path / "raises.py"
    program.write_text(RAISES)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) <= 20
    assert sum("/simspark/" in line for line in lines) == 1
    assert "ValueError: invalid literal for int() with base 10: 'three'" in lines
    assert "while processing element: 'three'" in lines
    assert any(line.startswith("in map(parse) at raises.py:6") for line in lines)


def test_a_clean_program_prints_its_results_and_nothing_else(scratch: Path, tmp_path: Path) -> None:
    program = tmp_path / "clean.py"
    program.write_text("from simspark import SparkContext\nsc = SparkContext('local[2]')\n"
                       "print(sc.parallelize(range(10)).sum())\n")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("45\n", "")
