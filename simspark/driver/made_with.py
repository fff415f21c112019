"""The part of SparkContext that remembers what it was made with."""

from __future__ import annotations

import sys
from typing import Any

from simspark.driver.running import Running
from simspark.publib.errors import ConfigError
from simspark.publib.serializers import CPickleSerializer, Serializer

DEFAULT_SERIALIZER: Serializer = CPickleSerializer()
LARGEST_BATCH = 1024


class MadeWith(Running):
    """Arguments of the constructor that programs ask for afterwards."""

    _batchSize: int = 0
    _unbatched_serializer: Serializer = DEFAULT_SERIALIZER
    largest_batch: int

    @property
    def serializer(self) -> Serializer:
        """The serializer that was given, in batches.

        Rows travel in simspark's own format whatever it is; it is what a program that calls serializers itself uses.

        >>> from simspark import SparkContext
        >>> with SparkContext("local[1]", "batches", batchSize=2) as sc:
        ...     sc.serializer
        BatchedSerializer(CloudPickleSerializer(), 2)
        """
        from simspark.publib.stream_serializers import AutoBatchedSerializer, BatchedSerializer

        if self._batchSize == BatchedSerializer.UNKNOWN_BATCH_SIZE:
            return AutoBatchedSerializer(self._unbatched_serializer)
        return BatchedSerializer(self._unbatched_serializer, self._batchSize)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that executors are given.

        >>> import os
        >>> from simspark import SparkContext
        >>> with SparkContext("local[1]", "variables", environment={"REGION": "north"}) as sc:
        ...     sc.environment["REGION"], sc.parallelize(["REGION"]).map(os.getenv).collect()
        ('north', ['north'])
        """
        return {**self._application.settings.executor_environment, "PYTHONHASHSEED": "0"}

    @property
    def sparkHome(self) -> str | None:
        """The setting spark.home, which means nothing to simspark.

        >>> from simspark import SparkContext
        >>> with SparkContext("local[1]", "at home", sparkHome="/opt/spark") as sc:
        ...     sc.sparkHome
        '/opt/spark'
        """
        return self._conf.get("spark.home")

    @property
    def pythonVer(self) -> str:
        """The version of Python, which is that of the executors, too.

        >>> from simspark import SparkContext
        >>> with SparkContext("local[1]", "version") as sc:
        ...     sc.pythonVer.startswith("3.")
        True
        """
        return f"{sys.version_info[0]}.{sys.version_info[1]}"

    def _keep_arguments(self, serializer: Serializer, batch_size: int) -> None:
        self._unbatched_serializer = serializer
        self._batchSize = batch_size
        self.largest_batch = max(1, batch_size) if batch_size else LARGEST_BATCH


def check_arguments(serializer: Any, batch_size: Any, gateway: Any, jsc: Any) -> None:
    """Raise ConfigError for arguments of SparkContext that cannot be, or that only PySpark can use."""
    if not isinstance(serializer, Serializer):
        raise ConfigError(
            f"serializer must be a serializer such as CPickleSerializer(), not {_told(serializer)}. (SS101)"
        )
    if not isinstance(batch_size, int) or batch_size < -1:
        raise ConfigError(
            f"batchSize is {batch_size!r}, but must be a number of rows, 0 (by their size) or -1 (no limit). (SS101)"
        )
    for name, value in (("gateway", gateway), ("jsc", jsc)):
        if value is not None:
            raise ConfigError(
                f"{name} is an object of PySpark's Java side, which simspark has not. Leave it out, or run the program "
                'on Apache Spark: SparkContext("spark://host:port"). (SS101)'
            )


def _told(value: Any) -> str:
    return f"the class {value.__name__}; call it" if isinstance(value, type) else type(value).__name__
