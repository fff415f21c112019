"""Where a program runs: the master URL, taken apart."""

from __future__ import annotations

import re

from simspark.publib.errors import ConfigError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.resources import usable_cores

DEFAULT_PORT = 7077
MANY_FAILURES = 4

_LOCAL = re.compile(r"local(?:\[(\d+|\*)(?:,(\d+))?\])?")
_LOCAL_CLUSTER = re.compile(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]")
_CLUSTER = re.compile(r"simspark://(.+)")
_SPARK = re.compile(r"(?:spark\+(.+)|(?:spark://.*|yarn(?:-.*)?|k8s://.*|mesos://.*))")


class LocalMaster(NamedTuple):
    """Executors on this machine, started by the driver itself. One failure of a task fails its job by default."""

    executors: int
    max_failures: int = 1


class LocalClusterMaster(NamedTuple):
    """A real master and real workers on this machine, for the life of the context."""

    workers: int
    executors_per_worker: int
    memory_mib: int
    max_failures: int = MANY_FAILURES


class ClusterMaster(NamedTuple):
    """A cluster; with several addresses the first that answers is taken."""

    addresses: tuple[str, ...]
    max_failures: int = MANY_FAILURES


MasterUrl = LocalMaster | LocalClusterMaster | ClusterMaster


def parse_master(url: str) -> MasterUrl:
    """Take a master URL apart; ConfigError when it is none.

    >>> parse_master("local[2,3]")
    LocalMaster(executors=2, max_failures=3)
    >>> parse_master("simspark://a:7077,b:7078").addresses
    ('a:7077', 'b:7078')
    """
    text = url.strip()
    if match := _LOCAL.fullmatch(text):
        return _local(url, *match.groups())
    if match := _LOCAL_CLUSTER.fullmatch(text):
        workers, executors, memory = map(int, match.groups())
        if not (workers and executors and memory):
            raise ConfigError(f"{url!r}: workers, executors and MiB must each be at least 1. (SS101)")
        return LocalClusterMaster(workers, executors, memory)
    if match := _CLUSTER.fullmatch(text):
        return ClusterMaster(tuple(_address(url, part) for part in match[1].split(",")))
    raise ConfigError(
        f"Could not parse the master URL {url!r}. Use local[N], local-cluster[W,E,MB] or simspark://host:port. (SS101)"
    )


def spark_master(url: str) -> str | None:
    """The master that Apache Spark is to have, where the URL is one of Spark's; None where it is ours.

    ``spark+`` before any URL of Spark's asks for Spark where simspark would run the program itself.

    >>> spark_master("spark://h:7077"), spark_master("spark+local[2]"), spark_master("local[2]")
    ('spark://h:7077', 'local[2]', None)
    """
    match = _SPARK.fullmatch(url.strip())
    return None if match is None else match[1] or match[0]


def _local(url: str, executors: str | None, failures: str | None) -> LocalMaster:
    count = 1 if executors is None else usable_cores() if executors == "*" else int(executors)
    allowed = 1 if failures is None else int(failures)
    if count < 1 or allowed < 1:
        raise ConfigError(f"{url!r}: executors and failures must each be at least 1. (SS101)")
    return LocalMaster(count, allowed)


def _address(url: str, part: str) -> str:
    host, colon, port = part.strip().rpartition(":")
    if not colon:
        host, port = part.strip(), str(DEFAULT_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"{url!r}: {part!r} is not host:port, where port is a number such as {DEFAULT_PORT}. (SS101)")
    return f"{host}:{port}"
