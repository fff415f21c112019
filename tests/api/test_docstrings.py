"""The examples in the docstrings of the public API run and give what they show."""

from __future__ import annotations

import doctest
import tempfile
from pathlib import Path
from typing import Any

import pytest

from simspark import (
    RDD,
    BarrierTaskContext,
    BarrierTaskInfo,
    FutureAction,
    RDDBarrier,
    SparkConf,
    SparkFiles,
    StatCounter,
    StatusTracker,
    TaskContext,
)
from simspark.driver.job_control import JobControl
from simspark.driver.rdd.checkpoint_directories import CheckpointDirectories
from simspark.driver.rdd.file_sources import FileSources
from simspark.driver.rdd.hadoop import HadoopSources
from simspark.driver.rdd.sources import Sources
from simspark.driver.shipping import Shipping
from simspark.publib import resource_profiles
from simspark.publib.lineage.bounded_float import BoundedFloat

RESOURCES = [kind for kind in vars(resource_profiles).values() if getattr(kind, "__module__", "").endswith("profiles")]

OWNERS = (
    RDD, Sources, CheckpointDirectories, FileSources, HadoopSources, JobControl, Shipping, FutureAction, StatusTracker,
    SparkConf, SparkFiles, StatCounter, BoundedFloat, TaskContext, BarrierTaskContext, BarrierTaskInfo, RDDBarrier,
    *RESOURCES,
)  # fmt: skip
EXAMPLES = [
    test
    for owner in OWNERS
    for kind in (owner.__mro__ if owner is RDD else [owner])
    if kind.__module__.startswith("simspark.")
    for test in doctest.DocTestFinder(recurse=True, exclude_empty=True).find(
        kind, kind.__name__, module=False, globs={}
    )
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_example_gives_what_it_shows(
    example: doctest.DocTest, sc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broadcasts = "broadcast" in example.name and type(sc).__name__ == "HereContext"
    if broadcasts:
        pytest.skip("broadcasts are read by executors")
    example.globs = {"sc": sc, "SparkConf": SparkConf, "StatCounter": StatCounter, "BoundedFloat": BoundedFloat}
    texts: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=texts.append)
    assert not texts, "".join(texts)


def test_every_public_method_has_an_example() -> None:
    shown = {example.name.rpartition(".")[2] for example in EXAMPLES}
    public = {name for name in dir(RDD) if not name.startswith("_")}
    assert public - shown == set()
