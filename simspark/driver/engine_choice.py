"""Which engine a SparkContext runs on: simspark's own, or Apache Spark where the master is one of Spark's.

The choice stands in a class of its own, since a ``__new__`` beside ``SparkContext.__init__`` would be what tools show
as its signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

from simspark.driver.conf import SparkConf, spark_environment
from simspark.driver.master_url import spark_master
from simspark.driver.user_errors import action
from simspark.publib.errors import ConfigError

CONF_POSITION = 7


class EngineChoice:
    """Hands programs whose master is Spark's to ``simspark.spark_engine``; made there, a context is complete."""

    @action
    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """The context of whichever engine the master belongs to."""
        url = _spark_url(*arguments, **named)
        if url is None:
            return super().__new__(cls)
        from simspark.driver.context import SparkContext
        from simspark.spark_engine.door import open_context

        if cls is not SparkContext:
            raise ConfigError(f"{cls.__name__} is a subclass of SparkContext, and Spark has its own. Make a "
                              "SparkContext, and keep what you add beside it. (SS101)")
        SparkContext._refuse_a_second()
        return cast(Self, open_context(url, arguments, named))


def spark_session(options: Mapping[str, Any]) -> Any:
    """PySpark's session, of the builder's options, where the program runs on Spark; None where simspark runs it."""
    from simspark.driver.context import SparkContext
    from simspark.spark_engine.door import open_session

    active: object = SparkContext._active
    if active is None:
        active = _spark_url(conf=SparkConf(loadDefaults=False).setAll(options.items()))
    return None if active is None or type(active) is SparkContext else open_session(options)


def _spark_url(*arguments: Any, **named: Any) -> str | None:
    """Spark's form of the master, "" where spark-submit knows it; None where simspark runs the program.

    The argument counts before the conf, the conf before the environment, and spark-submit where none names a master.
    """
    conf = named.get("conf", arguments[CONF_POSITION] if len(arguments) > CONF_POSITION else None)
    for url in (
        named.get("master", arguments[0] if arguments else None),
        None if conf is None else conf.get("spark.master"),
        SparkConf().get("spark.master"),
    ):
        if url is not None:
            return spark_master(url) if isinstance(url, str) else None
    return "" if spark_environment().submitted else None
