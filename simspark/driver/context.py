"""SparkContext: the door of the library. One at a time in a process; what it runs on is in ``application``."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from simspark._version import __version__
from simspark.driver.call_site import call_site
from simspark.driver.conf import SparkConf, driver_settings, unknown_settings
from simspark.driver.engine_choice import EngineChoice
from simspark.driver.job_control import JobControl, ThreadProperties
from simspark.driver.made_with import DEFAULT_SERIALIZER, MadeWith, check_arguments
from simspark.driver.master_url import LocalClusterMaster, LocalMaster, MasterUrl, parse_master
from simspark.driver.profiles import Profiles
from simspark.driver.rdd.file_sources import FileSources
from simspark.driver.rdd.hadoop_sources import HadoopSources
from simspark.driver.shipping import Shipping
from simspark.driver.user_errors import action
from simspark.publib.errors import ConfigError, NotSerializable
from simspark.publib.profilers import BasicProfiler, MemoryProfiler, Profiler, UDFBasicProfiler
from simspark.publib.serializers import Serializer

if TYPE_CHECKING:
    from simspark.driver.application import Application
    from simspark.driver.conf import DriverSettings
    from simspark.driver.engine import Following, Prepared
    from simspark.driver.local_cluster import Nursery
    from simspark.driver.node import Node
    from simspark.driver.stages import Finish
    from simspark.publib.lineage.shared import Accumulator
    from simspark.publib.lineage.task import Sink
    from simspark.publib.resource_profiles import ResourceInformation
    from simspark.publib.template_client import TemplateClient

DEFAULT_MASTER = "local[*]"
LEAST_PARALLELISM = 2


class SparkContext(JobControl, FileSources, HadoopSources, Shipping, Profiles, MadeWith, EngineChoice):
    """Connects a program to executors, and makes RDDs, broadcasts and accumulators.

    ``master`` is where the program runs: ``local[N]`` (N executors on this machine; ``local[*]``, one a core, by
    default), ``local[N,F]`` (each task may fail F times), ``local-cluster[W,E,MB]`` (a real master and W workers with E
    executors of MB MiB each, for the life of the context) or ``simspark://host:port``. A master of Apache Spark's
    (``spark://host:port``, ``yarn``, ``k8s://...``) has Spark run the program, through PySpark. Raises ConfigError for
    settings that cannot be, NoMaster and AccessRefused for clusters.

    >>> from simspark import SparkContext
    >>> with SparkContext("local[2]", "sum") as sc:
    ...     sc.parallelize([1, 2, 3]).map(lambda x: x * 2).sum()
    12
    """

    _active: ClassVar[SparkContext | None] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()

    @action
    def __init__(self, master: str | None = None, appName: str | None = None, sparkHome: str | None = None,
                 pyFiles: Sequence[str] | None = None, environment: dict[str, str] | None = None, batchSize: int = 0,
                 serializer: Serializer = DEFAULT_SERIALIZER, conf: SparkConf | None = None, gateway: None = None,
                 jsc: None = None, profiler_cls: type[Profiler] = BasicProfiler,
                 udf_profiler_cls: type[Profiler] = UDFBasicProfiler,
                 memory_profiler_cls: type[Profiler] = MemoryProfiler) -> None:
        """See the class.

        ``batchSize`` is how many rows ``parallelize`` keeps together, at most, when it cuts a collection (0: 1,024).
        ``serializer`` changes nothing of what RDDs hold: rows travel in simspark's own format; with MarshalSerializer
        they may be of any type. ``gateway`` and ``jsc`` are PySpark's, and None here. The profiler classes count when
        ``spark.python.profile`` is true.
        """
        check_arguments(serializer, batchSize, gateway, jsc)
        with SparkContext._lock:
            self._refuse_a_second()
            self._conf = _effective_conf(conf, master, appName, environment, sparkHome)
            for text in unknown_settings(self._conf):
                print_warning(text)
            master_url = parse_master(str(self._conf.get("spark.master")))
            if isinstance(master_url, LocalClusterMaster):
                self._conf.setIfMissing("spark.executor.memory", f"{master_url.memory_mib}m")
            settings = driver_settings(self._conf)
            self._thread_properties = ThreadProperties()
            self._application = _application(master_url, settings)
            self._checkpoints.clean = settings.clean_checkpoints
            self._conf.set("spark.app.id", self.applicationId).set("spark.app.startTime", self.startTime)
            self._made_at = call_site()
            self._keep_arguments(serializer, batchSize)
            self._start_profiling(settings, (profiler_cls, udf_profiler_cls, memory_profiler_cls))
            SparkContext._active = self
        atexit.register(self.stop)
        try:
            self._share_first(pyFiles or (), settings)
            if settings.checkpoint_dir:
                self.setCheckpointDir(settings.checkpoint_dir)
        except BaseException:
            self.stop()
            raise

    @classmethod
    def _refuse_a_second(cls) -> None:
        other = SparkContext._active
        if other is not None:
            raise ValueError(
                f"A SparkContext is running already (app={other.appName}, master={other.master}), made at "
                f"{other._made_at}. Stop it first, or use SparkContext.getOrCreate(). (SS100)"
            )

    @classmethod
    def getOrCreate(cls, conf: SparkConf | None = None) -> SparkContext:
        """Return the running context, or make one.

        >>> from simspark import SparkContext
        >>> sc = SparkContext.getOrCreate()
        >>> SparkContext.getOrCreate() is sc
        True
        >>> sc.stop()
        """
        with SparkContext._lock:
            return SparkContext._active or cls(conf=conf)

    def stop(self) -> None:
        """End the application: its executors and files are gone afterwards. Twice is harmless.

        Jobs that run are cancelled, also those of futures.

        >>> from simspark import SparkContext
        >>> sc = SparkContext("local[1]")
        >>> sc.stop()
        >>> sc.stop()
        """
        with SparkContext._lock:
            if SparkContext._active is self:
                SparkContext._active = None
        atexit.unregister(self.stop)
        self._application.stop()
        self._end_sharing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.stop()

    def __getnewargs__(self) -> Any:
        raise NotSerializable("A SparkContext lives in the driver only; functions of tasks cannot use it. (SS102)")

    def __repr__(self) -> str:
        return f"<SparkContext master={self.master} appName={self.appName}>"

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def master(self) -> str:
        """The master URL.

        >>> sc.master
        'local[2]'
        """
        return self._application.settings.master

    @property
    def appName(self) -> str:
        """The application's name, for people.

        >>> sc.appName
        'examples'
        """
        return self._application.settings.app_name

    @property
    def applicationId(self) -> str:
        """The application's id: unique on its cluster.

        >>> sc.applicationId == sc.getConf().get("spark.app.id")
        True
        """
        return self._application.id

    @property
    def version(self) -> str:
        """The version of simspark.

        >>> sc.version
        '...'
        """
        return __version__

    @property
    def startTime(self) -> int:
        """When the context was made: milliseconds since the epoch.

        >>> sc.startTime > 1_500_000_000_000
        True
        """
        return int(self._application.start_time_s * 1000)

    @property
    def defaultParallelism(self) -> int:
        """Partitions where the program names none: spark.default.parallelism, or one for each core.

        >>> sc.defaultParallelism
        2
        """
        return self._application.settings.default_parallelism or self._application.parallelism

    @property
    def defaultMinPartitions(self) -> int:
        """Least partitions of a file where the program names none.

        >>> sc.defaultMinPartitions
        2
        """
        return min(self.defaultParallelism, LEAST_PARALLELISM)

    @property
    def reduce_parallelism(self) -> int:
        """See driver.engine."""
        return self._application.settings.default_parallelism

    @property
    def fuses(self) -> bool:
        """See driver.engine."""
        settings = self._application.settings
        return settings.fusion and "fusion" not in settings.optimizations_off

    @property
    def resources(self) -> dict[str, ResourceInformation]:
        """What the driver was given beside cores, by name: nothing, since no worker offers any.

        >>> sc.resources
        {}
        """
        return {}

    def sparkUser(self) -> str:
        """Who runs the program.

        >>> len(sc.sparkUser()) > 0
        True
        """
        import getpass

        return getpass.getuser()

    def getConf(self) -> SparkConf:
        """A copy of the settings.

        >>> sc.getConf().get("spark.master")
        'local[2]'
        """
        return self._conf.copy()

    def waiting_text(self) -> str:
        """What the running jobs wait for, in words; empty when they wait for nothing.

        >>> sc.waiting_text()
        ''
        """
        return self._application.engine.waiting_text()

    # ── see driver.engine ────────────────────────────────────────────────────────────────────────────────────────

    def next_id(self, kind: str) -> int:
        """See driver.engine."""
        self._running()
        return self._application.next_id(kind)

    def run_node(self, node: Node, sink: Sink, partitions: Sequence[int] | None, operation: str) -> list[Any]:
        """See driver.engine."""
        wanted = range(node.partitions) if partitions is None else partitions
        return self.prepare_node(node, sink, operation).start(wanted).wait()

    def prepare_node(self, node: Node, sink: Sink, operation: str) -> Prepared:
        """See driver.engine."""
        from simspark.driver.stages import compile_job

        application = self._running()
        compiled = compile_job(node, sink, next_stage=application.counter("stage"), name=operation,
                               finish=self._finish(), pickle=application.pickle)
        site = getattr(sink, "site", "") or str(call_site())
        prepared = application.prepare(compiled, operation, site, self.local_properties())
        return self._checkpoints.then(prepared, node)

    def local_properties(self) -> dict[str, str]:
        """See driver.engine."""
        return dict(self._thread_properties.values)

    def follow(self, activity: Following) -> None:
        """See driver.engine."""
        self._application.activities.add(activity)

    def unfollow(self, activity: Following) -> None:
        """See driver.engine."""
        self._application.activities.remove(activity)

    def _finish(self) -> Finish | None:
        collector = self.profiler_collector
        if collector is None or not self._application.settings.profile:
            return None
        from functools import partial

        from simspark.driver.profiles import profiled_program

        return partial(profiled_program, collector, self)

    def put_data(self, name: str, rows: list[Any], cuts: Sequence[tuple[int, int]]) -> None:
        """See driver.engine."""
        self._running().files.put_data(name, rows, cuts)

    def put_broadcast(self, broadcast_id: int, value: Any) -> int:
        """See driver.engine."""
        application = self._running()
        application.engine.drop_forgotten()  # room for it: often it takes the place of another
        return application.files.put_value(f"broadcast-{broadcast_id}", value)

    def add_accumulator(self, accumulator: Accumulator[Any]) -> None:
        """See driver.engine."""
        self._running().accumulators[accumulator.aid] = accumulator

    def clean_shuffles(self, shuffles: Sequence[int], blocking: bool) -> None:
        """See driver.engine."""
        self._running().engine.clean_shuffles(shuffles, blocking)

    def forget(self, kind: str, number: int) -> None:
        """See driver.engine."""
        self._application.engine.forget(kind, number)

    def unpersist_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        """See BroadcastOwner."""
        self._application.engine.forget("broadcast", broadcast_id)
        self._application.engine.drop_forgotten()

    def destroy_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        """See BroadcastOwner."""
        self._application.engine.forget("destroyed", broadcast_id)
        self._application.engine.drop_forgotten()


SimContext = SparkContext


def _application(master: MasterUrl, settings: DriverSettings) -> Application:
    """What the context runs on. The processes for it start first, and import while this process does."""
    early: TemplateClient | Nursery | None = None
    try:
        if isinstance(master, LocalMaster):
            from simspark.publib.template_client import HERE, TemplateClient

            early = TemplateClient(HERE)
            early.start(None)
        elif isinstance(master, LocalClusterMaster):
            from simspark.driver.local_cluster import nursery_for

            early = nursery_for(master)
        from simspark.driver.application import Application

        return Application(master, settings, settings.app_name, early)
    except BaseException:
        if early is not None:
            early.close()
        raise


def _effective_conf(conf: SparkConf | None, master: str | None, name: str | None,
                    environment: dict[str, str] | None, home: str | None) -> SparkConf:
    """Arguments over the conf over the defaults."""
    made = SparkConf() if conf is None else conf.copy()
    if conf is not None:
        made.setAll((key, value) for key, value in SparkConf().getAll() if not conf.contains(key))
    if master is not None:
        if not isinstance(master, str):
            raise ConfigError(f"The master must be a URL such as 'local[2]', not {type(master).__name__}. (SS101)")
        made.setMaster(master)
    made.setIfMissing("spark.master", DEFAULT_MASTER)
    if home is not None:
        made.setSparkHome(home)
    if name is not None:
        made.setAppName(name)
    made.setIfMissing("spark.app.name", script_name())
    if environment:
        made.setExecutorEnv(pairs=list(environment.items()))
    return made


def script_name() -> str:
    """What an application without a name is called."""
    import os

    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c") else "simspark"


def print_warning(text: str) -> None:
    """Warn the user of something in the program; Python's own way, so that it can be filtered."""
    import warnings

    warnings.warn(text, UserWarning, stacklevel=4)
