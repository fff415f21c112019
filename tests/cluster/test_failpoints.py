"""Processes that die at a named place: at each phase of a job, a daemon's life, and the master's journal.

What a test arms is in the environment of the processes that it starts. A claim file makes a place strike once, and
holds the number of the process that it struck. A sample of the cases runs always, the others with ``-m slow``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from operator import add
from pathlib import Path

import psutil
import pytest

from simspark import SparkConf, SparkContext
from simspark.driver import local_cluster
from simspark.driver.local_cluster import LocalCluster
from simspark.driver.master_url import LocalClusterMaster
from simspark.publib import failpoints
from simspark.publib.errors import ClusterError, SimsparkError

from .conftest import leftovers, wait_until
from .test_cluster_faults import start_program
from .test_faults import process_ids

pytestmark = pytest.mark.cluster

MASTERS = ("local[2]", "local-cluster[2,1,512]")
OVER_NETWORK = "spark.simspark.blocks.overNetwork"
MAPS, REDUCES = 6, 4
EXPECTED = sorted((key, (key + 1) * sum(range(key, 600, 10))) for key in range(10))
Arm = Callable[..., Path]


@pytest.fixture(autouse=True)
def _quick_to_see_death(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"master.heartbeat_interval": "200ms", "master.late_after": "1s", "master.check_interval": "500ms"}
    monkeypatch.setattr(local_cluster, "LIVENESS", times)


@pytest.fixture(autouse=True)
def _sample(request: pytest.FixtureRequest) -> None:
    chosen: str = request.config.option.markexpr
    if request.node.get_closest_marker("slow") and "slow" not in chosen:
        pytest.skip("one of the many cases that -m slow runs")


def slow(*cases: object) -> list[object]:
    """These cases are not part of the sample."""
    together = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=pytest.mark.slow) for case in together]


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Arms one place for processes that start from now on; returns the claim of who is struck."""

    def armed(phase: str, action: str = "kill", role: str = "executor", **options: object) -> Path:
        claim = tmp_path / f"struck-{phase}"
        said = ",".join(f"{name}={value}" for name, value in options.items())
        text = f"{phase}={action},role={role},once={claim}" + ("," + said if said else "")
        monkeypatch.setenv(failpoints.VARIABLE, text)
        return claim

    return armed


def conf(**settings: object) -> SparkConf:
    return SparkConf().set("spark.executor.memory", "512m").setAll(list(settings.items()))


def over_network() -> SparkConf:
    return conf(**{OVER_NETWORK: True})


@contextmanager
def daemons(scratch: Path, monkeypatch: pytest.MonkeyPatch, workers: int = 2) -> Iterator[LocalCluster]:
    """A master and workers that ``SparkContext(conf=conf())`` finds."""
    made = LocalCluster(str(scratch / "c"), LocalClusterMaster(0, 1, 512))
    monkeypatch.setenv("SIMSPARK_PATHS_KEYS", made.keys_dir)
    monkeypatch.setenv("SIMSPARK_MASTER", made.url)
    try:
        made.add_workers(workers)
        yield made
    finally:
        made.stop()
        subprocess.run(["rm", "-rf", str(scratch / "c")], check=True)


class Job:
    """Six maps with a broadcast and four reduces; each attempt leaves a mark when it runs."""

    def __init__(self, sc: SparkContext, place: Path) -> None:
        self.sc = sc
        self.marks = place / "marks"
        self.marks.mkdir(exist_ok=True)

    def run(self, before_each: Callable[[], None] = lambda: None) -> list[tuple[int, int]]:
        factors = self.sc.broadcast({key: key + 1 for key in range(10)})
        maps = self.sc.range(0, 600, 1, MAPS).mapPartitionsWithIndex(self._marked("map", before_each))
        pairs = maps.map(lambda x: (x % 10, x * factors.value[x % 10]))
        return sorted(pairs.reduceByKey(add, REDUCES).mapPartitionsWithIndex(self._marked("reduce")).collect())

    def _marked(self, stage: str, before_each: Callable[[], None] = lambda: None) -> object:
        marks = self.marks

        def run(index: int, rows: object) -> object:
            (marks / f"{stage} {index} {os.getpid()} {time.monotonic_ns()}").touch()
            before_each()
            time.sleep(0.01)
            return rows

        return run

    def attempts(self) -> Counter[str]:
        return Counter(" ".join(mark.name.split()[:2]) for mark in self.marks.iterdir())

    def check_extra_attempts(self, phase: str) -> None:
        """One at most; when a report is about to leave, the executor's next task runs already."""
        attempts = self.attempts()
        assert len(attempts) == MAPS + REDUCES
        marks = sorted((mark.name for mark in self.marks.iterdir()), key=lambda name: name.split()[-1])
        assert attempts.total() <= MAPS + REDUCES + (2 if phase == "p6" else 1), marks
        assert max(attempts.values()) <= 2


def check_struck(claim: Path) -> None:
    assert claim.exists(), "nobody came to the armed place"
    process = int(claim.read_text())
    wait_until(lambda: not runs(process), f"the end of {process}")


def runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


# ── an executor at each phase of a job ───────────────────────────────────────────────────────────────────────────────


ALL_PHASES = ("p1", "p2", "p3", "p4", "p5", "p6", "p8", "p9", "p10")


@pytest.mark.parametrize(("master", "phase"), list(product(MASTERS, ALL_PHASES)))
def test_an_executor_killed_at_any_phase_costs_one_attempt(
    master: str, phase: str, arm: Arm, scratch: Path, tmp_path: Path
) -> None:
    claim = arm(phase)
    with SparkContext(master, phase, conf=conf()) as sc:
        job = Job(sc, tmp_path)
        assert job.run() == EXPECTED
        job.check_extra_attempts(phase)
        if phase != "p10":
            check_struck(claim)
        assert sc.parallelize(range(100), 4).sum() == 4950
    if phase == "p10" and master != "local[2]":
        check_struck(claim)


@pytest.mark.parametrize("phase", ["p4", "p8", "p9", *slow("p2", "p3", "p5", "p6")])
def test_an_executor_killed_where_blocks_come_over_the_network(
    phase: str, arm: Arm, scratch: Path, tmp_path: Path
) -> None:
    claim = arm(phase)
    with SparkContext("local-cluster[2,1,512]", phase, conf=over_network()) as sc:
        job = Job(sc, tmp_path)
        assert job.run() == EXPECTED
        check_struck(claim)
        job.check_extra_attempts(phase)


# ── a worker ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nth", [1, 2, 3], ids=["before hello", "registered", "dialling the driver"])
def test_a_worker_killed_while_registering(
    nth: int, arm: Arm, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = arm("p1", role="worker", nth=nth)
    with daemons(scratch, monkeypatch, 0) as cluster:
        if nth < 3:
            with pytest.raises(ClusterError, match="ended at its start"):
                cluster.add_workers(1)
            check_struck(claim)
        cluster.add_workers(2)
        with SparkContext(conf=conf()) as sc:
            assert Job(sc, tmp_path).run() == EXPECTED
        assert claim.exists()


def test_a_worker_killed_while_it_serves_a_fetch(arm: Arm, scratch: Path, tmp_path: Path) -> None:
    claim = arm("p7", role="worker")
    nothing_else_fetched = over_network().set("spark.simspark.ship.localModules", False)
    with SparkContext("local-cluster[2,1,512]", "p7", conf=nothing_else_fetched) as sc:
        wait_until(lambda: len(process_ids(sc)) == 2, "an executor on each worker, so that each fetches")
        assert Job(sc, tmp_path).run() == EXPECTED
        assert claim.exists()


@pytest.mark.parametrize("phase", ["p4", "p6", *slow("p2", "p3", "p5", "p8", "p9")])
def test_a_worker_killed_while_its_executor_is_at_a_phase(
    phase: str, arm: Arm, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = arm(phase, "delay", seconds=20)
    with daemons(scratch, monkeypatch) as cluster, SparkContext(conf=conf()) as sc:
        killed: list[int] = []

        def kill_its_worker() -> None:
            wait_until(claim.exists, f"an executor at {phase}")
            executor = int(claim.read_text())
            worker = psutil.Process(executor).parents()[1].pid
            next(process for process in cluster.workers if process.pid == worker).kill()
            wait_until(lambda: not runs(executor), "the end of its executor")
            killed.append(executor)

        killer = start(kill_its_worker)
        assert Job(sc, tmp_path).run() == EXPECTED
        killer.join()
        assert killed


@pytest.mark.parametrize(("role", "nth"), [("worker", 1), ("worker", 2), ("master", 1)])
def test_a_daemon_killed_while_it_leaves(role: str, nth: int, arm: Arm, scratch: Path, tmp_path: Path) -> None:
    claim = arm("p10", role=role, nth=nth)
    with SparkContext("local-cluster[2,1,512]", "p10", conf=conf()) as sc:
        assert Job(sc, tmp_path).run() == EXPECTED
    check_struck(claim)


# ── the master, after each write of its journal ──────────────────────────────────────────────────────────────────────


def join(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.add_workers(1)


def leave(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.workers[0].terminate()


def other_program(cluster: LocalCluster, tmp_path: Path) -> None:
    with start_program(tmp_path, "1") as program:
        program.communicate(timeout=60)


@pytest.mark.parametrize(
    ("write", "event"), [(5, join), (5, leave), (5, other_program), (6, other_program)],
    ids=["worker known", "worker forgotten", "application known", "application forgotten"],
)  # fmt: skip
def test_a_master_killed_after_a_write_costs_a_running_job_nothing(
    write: int, event: Callable[[LocalCluster, Path], None], arm: Arm, scratch: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = arm("journal", role="master", nth=write)
    go = tmp_path / "go"

    def wait_for_go() -> None:
        wait_until(go.exists, "leave to go on")

    def happen() -> None:
        try:
            event(cluster, tmp_path)
        except SimsparkError:
            pass  # who registers when the master ends may be told so

    with daemons(scratch, monkeypatch) as cluster:
        with SparkContext(conf=conf().set("spark.cores.max", 1)) as sc:
            job = Job(sc, tmp_path)
            results: list[object] = []
            running = start(lambda: results.append(job.run(wait_for_go)))
            wait_until(lambda: any(job.marks.iterdir()), "the job to run")
            happening = start(happen)
            cluster.master.wait(60)
            check_struck(claim)
            go.touch()
            if event is not leave:
                running.join(60)
                assert results == [EXPECTED], "the job waited for the master"
            cluster.restart_master()
            running.join(60)
            happening.join(60)
            assert results == [EXPECTED]
            assert sc.parallelize(range(100), 4).sum() == 4950
        with start_program(tmp_path, "1") as program:
            assert program.communicate(timeout=60)[0].split() == ["500500"]


def test_a_master_killed_after_its_first_write_of_a_restart(
    arm: Arm, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemons(scratch, monkeypatch) as cluster, SparkContext(conf=conf()) as sc:
        assert sc.parallelize(range(100), 4).sum() == 4950
        cluster.master.kill()
        claim = arm("journal", role="master", nth=1)
        with pytest.raises(ClusterError, match="ended at its start"):
            cluster.restart_master()
        check_struck(claim)
        assert Job(sc, tmp_path).run() == EXPECTED
        cluster.restart_master()
        assert sc.parallelize(range(100), 4).sum() == 4950


def test_a_program_that_registers_as_the_master_ends_is_told_and_runs_after(
    arm: Arm, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = arm("journal", role="master", nth=4)
    with daemons(scratch, monkeypatch) as cluster:
        with pytest.raises(SimsparkError, match="master"):
            SparkContext(conf=conf())
        check_struck(claim)
        cluster.restart_master()
        with SparkContext(conf=conf()) as sc:
            assert Job(sc, tmp_path).run() == EXPECTED


WRITER = """
import os, sys
from functools import reduce
from simspark.master.journal import Journal
from simspark.master.records import ApplicationForgotten, ApplicationKnown, Known, WorkerKnown, fold
from simspark.publib import failpoints

RECORDS = [WorkerKnown("w1", 1, "K"), WorkerKnown("w2", 2, "K")]
for number in range(12):
    RECORDS += [ApplicationKnown(f"app-{number}", "k" * 20), ApplicationForgotten(f"app-{number}")]

def write_until_killed(directory, nth, told):
    failpoints.arm(f"journal=kill,nth={nth}")
    journal = Journal(directory, compact_after_bytes=300)
    for record in RECORDS:
        journal.append(record)
        os.write(told, b".")

for nth in range(1, 200):
    directory = os.path.join(sys.argv[1], str(nth))
    reads, told = os.pipe()
    child = os.fork()
    if child == 0:
        write_until_killed(directory, nth, told)
        os._exit(0)
    os.close(told)
    status = os.waitpid(child, 0)[1]
    count = len(os.read(reads, 1000))
    known = Journal(directory).known
    assert known == reduce(fold, RECORDS[: count + (status != 0)], Known()), (nth, count, known)
    if status == 0:
        break
print(nth - 1 - len(RECORDS))
"""


def test_a_journal_is_whole_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2, "it was never compacted"


# ── while files are saved ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("master", "phase"),
    [
        *product(MASTERS[:1], ("p3", "p4", "commit", "p5", "p6")),
        *product(MASTERS[1:], ("commit", "p5")), *slow(*product(MASTERS[1:], ("p3", "p4", "p6"))),
    ],
)  # fmt: skip
def test_an_executor_killed_while_saving_leaves_single_files(
    master: str, phase: str, arm: Arm, scratch: Path, tmp_path: Path
) -> None:
    claim = arm(phase)
    out = tmp_path / "out"
    with SparkContext(master, phase, conf=conf().set("spark.simspark.batchRows", 5)) as sc:
        sc.range(0, 60, 1, 6).saveAsTextFile(str(out))
        check_struck(claim)
        assert sorted(path.name for path in out.iterdir()) == ["_SUCCESS", *(f"part-{part:05d}" for part in range(6))]
        assert sc.textFile(str(out)).map(int).collect() == list(range(60))


# ── damaged blocks and full disks ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("master", "action"), list(product(MASTERS, ("corrupt", "enospc"))))
def test_a_block_spoilt_as_it_is_written_is_written_again(
    master: str, action: str, arm: Arm, scratch: Path, tmp_path: Path
) -> None:
    claim = arm("p4", action)
    with SparkContext(master, action, conf=conf()) as sc:
        job = Job(sc, tmp_path)
        assert job.run() == EXPECTED
        assert claim.exists()
        assert job.attempts().total() <= MAPS + 2 * REDUCES + 1


@pytest.mark.parametrize("master", MASTERS)
def test_a_large_result_spoilt_as_it_is_written_is_made_again(master: str, arm: Arm, scratch: Path) -> None:
    claim = arm("p4", "corrupt")
    with SparkContext(master, "spoilt result", conf=conf()) as sc:
        assert sc.range(0, 3, 1, 3).map(lambda x: b"%d" % x * 300_000).collect() == [
            b"%d" % x * 300_000 for x in range(3)]
        assert claim.exists()


def test_a_block_spoilt_on_its_way_is_had_again(arm: Arm, scratch: Path, tmp_path: Path) -> None:
    claim = arm("p7", "corrupt", role="worker")
    with SparkContext("local-cluster[2,1,512]", "p7", conf=over_network()) as sc:
        assert Job(sc, tmp_path).run() == EXPECTED
        assert claim.exists()


def test_a_full_disk_while_saving_moves_the_task(arm: Arm, scratch: Path, tmp_path: Path) -> None:
    claim = arm("p4", "enospc")
    with SparkContext("local-cluster[2,1,512]", "enospc", conf=conf()) as sc:
        sc.range(0, 60, 1, 6).saveAsTextFile(str(tmp_path / "out"))
        assert claim.exists()
        assert sc.textFile(str(tmp_path / "out")).map(int).collect() == list(range(60))


@pytest.mark.parametrize(
    ("master", "read", "damage"),
    [
        *product(MASTERS[:1], ["mapped"], ("truncated", "empty", "missing")),
        (MASTERS[1], "mapped", "truncated"), (MASTERS[1], "fetched", "empty"),
        *slow(*product(MASTERS[1:], ["mapped"], ("empty", "missing"))),
        *slow(*product(MASTERS[1:], ["fetched"], ("truncated", "missing"))),
    ],
)  # fmt: skip
def test_a_damaged_map_output_is_made_again(master: str, read: str, damage: str, scratch: Path) -> None:
    with SparkContext(master, damage, conf=over_network() if read == "fetched" else conf()) as sc:
        summed = sc.range(0, 600, 1, MAPS).map(lambda x: (x % 10, x)).reduceByKey(add, REDUCES)
        expected = sorted((key, sum(range(key, 600, 10))) for key in range(10))
        assert sorted(summed.collect()) == expected
        outputs = [Path(name) for name in leftovers(scratch) if Path(name).name.startswith("shuffle-")]
        assert len(outputs) == MAPS
        if damage == "missing":
            outputs[2].unlink()
        else:
            os.truncate(outputs[2], outputs[2].stat().st_size // 2 if damage == "truncated" else 0)
        assert sorted(summed.collect()) == expected
