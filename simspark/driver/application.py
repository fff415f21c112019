"""Everything that one context runs on, put together: directory, backend, listener, loop, counters.

``prepare`` is what an action comes to: ``action_run`` submits its compiled job, waits, and decodes the results in the
caller's thread.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from simspark.driver.action_run import PreparedAction
from simspark.driver.activities import Activities
from simspark.driver.closures import pickle_program
from simspark.driver.conf import DriverSettings
from simspark.driver.core import SchedulerCore
from simspark.driver.dispatch import INLINE_PROGRAM_BYTES
from simspark.driver.files import WHOLE, DriverFiles, ResultReader
from simspark.driver.job import AccumulatedUpdates, RunningJob, StageCode
from simspark.driver.master_url import ClusterMaster, LocalClusterMaster, LocalMaster, MasterUrl
from simspark.driver.needs import Offer, check_wanted, fitted
from simspark.driver.node import Splits
from simspark.driver.scheduling import JobSpec, SchedulerSettings
from simspark.driver.service import DRIVER, Engine
from simspark.driver.stages import CompiledJob
from simspark.driver.status import StatusStore
from simspark.driver.watchers import Watchers
from simspark.publib import optimizations
from simspark.publib.blocks.app_directory import AppDirectory, sweep_dead
from simspark.publib.clock import SystemClock
from simspark.publib.digest import blake2b
from simspark.publib.errors import ConfigError, ContextStopped
from simspark.publib.lineage.program import Program
from simspark.publib.lineage.shared import Accumulator
from simspark.publib.resources import cache_bytes, tasks_bytes
from simspark.publib.wire import payload
from simspark.publib.wire.messages import ExecutorSettings, Owner

if TYPE_CHECKING:
    from simspark.driver.large_values import LargeValues
    from simspark.driver.local_cluster import Nursery
    from simspark.driver.local_modules import LocalModules
    from simspark.driver.sample_collector import SampleCollector
    from simspark.driver.shared_files import SharedFiles
    from simspark.publib.template_client import TemplateClient

ACTIVITIES_STOP_S = 5.0
LEAST_CLUSTER_PARALLELISM = 2
KINDS = ("rdd", "shuffle", "stage", "job", "broadcast", "accumulator")


class Application:
    """One application of a driver. Methods are for user threads."""

    def __init__(self, master: MasterUrl, settings: DriverSettings, name: str,
                 early: TemplateClient | Nursery | None) -> None:
        self.settings = settings
        optimizations.do_without(settings.optimizations_off)
        self._watchers: Watchers | None = None
        self.accumulators: WeakValueDictionary[int, Accumulator[Any]] = WeakValueDictionary()
        self._counters: dict[str, Callable[[], int]] = {kind: itertools.count().__next__ for kind in KINDS}
        self.stopped = False
        self._master = master
        self._clock = SystemClock()
        self._sampling = _sampling(settings, name, self._clock)
        self.start_time_s = self._clock.wall()
        self._lock = threading.Lock()
        self.id = f"local-{int(self.start_time_s * 1000)}-{os.getpid()}"
        root = scratch_root(settings.local_dir)
        sweep_dead(root)
        self.directory = AppDirectory.create(root, self.id)
        self.files = DriverFiles(self.directory)
        self._nonce_secret = os.urandom(32)
        self._programs: set[str] = set()
        self._shared: SharedFiles | None = None
        self._modules: LocalModules | None = None
        self._large: LargeValues | None = None
        self._close: list[Callable[[], None]] = []
        self.updates = AccumulatedUpdates(self._apply_updates)
        self.activities = Activities(self._clock)
        self.status = StatusStore(settings.retained_jobs, settings.retained_stages, settings.driver_host or "localhost",
                                  cache_bytes(settings.executor_memory_bytes))
        try:
            self._start(name, early)
        except BaseException:
            self.directory.remove()
            if self._sampling is not None:
                self._sampling.end()
            raise

    def _start(self, name: str, early: TemplateClient | Nursery | None) -> None:
        if isinstance(self._master, LocalMaster):
            self._start_local(self._master, cast("TemplateClient", early))
        else:
            self._start_cluster(self._master, name, cast("Nursery | None", early))

    def _start_local(self, master: LocalMaster, template: TemplateClient) -> None:
        from simspark.driver.local import WORKER, LocalBackend
        from simspark.publib.wire.envelope import local_identity
        from simspark.publib.wire.unix import UnixListener

        cores = self._local_cores(master)
        executors = master.executors // cores
        backend = LocalBackend(self.id, executors, self.directory, 0, self._nonce_secret, template, cores)
        self.engine = self._make_engine(backend)
        listener = UnixListener(f"{self.directory.path}/driver", local_identity("driver"))
        self.engine.listen(listener)
        for owner in (DRIVER, WORKER):
            self.engine.add_owner(Owner(owner, self.directory.path, self.directory.token, "", ""))
        backend.attach(self.engine.loop, self.engine, listener.endpoint)
        self.engine.start()
        self.parallelism = master.executors
        self._offer = self._offered(cores, executors * cores, 0)
        self.results = ResultReader(self.engine.owner, None)

    def _local_cores(self, master: LocalMaster) -> int:
        """Cores of each executor here: one, unless tasks take more."""
        cores = max(1, math.ceil(float(self.settings.task_cpus)))
        if cores > master.executors:
            raise ConfigError(
                f"spark.task.cpus is {self.settings.task_cpus}, and {self.settings.master} has {master.executors} "
                "cores: not one task fits. Lower the first or raise the second. (SS101)"
            )
        return cores

    def _offered(self, slots_per_executor: int, most_slots: int, memory_bytes: int) -> Offer:
        settings = self.settings
        return Offer(settings.master, settings.task_cpus, slots_per_executor, most_slots, memory_bytes,
                     settings.merges_profiles)

    def _start_cluster(self, master: ClusterMaster | LocalClusterMaster, name: str, nursery: Nursery | None) -> None:
        access, close = self._cluster_access(master, nursery)
        self._close = [close]
        from simspark.driver.cluster_backend import ClusterBackend

        backend = ClusterBackend(access, self.settings, self.directory, self._clock, self._nonce_secret, name,
                                 swept=nursery is not None)
        try:
            self.engine = self._make_engine(backend)
            backend.start(self.engine)
        except BaseException:
            self.engine.stop()
            close()
            raise
        self.id = backend.application
        most = self.settings.cores_max or backend.slots
        self.parallelism = max(LEAST_CLUSTER_PARALLELISM, min(backend.slots, most))
        cores, memory = self.settings.executor_cores, self.settings.executor_memory_bytes
        has_all = isinstance(master, LocalClusterMaster)  # no worker will join it
        most = self.settings.cores_max or (backend.slots if has_all else 0)
        self._offer = self._offered(cores, most // cores * cores, memory)
        self.results = ResultReader(self.engine.owner, backend.fetch)

    def _cluster_access(self, master: ClusterMaster | LocalClusterMaster,
                        nursery: Nursery | None) -> tuple[Any, Callable[[], None]]:
        cluster = None
        if isinstance(master, LocalClusterMaster):
            from simspark.driver.local_cluster import LocalCluster

            cluster = LocalCluster(self.directory.path, master, nursery)
        from simspark.driver.cluster_backend import ClusterAccess
        from simspark.publib import config
        from simspark.publib.wire.keys import client_keys

        if cluster is not None:
            keys = client_keys(cluster.keys_dir, "", "driver")
            return ClusterAccess((cluster.url.removeprefix("simspark://"),), keys), cluster.stop
        assert isinstance(master, ClusterMaster)
        access = config.load().access()
        keys = client_keys(access.keys_dir, access.token.reveal(), "driver")
        return ClusterAccess(master.addresses, keys), _nothing

    def _make_engine(self, backend: Any) -> Engine:
        limits = scheduler_settings(self.settings)
        if isinstance(self._master, LocalMaster):
            # nobody else could use them, none would come back, and none are elsewhere
            limits = limits._replace(idle_release_s=0.0, elsewhere_wait_s=0.0)
        engine = Engine(self._clock, SchedulerCore(limits), backend, self.updates, self._executor_settings,
                        self._nonce_secret, self.files.remove)
        self._watchers = Watchers(engine.loop, self._clock, self.settings, self.id, engine.waiting_text)
        engine.sinks += [self.status.handle, self._watchers.handle]
        if self._sampling is not None:
            self._sampling.attach(engine)
        return engine

    def _executor_settings(self, worker: str) -> ExecutorSettings:
        settings = self.settings
        owner = self.engine.owner(worker) or Owner(worker, "", "", "", "")
        return ExecutorSettings(
            application=self.id,
            import_path=tuple(os.path.abspath(path) for path in sys.path if isinstance(path, str)),
            working_directory=os.getcwd(),
            memory_budget_bytes=tasks_bytes(settings.executor_memory_bytes) // settings.executor_cores,
            batch_rows=settings.batch_rows,
            inline_result_bytes=settings.inline_result_bytes,
            properties=_task_properties(settings),
            owner=owner,
            environment=settings.executor_environment,
        )

    # ── what the program shares ──────────────────────────────────────────────────────────────────────────────────

    @property
    def shared(self) -> SharedFiles:
        """Files, archives and modules for tasks."""
        with self._lock:
            if self._shared is None:
                from simspark.driver.shared_files import SharedFiles

                self._shared = SharedFiles(self.files, self.engine.share, self._has_far_executors())
            return self._shared

    def pickle(self, program: Program) -> bytes:
        """Pickle a stage's program. It holds what it refers to: broadcasts, and blocks of large values in it."""
        from simspark.driver.lifeline import holding
        from simspark.publib.lineage.shared import PickledBroadcasts

        with PickledBroadcasts() as lifelines:
            data = self._pickled(program)
        return holding(data, lifelines) if lifelines else data

    def _pickled(self, program: Program) -> bytes:
        data = pickle_program(program)
        most = self.settings.auto_broadcast_bytes
        if not most or len(data) <= most or not optimizations.uses("large-values"):
            return data
        with self._lock:
            if self._large is None:
                from simspark.driver.large_values import LargeValues

                self._large = LargeValues(lambda: self.next_id("broadcast"), self.files, self.engine.forget, most)
        return self._large.split(program) or data

    def _share_modules(self) -> None:
        """Let executors have the program's own modules as they are now."""
        if self._modules is None:
            from simspark.driver.local_modules import LocalModules

            most = self.settings.ship_max_bytes
            self._modules = LocalModules(self._share_now, most, self._has_far_executors())
        self._modules.refresh()

    def _share_now(self, entries: list[tuple[str, str]], modules: tuple[str, ...], problem: str) -> None:
        self.shared.share_modules(entries, modules, problem)

    def _has_far_executors(self) -> bool:
        """Whether executors may be on machines that do not see this one's files."""
        return isinstance(self._master, ClusterMaster) or (
            isinstance(self._master, LocalClusterMaster) and self.settings.blocks_over_network
        )

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def next_id(self, kind: str) -> int:
        """A number not given before. Any thread."""
        return self._counters[kind]()

    def counter(self, kind: str) -> Callable[[], int]:
        """What gives such numbers."""
        return self._counters[kind]

    def prepare(self, compiled: CompiledJob, name: str, site: str, properties: dict[str, str]) -> PreparedAction:
        """Pickle what executors need of a job, here, in the caller's thread, where an error belongs."""
        return PreparedAction(self, compiled, name, site, properties)

    def submit(self, job: RunningJob) -> None:
        """Run a job, if the context is not over."""
        if self.stopped:
            raise ContextStopped("This SparkContext was stopped. Make a new one: SparkContext(...). (SS103)")
        self.engine.submit(job)

    def cancel(self, which: Callable[[Mapping[str, str]], bool], reason: str) -> None:
        """Cancel the jobs, and what goes on in the background, whose properties ``which`` picks."""
        self.engine.cancel_all(which, reason)
        self.activities.cancel(which, reason)

    def codes(self, compiled: CompiledJob) -> dict[int, StageCode]:
        """What executors need of each stage."""
        if self.settings.ship_modules:
            self._share_modules()
        return {stage: self._code(pickled(), compiled.splits[stage]) for stage, pickled in compiled.programs.items()}

    def _code(self, program: bytes, split: Splits) -> StageCode:
        digest = blake2b(program, digest_size=16).digest()
        name = ""
        if len(program) > INLINE_PROGRAM_BYTES:
            name = f"program-{digest.hex()}"
            if name not in self._programs:
                self._programs.add(name)
                self.files.put_value(name, bytes(program), WHOLE)

        def pickled_split(partition: int) -> bytes:
            part = split(partition)
            return b"" if part is None else payload.dump(part)

        return StageCode(digest, program, name, pickled_split)

    def spec(self, compiled: CompiledJob, partitions: tuple[int, ...], name: str, site: str,
             properties: dict[str, str], rerun: int) -> JobSpec:
        """The scheduler's view of a new job. Raises what says that it cannot run here."""
        check_wanted(compiled.stages[-1], len(partitions))
        each = zip(compiled.stages, compiled.profiles, strict=True)
        stages = tuple([fitted(stage, profiles, self._offer) for stage, profiles in each])
        return JobSpec(
            job=self.next_id("job"), stages=stages, partitions=partitions,
            max_failures=self.settings.max_failures or self._master.max_failures,
            max_losses=self.settings.max_losses, name=name, site=site,
            pool=properties.get("spark.scheduler.pool", "default"), group=properties.get("spark.jobGroup.id", ""),
            rerun=rerun,
        )  # fmt: skip

    def _apply_updates(self, accumulated: bytes) -> None:
        for accumulator, update in payload.load(accumulated).items():
            known = self.accumulators.get(accumulator)
            if known is not None:
                known.merge(update)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """End the application; afterwards no process or file of it is left. Twice is harmless."""
        with self._lock:
            if self.stopped:
                return
            self.stopped = True
        self.engine.stop()
        self.activities.end(ACTIVITIES_STOP_S)
        if self._watchers is not None:
            self._watchers.close()
        if self._sampling is not None:
            self._sampling.write(self.id)
        for close in self._close:
            close()
        self.directory.remove()


def scratch_root(local_dir: str) -> str:
    """Where this user's applications keep short-lived files: short enough for a socket's path."""
    if local_dir:
        return os.path.abspath(local_dir)
    from simspark.publib.config import surroundings

    return surroundings().temporary


def _sampling(settings: DriverSettings, name: str, clock: SystemClock) -> SampleCollector | None:
    if not settings.profile_sample_hz:
        return None
    from simspark.driver.sample_collector import SampleCollector

    return SampleCollector(name, settings.profile_sample_hz, settings.profile_out, clock)


def _task_properties(settings: DriverSettings) -> dict[str, str]:
    """What executors know of the settings."""
    properties = {"spark.simspark.errors.showValues": str(settings.show_values).lower(),
                  optimizations.SETTING: ",".join(settings.optimizations_off),
                  "spark.simspark.fusion": str(settings.fusion).lower(),
                  "spark.simspark.fusion.afterRows": str(settings.fused_after_rows)}
    if settings.profile_sample_hz:
        properties["spark.simspark.profile.sample"] = str(settings.profile_sample_hz)
    return properties


def _nothing() -> None:
    """A cluster that others started needs no closing."""


def scheduler_settings(settings: DriverSettings) -> SchedulerSettings:
    """What the scheduler core needs of the driver's settings."""
    shared = set(SchedulerSettings._fields) & set(settings._fields)
    limits = {field: getattr(settings, field) for field in shared}
    return SchedulerSettings(**limits, max_executors=settings.cores_max // settings.executor_cores)
