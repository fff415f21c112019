"""SparkConf, the registry of settings that it knows, and the frozen value that the driver works with.

Settings that Spark has keep Spark's names; ours are under ``spark.simspark.*``. An unknown ``spark.*`` setting is
kept, so that a program written for Spark runs, and warned about once, with the name that was probably meant. Sizes are
written "512m", times "30s".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from simspark.driver.system_properties import spark_properties
from simspark.publib.errors import ConfigError
from simspark.publib.named_tuple import NamedTuple

ENVIRONMENT = {
    "SIMSPARK_MASTER": "spark.master",
    "SIMSPARK_LOCAL_DIR": "spark.local.dir",
    "SIMSPARK_PROGRESS": "spark.simspark.progress",
    "SIMSPARK_PROFILE_SAMPLE": "spark.simspark.profile.sample",
    "SIMSPARK_PROFILE_OUT": "spark.simspark.profile.out",
}
"""Variables that a new SparkConf reads, and the settings that they give."""

EXECUTOR_ENV = "spark.executorEnv."
MOST_SAMPLES_HZ = 1000

# Prefixes of what Spark knows and what has nothing to set here: kept without a word.
_SPARK_ONLY = (
    "spark.sql.", "spark.hadoop.", "spark.ui.", "spark.yarn.", "spark.kubernetes.", "spark.jars", "spark.serializer",
    "spark.kryo", "spark.driver.extra", "spark.executor.extra", "spark.submit.", "spark.python.", "spark.pyspark.",
    "spark.history.", "spark.rdd.compress", "spark.io.",
    "spark.driver.cores", "spark.driver.memory", "spark.executor.instances", "spark.shuffle.", "spark.logConf",
    "spark.memory.", "spark.broadcast.", "spark.network.", "spark.rpc.", "spark.storage.", "spark.streaming.",
    "spark.home", "spark.security.", "spark.authenticate", "spark.eventLog.", "spark.dynamicAllocation.",
    "spark.executor.id", "spark.app.", "spark.scheduler.barrier.",
)  # fmt: skip


class DriverSettings(NamedTuple):
    """What the driver was told, parsed: one value for the life of a context. 0 stands for "not set" or "no limit"."""

    master: str
    app_name: str
    max_failures: int
    max_losses: int
    max_result_bytes: int
    default_parallelism: int
    executor_cores: int
    executor_memory_bytes: int
    cores_max: int
    batch_rows: int
    inline_result_bytes: int
    task_timeout_s: float
    locality_wait_s: float
    silent_is_lost_s: float
    idle_release_s: float
    unmet_need_fails_s: float
    node_exclude_s: float
    elsewhere_wait_s: float
    speculation: bool
    speculation_multiplier: float
    speculation_quantile: float
    speculation_interval_s: float
    pool_mode: str
    placement: str
    labels: dict[str, str]
    driver_host: str
    driver_bind_address: str
    driver_port: int
    block_port: int
    blocks_over_network: bool
    local_dir: str
    shared_files: str
    shared_archives: str
    python_files: str
    ship_modules: bool
    ship_max_bytes: int
    checkpoint_dir: str
    clean_checkpoints: bool
    retained_jobs: int
    retained_stages: int
    profile: bool
    profile_dump: str
    profile_memory: bool
    profile_sample_hz: float
    profile_out: str
    auto_broadcast_bytes: int
    optimizations_off: frozenset[str]
    fusion: bool
    fused_after_rows: int
    event_log: bool
    event_log_dir: str
    event_log_max_bytes: int
    progress: str
    show_values: bool
    full_errors: bool
    task_cpus: str
    barrier_timeout_s: float
    merges_profiles: bool
    executor_environment: dict[str, str]


class _Kind(NamedTuple):
    """How the text of a setting is read, and what such a text looks like."""

    parse: Callable[[str], Any]
    form: str


class DriverSetting(NamedTuple):
    """One setting: its key, the field of DriverSettings that it fills, type, default text and meaning."""

    key: str
    field: str
    kind: _Kind
    default: str
    doc: str


def _size(text: str) -> int:
    from simspark.publib.settings import parse_size

    return parse_size(text)


def _time(text: str) -> float:
    from simspark.publib.settings import parse_time

    return parse_time(text)


def _labels(text: str) -> dict[str, str]:
    from simspark.publib.settings import parse_labels

    return parse_labels(text)


def _count(text: str) -> int:
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]


def _factor(text: str) -> float:
    if not 0 < float(text) < 1e9:
        raise ValueError(text)
    return float(text)


def _rate(text: str) -> float:
    if not 0 <= float(text) <= MOST_SAMPLES_HZ:
        raise ValueError(text)
    return float(text)


def _cpus(text: str) -> str:
    if not 1e-9 <= float(text) <= 0x7FFFFFFF:
        raise ValueError(text)
    return f"{float(text):g}"


def _optimizations(text: str) -> frozenset[str]:
    if not text:
        return frozenset()  # as nearly always: then there is nothing to load
    from simspark.publib.optimizations import NAMES, SETTING, names_in

    try:
        return names_in(text)
    except ValueError:
        raise ConfigError(f"{SETTING} is {text!r}, but must be some of {', '.join(NAMES)}. (SS101)") from None


def _choice(*words: str) -> _Kind:
    def parse(text: str) -> str:
        return words[[word.lower() for word in words].index(text.strip().lower())]

    return _Kind(parse, " or ".join(words))


_TEXT = _Kind(str, "text")
_COUNT = _Kind(_count, "a whole number, 0 or more")
_SIZE = _Kind(_size, 'a size such as "512m" or "2g"')
_TIME = _Kind(_time, 'a time such as "500ms", "30s" or "2m"')
_FLAG = _Kind(_flag, "true or false")
_CPUS = _Kind(_cpus, "a number of cores, above 0")
_RATE = _Kind(_rate, "a number of times a second, at most 1000")
_FACTOR = _Kind(_factor, "a number above 0")
_OPTIMIZATIONS = _Kind(_optimizations, "names of optimizations, with commas between them")
_LABELS = _Kind(_labels, "KEY=VALUE, several with commas")

SETTINGS: tuple[DriverSetting, ...] = tuple(DriverSetting(*row) for row in (
    ("spark.master", "master", _TEXT, "", "Where the program runs; local[*] when nothing is said."),
    ("spark.app.name", "app_name", _TEXT, "", "The application's name, for people."),
    ("spark.task.maxFailures", "max_failures", _COUNT, "0",
     "Attempts of one task that may raise; 0: the master URL decides (1 in local[N], 4 on clusters)."),
    ("spark.simspark.task.maxLosses", "max_losses", _COUNT, "4",
     "Attempts of one task that may end because their executor did."),
    ("spark.driver.maxResultSize", "max_result_bytes", _SIZE, "1g",
     "Largest sum of one job's results; 0: no limit."),
    ("spark.default.parallelism", "default_parallelism", _COUNT, "0",
     "Partitions where the program names none; 0: as many as there are cores, at least 2."),
    ("spark.executor.cores", "executor_cores", _COUNT, "1", "Task threads in each executor."),
    ("spark.executor.memory", "executor_memory_bytes", _SIZE, "1g", "Memory of each executor."),
    ("spark.cores.max", "cores_max", _COUNT, "0", "Most cores that the application takes; 0: no limit."),
    ("spark.simspark.batchRows", "batch_rows", _COUNT, "1000", "Rows that are pickled together."),
    ("spark.simspark.inlineResult", "inline_result_bytes", _SIZE, "64k",
     "Results up to this size travel in the task's report, larger ones as files."),
    ("spark.simspark.task.timeout", "task_timeout_s", _TIME, "0", "Longest time of one attempt; 0: no limit."),
    ("spark.locality.wait", "locality_wait_s", _TIME, "300ms", "How long a task waits for a slot near its data."),
    ("spark.simspark.executor.silentIsLost", "silent_is_lost_s", _TIME, "15s",
     "An executor whose connection is broken for so long is given up."),
    ("spark.dynamicAllocation.executorIdleTimeout", "idle_release_s", _TIME, "10s",
     "Executors idle for so long are given back."),
    ("spark.simspark.scheduler.unmetNeedFails", "unmet_need_fails_s", _TIME, "120s",
     "A job that no registered worker could serve, even idle, fails after this time; 0: it waits."),
    ("spark.excludeOnFailure.timeout", "node_exclude_s", _TIME, "60s", "How long a faulty node gets no tasks."),
    ("spark.simspark.scheduler.elsewhereWait", "elsewhere_wait_s", _TIME, "15s",
     "How long a task that a machine's disk failed waits for an executor on another machine."),
    ("spark.task.cpus", "task_cpus", _CPUS, "1", "Cores that each task takes; a part of one counts as one."),
    ("spark.barrier.sync.timeout", "barrier_timeout_s", _TIME, "365d",
     "How long tasks of a barrier stage wait for each other in one barrier() or allGather()."),
    ("spark.scheduler.resource.profileMergeConflicts", "merges_profiles", _FLAG, "false",
     "Take the most of each where RDDs of one stage have several resource profiles; otherwise that is refused."),
    ("spark.speculation", "speculation", _FLAG, "false", "Start copies of tasks that take much longer than others."),
    ("spark.speculation.multiplier", "speculation_multiplier", _FACTOR, "3", "How many times the median is slow."),
    ("spark.speculation.quantile", "speculation_quantile", _FACTOR, "0.75",
     "Share of a stage's tasks that must be done before copies start."),
    ("spark.speculation.interval", "speculation_interval_s", _TIME, "100ms", "How often slow tasks are looked for."),
    ("spark.scheduler.mode", "pool_mode", _choice("FIFO", "FAIR"), "FIFO", "How jobs of one program share slots."),
    ("spark.simspark.placement", "placement", _choice("spread", "pack"), "spread",
     "Executors on many workers, or on few."),
    ("spark.simspark.labels", "labels", _LABELS, "", "Labels that workers must have."),
    ("spark.driver.host", "driver_host", _TEXT, "", "Address at which executors reach the driver."),
    ("spark.driver.bindAddress", "driver_bind_address", _TEXT, "", "Address that the driver listens on."),
    ("spark.driver.port", "driver_port", _COUNT, "0", "Port that the driver listens on; 0: a free one."),
    ("spark.blockManager.port", "block_port", _COUNT, "0", "Port of the driver's block server; 0: a free one."),
    ("spark.simspark.blocks.overNetwork", "blocks_over_network", _FLAG, "false",
     "On a cluster, speak and fetch over the network even where Unix sockets and mapped files would do: for tests."),
    ("spark.local.dir", "local_dir", _TEXT, "", "Where short-lived files are; the temporary directory if empty."),
    ("spark.files", "shared_files", _TEXT, "", "Files to add for tasks, with commas between them."),
    ("spark.archives", "shared_archives", _TEXT, "", "Archives to unpack for tasks, with commas between them."),
    ("spark.submit.pyFiles", "python_files", _TEXT, "",
     "Python files, zips or package directories that tasks may import, with commas between them."),
    ("spark.simspark.ship.localModules", "ship_modules", _FLAG, "true",
     "Send the program's own modules, those beside its script, to executors that lack them."),
    ("spark.simspark.ship.maxSize", "ship_max_bytes", _SIZE, "32m", "Largest size of the program's own modules."),
    ("spark.checkpoint.dir", "checkpoint_dir", _TEXT, "", "Where setCheckpointDir() is not called: its directory."),
    ("spark.cleaner.referenceTracking.cleanCheckpoints", "clean_checkpoints", _FLAG, "false",
     "Remove the files of a checkpoint when nothing of the program refers to its RDD any more."),
    ("spark.ui.retainedJobs", "retained_jobs", _COUNT, "1000", "Jobs that statusTracker() remembers."),
    ("spark.ui.retainedStages", "retained_stages", _COUNT, "1000", "Stages that statusTracker() remembers."),
    ("spark.python.profile", "profile", _FLAG, "false", "Profile the Python functions of all tasks."),
    ("spark.python.profile.dump", "profile_dump", _TEXT, "",
     "Directory for the profiles at the end of the program; they are printed if empty."),
    ("spark.python.profile.memory", "profile_memory", _FLAG, "false",
     "Make the memory profiler ready; as in Spark, it is not for RDDs."),
    ("spark.simspark.profile.sample", "profile_sample_hz", _RATE, "0",
     "How often a second to look where tasks and the driver are, for a flame graph; 0: never. 100 is a good rate."),
    ("spark.simspark.profile.out", "profile_out", _TEXT, "profile.svg",
     "File for it when the context stops: .svg, .folded (text) or .json (all); {app} stands for the application's id."),
    ("spark.simspark.autoBroadcast", "auto_broadcast_bytes", _SIZE, "1m",
     "Values of this size that functions captured travel once to each machine, as broadcasts do; 0: never."),
    ("spark.simspark.optimizations.off", "optimizations_off", _OPTIMIZATIONS, "",
     "What the engine is to do in the plain way, with commas between the names: for tests, and to find mistakes."),
    ("spark.simspark.fusion", "fusion", _FLAG, "true", "Build small functions into loops over rows; same results."),
    ("spark.simspark.fusion.afterRows", "fused_after_rows", _COUNT, "4000",
     "Rows of a partition that pass step by step before a loop is made."),
    ("spark.eventLog.enabled", "event_log", _FLAG, "true", "Keep a bounded log of the application's events."),
    ("spark.eventLog.dir", "event_log_dir", _TEXT, "", "Where event logs are; by default under the state directory."),
    ("spark.simspark.eventLog.maxSize", "event_log_max_bytes", _SIZE, "32m", "Largest size of one event log."),
    ("spark.simspark.progress", "progress", _choice("auto", "off", "plain"), "auto",
     "The progress line: on a terminal only, never, or a line a stage."),
    ("spark.simspark.errors.showValues", "show_values", _FLAG, "true", "Show the element that made a function raise."),
    ("spark.simspark.errors.full", "full_errors", _FLAG, "false", "Show every frame of a remote traceback."),
))  # fmt: skip

KNOWN: dict[str, DriverSetting] = {setting.key: setting for setting in SETTINGS}


def environment_settings() -> dict[str, str]:
    """Settings that the environment gives. The driver reads the environment in this module only."""
    return {key: os.environ[name] for name, key in ENVIRONMENT.items() if os.environ.get(name)}


class SparkEnvironment(NamedTuple):
    """What the environment says of Apache Spark: whether spark-submit started this program, and where things are."""

    submitted: bool
    java_home: str
    python: str


def spark_environment() -> SparkEnvironment:
    """Read what concerns Spark, under Spark's names."""
    read = os.environ.get
    return SparkEnvironment("PYSPARK_GATEWAY_PORT" in os.environ, read("JAVA_HOME", ""), read("PYSPARK_PYTHON", ""))


def plain_terminal() -> bool:
    """Whether the environment says that nobody watches, or that the terminal cannot move its cursor."""
    return bool(os.environ.get("CI")) or os.environ.get("TERM") == "dumb"


def terminal_is_plain() -> bool:
    """Whether the environment says that the terminal cannot redraw, or that nobody watches it."""
    return os.environ.get("TERM") == "dumb" or bool(os.environ.get("CI"))


class SparkConf:
    """Settings of an application, as text by key.

    >>> conf = SparkConf(loadDefaults=False).setMaster("local[2]").set("spark.driver.maxResultSize", "2g")
    >>> conf.get("spark.driver.maxResultSize")
    '2g'
    """

    def __init__(self, loadDefaults: bool = True) -> None:
        self._settings: dict[str, str] = {**environment_settings(), **spark_properties()} if loadDefaults else {}

    def set(self, key: str, value: Any) -> SparkConf:
        """Set one setting; true and false are written as Spark writes them.

        >>> SparkConf(False).set("spark.speculation", True).get("spark.speculation")
        'true'
        """
        if value is None:
            raise ConfigError(f"The value of {key} is None. Give it a text, or leave it out. (SS101)")
        self._settings[key] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def setIfMissing(self, key: str, value: Any) -> SparkConf:
        """Set one setting unless it is set.

        >>> SparkConf(False).setIfMissing("spark.app.name", "a").setIfMissing("spark.app.name", "b").getAll()
        [('spark.app.name', 'a')]
        """
        return self if key in self._settings else self.set(key, value)

    def setMaster(self, value: str) -> SparkConf:
        """Set where the program runs.

        >>> SparkConf(False).setMaster("local[4]").get("spark.master")
        'local[4]'
        """
        return self.set("spark.master", value)

    def setAppName(self, value: str) -> SparkConf:
        """Set the application's name.

        >>> SparkConf(False).setAppName("word count").get("spark.app.name")
        'word count'
        """
        return self.set("spark.app.name", value)

    def setSparkHome(self, value: str) -> SparkConf:
        """Kept for programs written for Spark; simspark needs no home.

        >>> SparkConf(False).setSparkHome("/opt/spark").contains("spark.home")
        True
        """
        return self.set("spark.home", value)

    def setExecutorEnv(
        self, key: str | None = None, value: str | None = None, pairs: list[tuple[str, str]] | None = None
    ) -> SparkConf:
        """Set one environment variable of the executors, or several.

        >>> SparkConf(False).setExecutorEnv(pairs=[("A", "1"), ("B", "2")]).get("spark.executorEnv.B")
        '2'
        """
        if (key is None) == (pairs is None):
            raise ConfigError("Give setExecutorEnv one name and value, or pairs of them. (SS101)")
        for name, text in pairs if pairs is not None else [(str(key), str(value))]:
            self.set(EXECUTOR_ENV + name, text)
        return self

    def setAll(self, pairs: Iterable[tuple[str, Any]]) -> SparkConf:
        """Set several settings, given as pairs.

        >>> SparkConf(False).setAll([("spark.cores.max", 4), ("spark.app.name", "x")]).get("spark.cores.max")
        '4'
        """
        for key, value in pairs:
            self.set(key, value)
        return self

    def get(self, key: str, defaultValue: str | None = None) -> str | None:
        """Return the text of a setting, or the given default.

        >>> SparkConf(False).get("spark.cores.max", "8")
        '8'
        """
        return self._settings.get(key, defaultValue)

    def getAll(self) -> list[tuple[str, str]]:
        """All settings that were set, as pairs.

        >>> SparkConf(False).setMaster("local").getAll()
        [('spark.master', 'local')]
        """
        return list(self._settings.items())

    def contains(self, key: str) -> bool:
        """Tell whether a setting was set.

        >>> SparkConf(False).contains("spark.master")
        False
        """
        return key in self._settings

    def toDebugString(self) -> str:
        """All settings that were set, one a line.

        >>> print(SparkConf(False).setMaster("local").setAppName("x").toDebugString())
        spark.master=local
        spark.app.name=x
        """
        return "\n".join(f"{key}={value}" for key, value in self._settings.items())

    def copy(self) -> SparkConf:
        """An independent copy; a context keeps one, so later changes do not reach it.

        >>> SparkConf(False).setMaster("local").copy().get("spark.master")
        'local'
        """
        other = SparkConf(loadDefaults=False)
        other._settings = dict(self._settings)
        return other

    def __repr__(self) -> str:
        return f"SparkConf({self._settings!r})"


def driver_settings(conf: SparkConf) -> DriverSettings:
    """Parse a configuration and check it; ConfigError names the setting, what it must look like and a fix."""
    given = dict(conf.getAll())
    if given.get("spark.ui.showConsoleProgress", "true").lower() == "false":
        given.setdefault("spark.simspark.progress", "off")
    values = {setting.field: _parse(setting, given.get(setting.key, setting.default)) for setting in SETTINGS}
    environment = {
        key[len(EXECUTOR_ENV) :]: value for key, value in given.items() if key.startswith(EXECUTOR_ENV)
    }
    return _checked(DriverSettings(executor_environment=environment, **values))


def _parse(setting: DriverSetting, text: str) -> Any:
    try:
        return setting.kind.parse(text)
    except ConfigError:
        raise
    except (ValueError, KeyError):
        raise ConfigError(f"{setting.key} is {text!r}, but must be {setting.kind.form}. (SS101)") from None


def _checked(settings: DriverSettings) -> DriverSettings:
    for key, value in (
        ("spark.executor.cores", settings.executor_cores),
        ("spark.simspark.batchRows", settings.batch_rows),
        ("spark.simspark.task.maxLosses", settings.max_losses),
    ):
        if value < 1:
            raise ConfigError(f"{key} is {value}, but must be at least 1. (SS101)")
    if settings.cores_max and settings.cores_max < settings.executor_cores:
        raise ConfigError(
            f"spark.cores.max is {settings.cores_max}, below spark.executor.cores={settings.executor_cores}: "
            "not one executor fits. Raise the first or lower the second. (SS101)"
        )
    if settings.speculation_quantile > 1:
        raise ConfigError("spark.speculation.quantile is a share: at most 1. (SS101)")
    return settings


_warned: set[str] = set()


def unknown_settings(conf: SparkConf) -> list[str]:
    """One sentence for each ``spark.*`` setting that means nothing here and was not spoken of before."""
    texts = []
    for key, _ in conf.getAll():
        if not key.startswith("spark.") or key in KNOWN or key in _warned or key.startswith(EXECUTOR_ENV):
            continue
        if key.startswith(_SPARK_ONLY):
            continue
        _warned.add(key)
        texts.append(f"The setting {key} is unknown and has no effect.{_meant(key)}")
    return texts


def _meant(key: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, KNOWN, 1, 0.8)
    return f" Did you mean {close[0]}?" if close else ""
