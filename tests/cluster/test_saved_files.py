"""Saves and checkpoints on real processes: under kills, cancels and lost workers, output is whole or there is none."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from simspark import SparkContext
from simspark.publib.errors import JobCancelled, JobFailed
from simspark.testing import LocalCluster

from .conftest import wait_until
from .test_cluster_faults import cluster, conf
from .test_failpoints import Arm, arm, over_network

__all__ = ["arm", "cluster"]

pytestmark = pytest.mark.cluster

MASTERS = ("local[2]", "local-cluster[2,1,512]")


@pytest.mark.parametrize("phase", ["p4", "commit", "p5"])
@pytest.mark.parametrize(("master", "scheme"), [(MASTERS[0], ""), (MASTERS[0], "local://"), (MASTERS[1], "")])
def test_an_executor_killed_while_pickling_leaves_single_files(
    master: str, scheme: str, phase: str, arm: Arm, scratch: Path, tmp_path: Path
) -> None:
    claim = arm(phase)
    out = tmp_path / "out"
    with SparkContext(master, phase, conf=conf()) as sc:
        sc.range(0, 60, 1, 6).saveAsPickleFile(f"{scheme}{out}")
        assert claim.exists()
        assert sorted(path.name for path in out.iterdir()) == ["_SUCCESS", *(f"part-{part:05d}" for part in range(6))]
        assert sc.pickleFile(f"{scheme}{out}").collect() == list(range(60))


@pytest.mark.parametrize("master", MASTERS)
@pytest.mark.parametrize("local", [False, True])
def test_an_executor_killed_while_a_checkpoint_is_made_costs_an_attempt(
    master: str, local: bool, arm: Arm, scratch: Path, tmp_path: Path
) -> None:
    claim = arm("p4" if local else "commit")
    with SparkContext(master, "checkpoint", conf=conf()) as sc:
        sc.setCheckpointDir(tmp_path)
        rdd = sc.range(0, 60, 1, 6).map(lambda x: x + 1)
        rdd.localCheckpoint() if local else rdd.checkpoint()
        assert rdd.count() == 60
        assert claim.exists()
        assert rdd.isCheckpointed()
        assert rdd.glom().collect() == [list(range(start + 1, start + 11)) for start in range(0, 60, 10)]


def test_a_local_checkpoint_ends_with_its_worker_and_the_job_says_so(cluster: LocalCluster) -> None:
    with SparkContext(conf=over_network()) as sc:  # otherwise the files that a killed worker leaves are read
        rdd = sc.range(0, 60, 1, 2).barrier().mapPartitions(lambda rows: [x + 1 for x in rows])  # one on each worker
        rdd.localCheckpoint()
        assert rdd.count() == 60
        assert rdd.union(rdd).sum() == 2 * sum(range(61))
        executors = len(sc.statusTracker().getExecutorInfos())
        cluster.workers[0].kill()  # its executor may still read its own files, for as long as it lives
        wait_until(lambda: len(sc.statusTracker().getExecutorInfos()) < executors, "its executor to end")
        with pytest.raises(JobFailed, match=rf"of RDD {rdd.id()} was checkpointed locally, and its lineage"):
            rdd.count()
        assert sc.parallelize(range(100), 4).sum() == 4950


def test_a_checkpoint_outlives_the_worker_that_made_it(cluster: LocalCluster, tmp_path: Path) -> None:
    with SparkContext(conf=conf()) as sc:
        sc.setCheckpointDir(tmp_path)
        rdd = sc.range(0, 60, 1, 6).map(lambda x: x + 1)
        rdd.checkpoint()
        assert rdd.count() == 60
        cluster.workers[0].kill()
        assert rdd.sum() == sum(range(61))


def test_actions_of_several_threads_make_one_checkpoint(scratch: Path, tmp_path: Path) -> None:
    with SparkContext("local[2]", "threads", conf=conf()) as sc:
        sc.setCheckpointDir(tmp_path)
        base = sc.range(0, 60, 1, 2)
        for _ in range(5):
            rdd = base.map(lambda x: x + 1).map(lambda x: (x % 3, x)).reduceByKey(max, 2)
            rdd.checkpoint()
            results: list[object] = []
            threads = [threading.Thread(target=lambda: results.append(sorted(rdd.collect()))) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert results == [[(0, 60), (1, 58), (2, 59)]] * 4
            assert rdd.isCheckpointed()


@pytest.mark.parametrize("master", MASTERS)
def test_a_cancelled_save_leaves_no_temporary_folder(master: str, scratch: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def slow(number: int) -> int:
        (marks / f"{number}-{os.getpid()}").touch()
        try:
            time.sleep(600)
        finally:
            time.sleep(0.2)  # the attempt goes on when the job is over, and would write its file now
        return number

    with SparkContext(master, "cancel", conf=conf()) as sc:
        canceller = threading.Thread(
            target=lambda: (wait_until(lambda: len(list(marks.iterdir())) >= 2, "tasks"), sc.cancelAllJobs())
        )
        canceller.start()
        with pytest.raises(JobCancelled):
            sc.range(0, 4, 1, 4).map(slow).saveAsTextFile(str(tmp_path / "out"))
        canceller.join()
        assert list((tmp_path / "out").iterdir()) == []
        assert sc.parallelize(range(100), 4).sum() == 4950  # the executors have finished what they were at
        assert list((tmp_path / "out").iterdir()) == []
