"""Checkpoints as PySpark has them: saved after the first action, read from then on, lineage forgotten."""

from __future__ import annotations

import gc
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simspark import RDD, SparkConf, SparkContext, StorageLevel
from simspark.driver.node import Node
from simspark.driver.rdd.hadoop import HadoopFormats
from simspark.driver.rdd.hadoop_sources import HadoopSources
from simspark.driver.stages import compile_job
from simspark.publib.errors import FetchFailed, NeedsSpark, StorageFault, UserError
from simspark.publib.lineage.sinks import Collect, ResultSink

from .conftest import HereContext


@pytest.fixture
def saving(sc: Any, tmp_path: Path) -> Any:
    sc.setCheckpointDir(tmp_path / "checkpoints")
    return sc


def lineage(rdd: Any) -> list[str]:
    """What toDebugString draws, without numbers and places."""
    return [line.strip(" |+-(0123456789)").partition("[")[0] for line in rdd.toDebugString().decode().splitlines()]


def test_rows_are_saved_after_the_first_action_and_read_from_then_on(saving: Any) -> None:
    calls = saving.accumulator(0)
    rdd = saving.parallelize(range(6), 3).map(lambda x: calls.add(1) or x + 1)
    rdd.checkpoint()
    assert (rdd.isCheckpointed(), rdd.getCheckpointFile(), rdd.is_checkpointed) == (False, None, True)
    assert rdd.take(1) == [1]
    assert rdd.isCheckpointed() and not rdd.isLocallyCheckpointed()
    assert rdd.getCheckpointFile() == f"{saving.getCheckpointDir()}/rdd-{rdd.id()}"
    folder = Path(rdd.getCheckpointFile().removeprefix("file:"))
    assert sorted(path.name for path in folder.iterdir()) == ["part-00000", "part-00001", "part-00002"]
    computed = calls.value
    assert computed >= 6
    assert rdd.glom().collect() == [[1, 2], [3, 4], [5, 6]]
    assert rdd.map(str).count() == 6
    assert calls.value == computed
    assert lineage(rdd) == ["map", "checkpoint"]


def test_each_directory_that_is_set_is_a_new_one(sc: Any, tmp_path: Path) -> None:
    assert sc.getCheckpointDir() is None
    seen = set()
    for _ in range(2):
        sc.setCheckpointDir(str(tmp_path))
        made = sc.getCheckpointDir()
        assert made.startswith(f"file:{tmp_path}/")
        assert Path(made.removeprefix("file:")).is_dir()
        seen.add(made)
    assert len(seen) == 2
    (tmp_path / "file").touch()
    with pytest.raises(StorageFault, match=r"Cannot make the checkpoint directory .*Not a directory. \(SS207\)"):
        sc.setCheckpointDir(tmp_path / "file")


def test_a_checkpoint_needs_a_directory(sc: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Checkpoint directory has not been set in the SparkContext. Call sc.setCheck"):
        sc.range(3).checkpoint()
    sc.setCheckpointDir(tmp_path)
    sc.setCheckpointDir(None)
    with pytest.raises(UserError, match="has not been set"):
        sc.range(3).checkpoint()


def test_settings_name_a_directory_and_have_it_cleaned(tmp_path: Path) -> None:
    conf = SparkConf().set("spark.checkpoint.dir", str(tmp_path))
    conf.set("spark.cleaner.referenceTracking.cleanCheckpoints", True)
    with SparkContext("local[1]", "settings", conf=conf) as context:
        assert str(context.getCheckpointDir()).startswith(f"file:{tmp_path}/")
        assert context._checkpoints.clean


def test_partitions_and_partitioner_stay(saving: Any) -> None:
    placed = saving.parallelize(range(6), 3).map(lambda x: (x, 1)).partitionBy(4)
    before = placed.glom().collect()
    partitioner = placed.partitioner
    placed.checkpoint()
    assert placed.count() == 6
    assert placed.partitioner == partitioner
    assert placed.glom().collect() == before
    joined = placed.mapValues(str).join(placed)
    assert b"+-" not in joined.toDebugString()  # no shuffle
    assert sorted(joined.collect()) == [(key, ("1", 1)) for key in range(6)]


def test_an_action_on_a_child_saves_the_nearest_marked_only(saving: Any) -> None:
    parent = saving.range(4, numSlices=2).map(str)
    child = parent.map(len)
    child.checkpoint()
    parent.checkpoint()
    assert child.map(abs).collect() == [1, 1, 1, 1]
    assert (parent.isCheckpointed(), child.isCheckpointed()) == (False, True)
    assert parent.count() == 4
    assert parent.isCheckpointed()


@pytest.mark.parametrize("make", [
    lambda sc, rdd: rdd.map(lambda x: (x, 1)).reduceByKey(max).count(),
    lambda sc, rdd: rdd.union(rdd).coalesce(1).count(),
    lambda sc, rdd: rdd.zip(rdd).cartesian(rdd).count(),
    lambda sc, rdd: rdd.countAsync().result(),
    lambda sc, rdd: list(rdd.toLocalIterator()),
])  # fmt: skip
def test_every_way_to_compute_an_rdd_saves_it(saving: Any, make: Any) -> None:
    rdd = saving.range(4, numSlices=2).map(lambda x: x + 1)
    rdd.checkpoint()
    make(saving, rdd)
    assert rdd.isCheckpointed()
    assert rdd.collect() == [1, 2, 3, 4]


@pytest.mark.parametrize("local", [False, True])
def test_every_kind_of_rdd_can_be_saved(saving: Any, local: bool) -> None:
    pairs = saving.parallelize([(1, "a"), (2, "b"), (1, "c")], 2)
    made = [
        pairs, pairs.union(pairs), pairs.groupByKey(2).mapValues(list), pairs.join(pairs, 2), pairs.coalesce(1),
        pairs.zip(pairs), pairs.cartesian(pairs), pairs.sortByKey(numPartitions=2), pairs.zipWithIndex(),
        pairs.distinct(2), saving.emptyRDD(), saving.parallelize([], 2),
    ]  # fmt: skip
    for rdd in made:
        before = rdd.glom().collect()
        rdd.localCheckpoint() if local else rdd.checkpoint()
        rdd.count()
        assert rdd.isCheckpointed()
        assert rdd.getNumPartitions() == len(before)
        assert rdd.glom().collect() == before
        assert len(lineage(rdd)) == 2


def test_a_second_checkpoint_changes_nothing(saving: Any) -> None:
    rdd = saving.range(3)
    rdd.checkpoint()
    rdd.count()
    file = rdd.getCheckpointFile()
    rdd.checkpoint()
    rdd.localCheckpoint()
    assert rdd.count() == 3
    assert (rdd.getCheckpointFile(), rdd.isLocallyCheckpointed()) == (file, False)


def test_a_cached_rdd_is_saved_from_its_cache_and_stays_cached(here: HereContext, tmp_path: Path) -> None:
    here.setCheckpointDir(tmp_path)
    cached = here.range(4, numSlices=2).map(str).cache()
    cached.checkpoint()
    assert cached.count() == 4
    assert here.cache.computed == [(cached.id(), 0), (cached.id(), 1)]
    assert cached.is_cached
    assert "[Memory Serialized 1x Replicated]" in cached.toDebugString().decode()  # type: ignore[union-attr]
    cached.unpersist()
    assert cached.collect() == ["0", "1", "2", "3"]


def test_a_checkpoint_that_fails_fails_the_action_and_may_be_tried_again(saving: Any, tmp_path: Path) -> None:
    rdd = saving.range(3)
    rdd.checkpoint()
    target = Path(saving.getCheckpointDir().removeprefix("file:")) / f"rdd-{rdd.id()}"
    target.write_text("in the way")
    with pytest.raises(FileExistsError, match=f"rdd-{rdd.id()} already exists"):
        rdd.count()
    assert not rdd.isCheckpointed()
    target.unlink()
    assert rdd.count() == 3
    assert rdd.isCheckpointed()


def test_rows_whose_checkpoint_is_gone_are_an_error_that_names_it(saving: Any) -> None:
    rdd = saving.range(3)
    rdd.checkpoint()
    rdd.count()
    shutil.rmtree(rdd.getCheckpointFile().removeprefix("file:"))
    with pytest.raises(FileNotFoundError, match=r"part-0000\d is not there: it was removed, or this machine"):
        rdd.count()


# ── local checkpoints ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_local_checkpoint_needs_no_directory_and_cuts_lineage(sc: Any) -> None:
    calls = sc.accumulator(0)
    rdd = sc.parallelize(range(4), 2).map(lambda x: calls.add(1) or str(x))
    rdd.localCheckpoint()
    assert (rdd.isCheckpointed(), rdd.isLocallyCheckpointed(), rdd.is_cached) == (False, True, False)
    assert rdd.getStorageLevel() == StorageLevel.MEMORY_AND_DISK_DESER
    assert rdd.take(1) == ["0"]
    computed = calls.value
    assert (rdd.isCheckpointed(), rdd.isLocallyCheckpointed(), rdd.getCheckpointFile()) == (True, True, None)
    rdd.unpersist()
    for _ in range(3):
        assert rdd.glom().collect() == [["0", "1"], ["2", "3"]]
    assert calls.value == computed
    assert lineage(rdd) == ["map", "localCheckpoint"]


def test_a_cached_rdd_says_that_a_local_checkpoint_is_on_disk_too(sc: Any) -> None:
    rdd = sc.range(4, numSlices=2).map(str).cache()
    rdd.localCheckpoint()
    assert rdd.getStorageLevel() == StorageLevel.MEMORY_AND_DISK


def test_of_both_kinds_the_local_one_wins(saving: Any) -> None:
    for first, second in (("checkpoint", "localCheckpoint"), ("localCheckpoint", "checkpoint")):
        rdd = saving.range(4, numSlices=2).map(str)
        getattr(rdd, first)()
        getattr(rdd, second)()
        assert rdd.isLocallyCheckpointed()
        assert rdd.count() == 4
        assert (rdd.isCheckpointed(), rdd.isLocallyCheckpointed(), rdd.getCheckpointFile()) == (True, True, None)


def kept_files(here: HereContext) -> list[Path]:
    return sorted(Path(here.files.directory).glob("cache-*"))


def test_a_lost_local_checkpoint_fails_the_job_with_its_cause(here: HereContext) -> None:
    rdd = here.range(4, numSlices=2).map(str)
    rdd.localCheckpoint()
    rdd.count()
    kept_files(here)[0].unlink()
    with pytest.raises(FetchFailed, match=rf"not there; partition 0 of RDD {rdd.id()} was checkpointed locally,"):
        rdd.collect()


def test_a_local_checkpoint_is_forgotten_with_its_rdd(here: HereContext) -> None:
    rdd = here.range(4, numSlices=2).map(str)
    rdd.localCheckpoint()
    rdd.count()
    (number,) = {int(path.name.split("-")[1]) for path in kept_files(here)}
    assert ("cached", number) not in here.forgotten
    del rdd
    gc.collect()
    assert ("cached", number) in here.forgotten


def test_tasks_go_where_a_local_checkpoint_is(here: HereContext) -> None:
    rdd = here.range(4, numSlices=2).map(str)
    rdd.localCheckpoint()
    rdd.count()
    (number,) = {int(path.name.split("-")[1]) for path in kept_files(here)}
    job = compile_job(rdd.map(len)._node, ResultSink(Collect()), next_stage=lambda: 99)
    assert job.stages[0].rdds == (number,)


# ── long programs ────────────────────────────────────────────────────────────────────────────────────────────────────


def program_bytes(context: Any, rdd: Any) -> int:
    job = compile_job(rdd._node, ResultSink(Collect()), next_stage=lambda: context.next_id("stage"))
    return sum(len(pickled()) for pickled in job.programs.values())


@pytest.fixture
def _new_objects_only() -> Iterator[None]:
    """gc sees what is made from now on: looking through all objects of the tests takes seconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_new_objects_only")
@pytest.mark.parametrize("local", [False, True])
def test_iterations_with_checkpoints_do_not_grow(here: HereContext, tmp_path: Path, local: bool) -> None:
    here.setCheckpointDir(tmp_path)
    here._checkpoints.clean = True
    rdd = here.parallelize([(key, 0) for key in range(4)], 2)
    sizes, nodes, files = [], [], []
    for number in range(1, 501):
        rdd = rdd.mapValues(lambda value: value + 1)
        if number % 50 == 25:
            rdd = rdd.join(rdd, 2).mapValues(max)
        if number % 10 == 0:
            rdd.localCheckpoint() if local else rdd.checkpoint()
            assert rdd.count() == 4
            sizes.append(program_bytes(here, rdd))
            gc.collect()
            nodes.append(sum(isinstance(each, Node) for each in gc.get_objects()))
            files.append(len(list(tmp_path.glob("*/*"))))
    assert sorted(rdd.collect()) == [(key, 500) for key in range(4)]
    assert max(sizes) < 2 * sizes[0]
    assert max(nodes) <= nodes[0] + 4
    assert max(files) <= (0 if local else 2)


def test_lineage_between_two_checkpoints_is_released(here: HereContext, tmp_path: Path) -> None:
    here.setCheckpointDir(tmp_path)
    counted = here.parallelize([(1, 1), (1, 2)], 2).reduceByKey(max, 2)
    shuffle = counted._node.dependencies[0].shuffle  # type: ignore[union-attr]
    counted.checkpoint()
    counted.count()
    gc.collect()
    assert ("shuffle", shuffle) in here.forgotten
    assert counted.collect() == [(1, 2)]


def test_a_shuffle_made_before_the_checkpoint_is_pickled_again_without_the_lineage(here: HereContext,
                                                                                   tmp_path: Path) -> None:
    here.setCheckpointDir(tmp_path)
    source = here.parallelize([(1, 1), (1, 2)], 2).reduceByKey(max, 2)
    counted = source.map(lambda pair: (pair[1], pair[0])).reduceByKey(max, 2)
    assert counted.collect() == [(2, 1)]
    source.checkpoint()
    source.count()
    here.files.outputs.clear()  # as if every map output was lost
    assert counted.collect() == [(2, 1)]


def test_checkpoints_that_nothing_needs_are_removed_where_that_is_wanted(here: HereContext, tmp_path: Path) -> None:
    here.setCheckpointDir(tmp_path)
    for clean in (False, True):
        here._checkpoints.clean = clean
        rdd = here.range(3)
        rdd.checkpoint()
        rdd.count()
        folder = Path(str(rdd.getCheckpointFile()).removeprefix("file:"))
        del rdd
        gc.collect()
        here.range(1).count()
        assert folder.exists() != clean


# ── what needs Spark ─────────────────────────────────────────────────────────────────────────────────────────────────

SIGNATURES = {
    "saveAsHadoopDataset": "(self, conf, keyConverter=None, valueConverter=None)",
    "saveAsHadoopFile": "(self, path, outputFormatClass, keyClass=None, valueClass=None, keyConverter=None, "
                        "valueConverter=None, conf=None, compressionCodecClass=None)",
    "saveAsNewAPIHadoopDataset": "(self, conf, keyConverter=None, valueConverter=None)",
    "saveAsNewAPIHadoopFile": "(self, path, outputFormatClass, keyClass=None, valueClass=None, keyConverter=None, "
                              "valueConverter=None, conf=None)",
    "saveAsSequenceFile": "(self, path, compressionCodecClass=None)",
    "toDF": "(self, schema=None, sampleRatio=None)",
    "sequenceFile": "(self, path, keyClass=None, valueClass=None, keyConverter=None, valueConverter=None, "
                    "minSplits=None, batchSize=0)",
    "hadoopFile": "(self, path, inputFormatClass, keyClass, valueClass, keyConverter=None, valueConverter=None, "
                  "conf=None, batchSize=0)",
    "hadoopRDD": "(self, inputFormatClass, keyClass, valueClass, keyConverter=None, valueConverter=None, conf=None, "
                 "batchSize=0)",
    "newAPIHadoopFile": "(self, path, inputFormatClass, keyClass, valueClass, keyConverter=None, "
                        "valueConverter=None, conf=None, batchSize=0)",
    "newAPIHadoopRDD": "(self, inputFormatClass, keyClass, valueClass, keyConverter=None, valueConverter=None, "
                       "conf=None, batchSize=0)",
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_what_needs_hadoop_says_how_to_run_on_spark(here: HereContext, name: str) -> None:
    owner: Any = HadoopFormats if hasattr(RDD, name) else HadoopSources
    signature = inspect.signature(getattr(owner, name))
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    assert str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)) == SIGNATURES[name]
    required = [each for each in plain[1:] if each.default is inspect.Parameter.empty]
    subject: Any = here.range(1) if owner is HadoopFormats else here
    with pytest.raises(NeedsSpark) as caught:
        getattr(subject, name)(*("x" for _ in required))
    text = str(caught.value)
    assert text.startswith(f"{name}() needs Apache Spark. Run this program there as it is: pip install ")
    assert 'SparkContext("spark://host:7077"). simspark itself has ' in text
    assert text.endswith("(SS106)")
    assert isinstance(caught.value, NotImplementedError)
