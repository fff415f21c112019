"""PySpark's SparkContext, made as a program of simspark's makes its own."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any, ClassVar

import pyspark
from pyspark.core.context import SparkContext as PySparkContext

from simspark.driver.activities import Activities
from simspark.driver.call_site import call_site
from simspark.driver.conf import SparkConf, spark_environment
from simspark.driver.context import SparkContext, script_name
from simspark.publib.clock import SystemClock
from simspark.publib.errors import ClusterError
from simspark.spark_engine import rdd  # noqa: F401 (its classes adopt what PySpark makes)
from simspark.spark_engine.bundle import ModulesBesideScript, write_bundle, write_package
from simspark.spark_engine.door import warn_unsampled
from simspark.spark_engine.edge import Edge, Named, Values
from simspark.spark_engine.properties import local_properties, replace_local_properties
from simspark.spark_engine.values import to_spark

PARAMETERS = (
    "master", "appName", "sparkHome", "pyFiles", "environment", "batchSize", "serializer", "conf", "gateway", "jsc",
    "profiler_cls", "udf_profiler_cls", "memory_profiler_cls",
)  # fmt: skip
THREADS_END_WITHIN_S = 5.0
READERS = ("textFile", "wholeTextFiles", "binaryFiles", "binaryRecords", "pickleFile")


def _add_py_file(self: Any, path: str) -> None:
    """Let tasks import a file, what is in a zip, or, as on simspark, a package's directory."""
    if os.path.isdir(path):
        package = os.path.realpath(path)
        path = write_package(self._temp_dir, package, os.path.basename(package) + ".zip")
    PySparkContext.addPyFile(self, path)


class SparkEngineContext(PySparkContext, Edge):
    """A context on Apache Spark: PySpark's, and simspark's to whoever asks."""

    stands_for: ClassVar[tuple[str, str]] = ("simspark.driver.context", "SparkContext")
    ways: ClassVar[dict[str, Any]] = {
        "addPyFile": _add_py_file,
        "add_path": _add_py_file,
        "local_properties": local_properties,
        "replace_local_properties": replace_local_properties,
        "follow": lambda self, activity: self._activities.add(activity),
        "unfollow": lambda self, activity: self._activities.remove(activity),
    }

    def __init__(self, url: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = {**dict(zip(PARAMETERS, arguments, strict=False)), **named}
        conf = spark_conf(given.pop("conf", None), url, named_app=given.get("appName") is not None)
        warn_unsampled(conf.get("spark.simspark.profile.sample"))
        given = {name: to_spark(value) for name, value in given.items() if value is not None and name != "master"}
        self._made_at = call_site()
        self._activities = Activities(SystemClock())
        try:
            super().__init__(url or None, conf=conf, **given)
        except Exception as error:
            raise _start_failure(error) from error
        if not spark_environment().python and _is_here(self.master):
            self.pythonExec = sys.executable
        self.addPyFile(write_bundle(self._temp_dir))
        self.modules = ModulesBesideScript(self, self._temp_dir)
        SparkContext._active = self
        atexit.register(self.stop)

    @classmethod
    def translate(cls, name: str, values: Values, named: Named) -> tuple[Values, Named]:
        """Several paths are one text with commas to Spark."""
        if name in READERS and values and not isinstance(values[0], str):
            values = (",".join(values[0]), *values[1:])
        return super().translate(name, values, named)

    def stop(self) -> None:
        """End the application. Twice is harmless."""
        if SparkContext._active is self:
            SparkContext._active = None
        atexit.unregister(self.stop)
        super().stop()
        self._activities.end(THREADS_END_WITHIN_S)

    def getConf(self) -> SparkConf:
        """A copy of the settings, those that Spark added too."""
        return SparkConf(loadDefaults=False).setAll(self._conf.getAll())

    def _getJavaStorageLevel(self, storageLevel: Any) -> Any:
        """DataFrames come here with simspark's levels, past the edges."""
        return super()._getJavaStorageLevel(to_spark(storageLevel))


def spark_conf(conf: Any, url: str, *, named_app: bool) -> Any:
    """PySpark's conf with the program's settings; the script's name stands in for an application's name.

    Under spark-submit Spark has the master and a name already.
    """
    made = pyspark.SparkConf()
    for key, value in [*SparkConf().getAll(), *(conf.getAll() if conf is not None else ())]:
        if key != "spark.master":
            made.set(key, value)
    if url:
        made.setMaster(url)
        if not named_app:
            made.setIfMissing("spark.app.name", script_name())
    return made


def _is_here(master: str) -> bool:
    """Whether the workers are sure to be on this machine, where this program's own Python is."""
    hosts = [part.rpartition(":")[0] for part in master.removeprefix("spark://").split(",")]
    at_home = all(host == "localhost" or host.startswith("127.") for host in hosts)
    return master.startswith("local") or (master.startswith("spark://") and at_home)


def _start_failure(error: Exception) -> Exception:
    text = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    if "gateway" in text.lower():
        return ClusterError(
            "Java did not start Spark; what it said is above. Spark 4 needs Java 17 or newer: `java -version` shows "
            "which one this is, and JAVA_HOME chooses another. (SS200)"
        )
    return error
