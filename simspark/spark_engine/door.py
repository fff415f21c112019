"""The way to Spark: checks that it can be gone, with a line to type where it cannot, then opens context or session."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simspark.driver.conf import SparkConf, spark_environment
from simspark.publib.errors import ClusterError, NoMaster

if TYPE_CHECKING:
    from simspark.spark_engine.context import SparkEngineContext

ANSWER_WITHIN_S = 1.5
DEFAULT_PORT = 7077


def open_context(url: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> SparkEngineContext:
    """The context of a program whose master is Spark's; ``url`` is empty where spark-submit knows it.

    Raises ImportError without pyspark, ClusterError without Java, and NoMaster where no master of Spark's answers.
    """
    check(url)
    from simspark.spark_engine.context import SparkEngineContext

    return SparkEngineContext(url, arguments, named)


def open_session(options: Mapping[str, Any]) -> Any:
    """PySpark's own SparkSession, whose context is the program's: the running one, or a new one of these options."""
    from simspark.driver.context import SparkContext

    SparkContext.getOrCreate(SparkConf(loadDefaults=False).setAll(options.items()))
    from simspark.spark_engine.session import session

    return session(options)


def warn_unsampled(rate: str | None) -> None:
    """Say that a sampling profile, at this rate, is simspark's own; ``rate`` is None where none is asked for."""
    if rate is None or rate.strip() in {"", "0"}:
        return
    import warnings

    text = ("Apache Spark runs this program, so simspark draws no flame graph of it. Spark has a profiler of its own: "
            'conf.set("spark.python.profile", True), then sc.show_profiles()')
    warnings.warn(text, UserWarning, stacklevel=2)


def check(url: str) -> None:
    """Raise the error that says what is missing, if something is."""
    _require_pyspark()
    environment = spark_environment()
    if not environment.submitted:  # spark-submit has started Java already
        _require_java(environment.java_home)
    if url.startswith("spark://"):
        _require_master(url)


def _require_pyspark() -> None:
    from importlib.util import find_spec

    if find_spec("pyspark") is None:
        raise ImportError(
            "A master of Apache Spark needs PySpark, which is not installed here. Install it: "
            'pip install "simspark[spark]" · or run on simspark: SparkContext("local[2]")'
        )


def _require_java(java_home: str) -> None:
    from shutil import which

    if os.path.exists(os.path.join(java_home, "bin", "java")) if java_home else which("java"):
        return
    place = f"JAVA_HOME={java_home} has no bin/java" if java_home else "there is no java on the PATH and no JAVA_HOME"
    raise ClusterError(
        f"Apache Spark needs Java 17 or newer, and {place}. Install it: apt-get install openjdk-17-jre-headless · "
        "or: brew install openjdk@17 · then set JAVA_HOME where java is not on the PATH. (SS200)"
    )


def _require_master(url: str) -> None:
    """Spark itself tries for a minute and then ends with a Java error that does not name the address."""
    import socket

    reasons = []
    for host, port in _addresses(url):
        try:
            socket.create_connection((host, port), ANSWER_WITHIN_S).close()
        except OSError as error:
            reasons.append(error.strerror or str(error))
        else:
            return
    raise NoMaster(
        f"No Spark master at {url} ({reasons[0].lower() if reasons else 'no address'}). Correct the address, or start "
        f"one with Spark's sbin/start-master.sh · or run on simspark: SparkContext(\"local[2]\") (SS201)"
    )


def _addresses(url: str) -> Iterator[tuple[str, int]]:
    for part in url.removeprefix("spark://").split(","):
        host, _, port = part.strip().rpartition(":")
        if host and port.isdigit():
            yield host.strip("[]"), int(port)
        elif part.strip():
            yield part.strip(), DEFAULT_PORT
