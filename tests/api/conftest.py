"""``sc``: a context whose jobs run here, in this process, on the files of one directory.

It compiles, pickles and unpickles as the cluster does; what it lacks is processes. Tests of the API run on it in
milliseconds; ``SIMSPARK_API_MASTERS="local[2];local-cluster[2,1,512]"`` in the environment adds real ones.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from simspark.driver.engine import Following, Prepared
from simspark.driver.files import DriverFiles
from simspark.driver.job_control import JobControl, ThreadProperties
from simspark.driver.needs import check_wanted
from simspark.driver.node import Node
from simspark.driver.rdd.file_sources import FileSources
from simspark.driver.rdd.hadoop_sources import HadoopSources
from simspark.driver.scheduling import StageSpec
from simspark.driver.shared_files import SharedFiles
from simspark.driver.shipping import Shipping
from simspark.driver.stages import CompiledJob, compile_job
from simspark.driver.status import StatusStore
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter, decode_batches
from simspark.publib.errors import BlockError, FetchFailed, JobCancelled
from simspark.publib.lineage.program import run_program
from simspark.publib.lineage.shared import Accumulator
from simspark.publib.lineage.task import FileRef, MapDone, SegmentRef, Sink, TaskRun
from simspark.publib.wire import payload
from tests.api.gangs import HereGang

from .gates import Gate


class Files:
    """A data plane: all files are in one directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.outputs: dict[int, list[FileRef]] = {}
        self._scratch = itertools.count()

    def read(self, refs: Sequence[SegmentRef]) -> Iterator[list[Any]]:
        for ref in refs:
            path = os.path.join(self.directory, ref.file.name)
            try:
                with SegmentFile(path) as file:
                    yield from decode_batches(bytearray(file.segment(ref.segment)), path)
            except BlockError as error:
                raise FetchFailed(*ref.file, ref.shuffle, ref.map_index, str(error)) from error

    def map_outputs(self, shuffle: int) -> Sequence[FileRef]:
        return self.outputs[shuffle]

    def create(self, name: str) -> SegmentWriter:
        return SegmentWriter(os.path.join(self.directory, name))

    owner = "here"

    def scratch(self) -> str:
        return os.path.join(self.directory, f"scratch-{next(self._scratch)}")

    def may_commit(self, task_id: int) -> bool:
        return True


class Cache:
    """Cached partitions, as lists; ``computed`` says which were computed, in order."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], list[Any]] = {}
        self.computed: list[tuple[int, int]] = []

    def get(self, rdd: int, partition: int) -> list[Any] | None:
        return self.kept.get((rdd, partition))

    def keep(self, rdd: int, partition: int, rows: Iterator[Any], level: int, task: TaskRun) -> list[Any]:
        self.computed.append((rdd, partition))
        self.kept[rdd, partition] = list(rows)
        return self.kept[rdd, partition]


class PreparedHere(NamedTuple):
    """See engine.Prepared."""

    context: HereContext
    compiled: CompiledJob
    operation: str

    def start(self, partitions: Sequence[int]) -> StartedHere:
        for pickled in self.compiled.programs.values():
            pickled()
        return StartedHere(self, list(partitions))


class StartedHere:
    """See engine.Started. It runs at once; what it raises is kept for who waits."""

    def __init__(self, prepared: PreparedHere, partitions: list[int]) -> None:
        self.job = len(prepared.context.jobs)
        self._partitions = partitions
        self._values: list[Any] = []
        self._error: BaseException | None = None
        try:
            self._values = prepared.context.run_compiled(prepared.compiled, partitions, prepared.operation)
        except Exception as error:
            self._error = error

    def wait(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        return self._values

    def wait_partially(self, timeout_s: float) -> dict[int, Any]:
        return dict(zip(self._partitions, self.wait(), strict=True))

    def cancel(self, reason: str) -> None:
        self._error = JobCancelled(reason)

    def interrupted(self) -> KeyboardInterrupt:
        return KeyboardInterrupt()


class HereContext(FileSources, HadoopSources, JobControl, Shipping):
    """Runs compiled stages one task after another, in this thread."""

    def __init__(self, directory: str) -> None:
        self.files = Files(directory)
        shared = SharedFiles(DriverFiles(AppDirectory(directory, "")), lambda _: None, travels=False)
        self._application: Any = SimpleNamespace(
            stopped=False, shared=shared, status=StatusStore(10, 10, "here", 0),
            cancel=lambda which, reason: self.cancelled.append(reason),
        )  # fmt: skip
        self._install_shared_root()
        self.cache = Cache()
        self.accumulators: dict[int, Accumulator[Any]] = {}
        self.forgotten: list[tuple[str, int]] = []
        self.jobs: list[tuple[str, list[int]]] = []
        self.stages_run: list[int] = []
        self.activities: list[Following] = []
        self.cancelled: list[str] = []
        self._thread_properties = ThreadProperties()
        self.parallelism = 0
        self.limits: dict[str, Any] = {"properties": {"spark.simspark.fusion.afterRows": "0"}}
        self._ids = {kind: itertools.count() for kind in ("rdd", "shuffle", "stage", "broadcast", "accumulator")}
        self._tasks = itertools.count()

    defaultParallelism = property(lambda self: self.parallelism or 2)
    fuses = True
    reduce_parallelism = property(lambda self: self.parallelism)

    def next_id(self, kind: str) -> int:
        return next(self._ids[kind])

    def put_data(self, name: str, rows: list[Any], cuts: Sequence[tuple[int, int]]) -> None:
        file = self.files.create(name)
        for index, (start, stop) in enumerate(cuts):
            file.append(index, list(rows[start:stop]))
        file.commit()

    def put_broadcast(self, broadcast_id: int, value: Any) -> int:
        return 1

    def add_accumulator(self, accumulator: Accumulator[Any]) -> None:
        self.accumulators[accumulator.aid] = accumulator

    def clean_shuffles(self, shuffles: Sequence[int], blocking: bool) -> None:
        for shuffle in shuffles:
            self.files.outputs.pop(shuffle, None)

    def forget(self, kind: str, number: int) -> None:
        self.forgotten.append((kind, number))

    def unpersist_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        self.forgotten.append(("broadcast", broadcast_id))

    def destroy_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        self.forgotten.append(("broadcast", broadcast_id))

    def run_node(self, node: Node, sink: Sink, partitions: Sequence[int] | None, operation: str) -> list[Any]:
        wanted = range(node.partitions) if partitions is None else partitions
        return self.prepare_node(node, sink, operation).start(wanted).wait()

    def prepare_node(self, node: Node, sink: Sink, operation: str) -> Prepared:
        job = compile_job(node, sink, next_stage=lambda: self.next_id("stage"), name=operation)
        return self._checkpoints.then(PreparedHere(self, job, operation), node)

    def local_properties(self) -> dict[str, str]:
        return dict(self._thread_properties.values)

    def follow(self, activity: Following) -> None:
        self.activities.append(activity)

    def unfollow(self, activity: Following) -> None:
        self.activities.remove(activity)

    def run_compiled(self, job: CompiledJob, wanted: list[int], operation: str) -> list[Any]:
        check_wanted(job.stages[-1], len(set(wanted)))
        self.jobs.append((operation, wanted))
        for stage in job.stages[:-1]:
            if stage.shuffle not in self.files.outputs:
                done = self._run_stage(job, stage, range(stage.partitions))
                self.files.outputs[stage.shuffle] = [FileRef("here", each.name) for each in done]
        return [done.value for done in self._run_stage(job, job.stages[-1], wanted)]

    def _run_stage(self, job: Any, stage: StageSpec, partitions: Sequence[int]) -> list[Any]:
        if not stage.gang:
            return [self._run(job, stage.stage, part) for part in partitions]
        done = HereGang(stage.partitions).run(lambda part, gang: self._run(job, stage.stage, part, gang))
        return [done[part] for part in partitions]

    def _run(self, job: Any, stage: int, partition: int, gang: Any = None) -> Any:
        program = payload.load(job.programs[stage]())
        split = payload.load(payload.dump(job.splits[stage](partition)))
        task = TaskRun(job_id=0, stage_id=stage, stage_attempt=0, partition=partition, attempt=0,
                       task_id=next(self._tasks), data=self.files, cache=self.cache, gang=gang, **self.limits)
        self.stages_run.append(stage)
        done = run_program(program, split, task)
        for accumulator, update in task.accumulated.items():
            self.accumulators[accumulator].merge(update)
        if isinstance(done, MapDone):
            return done
        return type(done)(payload.load(_dumped(done.value)))


def _dumped(value: Any) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(value)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    masters = [name for name in os.environ.get("SIMSPARK_API_MASTERS", "").split(";") if name]
    if "sc" in metafunc.fixturenames:
        metafunc.parametrize("sc", ["here", *masters], indirect=True)
    if "real_sc" in metafunc.fixturenames:
        metafunc.parametrize("real_sc", masters or ["local[2]"], indirect=True)


@pytest.fixture
def sc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "here":
        directory: Path = tmp_path_factory.mktemp("here")
        context = HereContext(str(directory))
        yield context
        context._end_sharing()
        return
    from simspark import SparkContext

    with SparkContext(request.param, request.node.name) as context:
        yield context


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> HereContext:
    """The context that runs jobs in this process, for tests that look at what it did."""
    return HereContext(str(tmp_path_factory.mktemp("here")))


@pytest.fixture
def real_sc(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A context with two executors, for tests of what happens at the same time."""
    from simspark import SparkContext

    with SparkContext(request.param, request.node.name) as context:
        yield context


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Where tasks wait for the test."""
    made = Gate(tmp_path)
    yield made
    made.close()


@pytest.fixture
def second_gate(tmp_path: Path) -> Iterator[Gate]:
    """Another one. A task that is being cancelled may still pass its gate, and none but its own."""
    (tmp_path / "second").mkdir()
    made = Gate(tmp_path / "second")
    yield made
    made.close()
