"""The door that programs come through which make a SparkSession only to have its SparkContext.

Sessions and DataFrames belong to Spark SQL, which simspark is not: here are a builder, the context, settings, and text
files as RDDs of rows. Everything else raises NeedsSpark, which says how to run the program on Apache Spark; there,
where the master is Spark's, the builder gives PySpark's own session, and all of it works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from simspark._version import __version__
from simspark.driver.conf import SparkConf
from simspark.driver.context import SparkContext
from simspark.driver.engine_choice import spark_session
from simspark.driver.user_errors import action
from simspark.publib.errors import ConfigError, NeedsSpark
from simspark.publib.row import Row, lines_between, text_row

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD
    from simspark.driver.rdd.file_sources import Path

_NOT_SET = object()
_SESSION_HAS = frozenset((
    "addArtifact", "addArtifacts", "catalog", "client", "copyFromLocalToFs", "createDataFrame", "dataSource",
    "interruptAll", "interruptOperation", "interruptTag", "profile", "range", "readStream", "registerProgressHandler",
    "sql", "streams", "table", "tvf", "udf", "udtf",
))  # fmt: skip
_READER_HAS = frozenset((
    "changes", "csv", "excel", "format", "jdbc", "json", "load", "option", "options", "orc", "parquet", "schema",
    "table", "xml",
))  # fmt: skip


def needs_sql(what: str) -> NeedsSpark:
    """The error for what only Spark SQL has."""
    return NeedsSpark(
        f"{what} is part of Spark SQL. DataFrames and SQL are not part of simspark: run this program on Apache Spark "
        'as it is: pip install "simspark[spark]" and SparkSession.builder.master("spark://host:7077"). '
        f"({NeedsSpark.code})"
    )


class Builder:
    """Makes a session, or finds the one that is there. Settings are those of SparkConf.

    >>> from simspark.sql import SparkSession
    >>> builder = SparkSession.builder.master("local[2]").appName("words").config("spark.default.parallelism", 4)
    >>> with builder.getOrCreate() as spark:
    ...     spark.sparkContext.defaultParallelism
    4
    """

    def __init__(self) -> None:
        self._options: dict[str, str] = {}

    def master(self, master: str) -> Self:
        """Set where the program runs; see SparkContext.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.sparkContext.master
        'local[1]'
        """
        return self.config("spark.master", master)

    def appName(self, name: str) -> Self:
        """Set the application's name.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").appName("words").getOrCreate() as spark:
        ...     spark.sparkContext.appName
        'words'
        """
        return self.config("spark.app.name", name)

    @action
    def config(self, key: str | None = None, value: Any = None, conf: SparkConf | None = None, *,
               map: Mapping[str, Any] | None = None) -> Self:
        """Set one setting, those of a SparkConf, or those of a dictionary. Raises ConfigError for none of them.

        >>> from simspark import SparkConf
        >>> from simspark.sql import SparkSession
        >>> builder = SparkSession.builder.config("spark.speculation", True)
        >>> builder = builder.config(conf=SparkConf(False).setMaster("local[1]")).config(map={"spark.cores.max": 2})
        >>> with builder.getOrCreate() as spark:
        ...     spark.conf.get("spark.speculation"), spark.conf.get("spark.cores.max")
        ('true', '2')
        """
        if conf is not None:
            self._options.update(conf.getAll())
        elif map is not None:
            self._options.update(SparkConf(False).setAll(map.items()).getAll())
        elif key is not None:
            self._options.update(SparkConf(False).set(key, value).getAll())
        else:
            raise ConfigError("Give config a key and a value, a SparkConf, or a dictionary: map={...}. (SS101)")
        return self

    @action
    def remote(self, url: str) -> Self:
        """Spark Connect, which has no RDDs. Raises NeedsSpark.

        >>> from simspark.sql import SparkSession
        >>> SparkSession.builder.remote("sc://host")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: Spark Connect, which remote() is for, is part of Spark SQL. ...
        """
        raise needs_sql("Spark Connect, which remote() is for,")

    @action
    def enableHiveSupport(self) -> Self:
        """Hive's tables. Raises NeedsSpark.

        >>> from simspark.sql import SparkSession
        >>> SparkSession.builder.enableHiveSupport()
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: Hive, which enableHiveSupport() is for, is part of Spark SQL. ...
        """
        raise needs_sql("Hive, which enableHiveSupport() is for,")

    @action
    def create(self) -> SparkSession:
        """See getOrCreate.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").create() as spark:
        ...     spark.sparkContext.master
        'local[1]'
        """
        return self.getOrCreate()

    @action
    def getOrCreate(self) -> SparkSession:
        """The session that is there, with these settings added; or a new one, with a context if there is none.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     SparkSession.builder.getOrCreate() is spark
        True
        """
        theirs: SparkSession | None = spark_session(self._options)
        if theirs is not None:
            return theirs
        session = SparkSession.getActiveSession()
        if session is None:
            conf = SparkConf().setAll(self._options.items())
            session = SparkSession(SparkContext.getOrCreate(conf))
        session._options.update(self._options)
        return session


class _NewBuilder:
    """``SparkSession.builder``: a new one each time it is asked for."""

    def __get__(self, instance: object, owner: type) -> Builder:
        return Builder()


class Settings:
    """A session's settings: those of its context, and what the program sets for itself. ``SparkSession.conf``."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session

    def get(self, key: str, default: Any = _NOT_SET) -> str | None:
        """The text of a setting. Raises ConfigError when it is not set and there is no default.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.conf.get("spark.master"), spark.conf.get("spark.mine", "none")
        ('local[1]', 'none')
        """
        found = self.getAll.get(key, default)
        if found is _NOT_SET:
            raise ConfigError(f"The setting {key} is not set. Give a default: conf.get({key!r}, None). (SS101)")
        return None if found is None else str(found)

    def set(self, key: str, value: Any) -> None:
        """Set a setting for the program to read; those of a running context change no more.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.conf.set("spark.mine", True)
        ...     spark.conf.get("spark.mine")
        'true'
        """
        self._session._options.update(SparkConf(False).set(key, value).getAll())

    def unset(self, key: str) -> None:
        """Forget what was set here.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.conf.set("spark.mine", 1)
        ...     spark.conf.unset("spark.mine")
        ...     spark.conf.get("spark.mine", None) is None
        True
        """
        self._session._options.pop(key, None)

    @property
    def getAll(self) -> dict[str, str]:
        """All settings.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.conf.getAll["spark.master"]
        'local[1]'
        """
        return {**self._session._options, **dict(self._session.sparkContext.getConf().getAll()),
                **self._session._options}

    def isModifiable(self, key: str) -> bool:
        """Whether setting it has an effect on SQL: never, without SQL.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.conf.isModifiable("spark.master")
        False
        """
        return False


class TextLines:
    """What ``read.text`` gives here: something whose ``rdd`` is the rows. All else of a DataFrame raises NeedsSpark."""

    def __init__(self, rdd: RDD[Row]) -> None:
        self._rdd = rdd

    @property
    def rdd(self) -> RDD[Row]:
        """The rows, each with the one field ``value``."""
        return self._rdd

    @action
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise needs_sql(f"DataFrame.{name}")

    @action
    def __getitem__(self, item: Any) -> Any:
        raise needs_sql(f"DataFrame[{item!r}]")


class Reader:
    """Reads text files. ``SparkSession.read``."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session

    @action
    def text(self, paths: Path | Iterable[Path], wholetext: bool = False, lineSep: str | None = None,
             **options: Any) -> TextLines:
        r"""The lines of text files, as rows of one field; ``wholetext`` makes each file one row.

        ``lineSep`` is what stands between lines, instead of the ends of lines that there are.

        >>> import os, tempfile
        >>> from simspark.sql import SparkSession
        >>> path = os.path.join(tempfile.mkdtemp(), "words.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("to be\nor not\n")
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.read.text(path).rdd.map(lambda row: row.value).collect()
        ['to be', 'or not']
        """
        if options:
            raise needs_sql(f"read.text({', '.join(options)}=...)")
        context = self._session.sparkContext
        if not wholetext and lineSep is None:
            return TextLines(context.textFile(paths, 1).map(text_row))
        texts = context.wholeTextFiles(paths, 1).values()
        return TextLines((texts if wholetext else texts.flatMap(lines_between(lineSep or "\n"))).map(text_row))

    @action
    def __getattr__(self, name: str) -> Any:
        if name in _READER_HAS:
            raise needs_sql(f"SparkSession.read.{name}")
        raise AttributeError(f"a reader of simspark's sessions has no attribute {name!r}")


class SparkSession:
    """What a program of PySpark's starts with, around a SparkContext.

    >>> from simspark.sql import SparkSession
    >>> spark = SparkSession.builder.master("local[2]").appName("total").getOrCreate()
    >>> spark.sparkContext.parallelize([1, 2, 3]).sum()
    6
    >>> spark.stop()
    """

    builder: ClassVar[_NewBuilder] = _NewBuilder()
    Builder: ClassVar[type[Builder]] = Builder
    _active: ClassVar[SparkSession | None] = None

    def __init__(self, sparkContext: SparkContext, jsparkSession: None = None,
                 options: Mapping[str, Any] | None = None) -> None:
        self._context = sparkContext
        self._options: dict[str, str] = dict(SparkConf(False).setAll((options or {}).items()).getAll())
        SparkSession._active = self

    @classmethod
    def getActiveSession(cls) -> SparkSession | None:
        """The session whose context runs; None if there is none.

        >>> from simspark.sql import SparkSession
        >>> SparkSession.getActiveSession() is None
        True
        """
        active = cls._active
        return active if active is not None and active._context is SparkContext._active else None

    @classmethod
    @action
    def active(cls) -> SparkSession:
        """The session whose context runs. Raises ConfigError if there is none.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     SparkSession.active() is spark
        True
        """
        found = cls.getActiveSession()
        if found is None:
            raise ConfigError("There is no session. Make one: SparkSession.builder.getOrCreate(). (SS101)")
        return found

    @property
    def sparkContext(self) -> SparkContext:
        """The context, which makes RDDs.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.sparkContext.range(3).collect()
        [0, 1, 2]
        """
        return self._context

    @property
    def version(self) -> str:
        """The version of simspark.

        >>> import simspark
        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.version == simspark.__version__
        True
        """
        return __version__

    @property
    def conf(self) -> Settings:
        """The settings; see its methods.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.conf.get("spark.master")
        'local[1]'
        """
        return Settings(self)

    @property
    def read(self) -> Reader:
        """Reads text files; see its method.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.read.json("people.json")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: SparkSession.read.json is part of Spark SQL. ...
        """
        return Reader(self)

    def newSession(self) -> SparkSession:
        """Another session on the same context, with settings of its own.

        >>> from simspark.sql import SparkSession
        >>> with SparkSession.builder.master("local[1]").getOrCreate() as spark:
        ...     spark.newSession().sparkContext is spark.sparkContext
        True
        """
        current = SparkSession._active
        made = SparkSession(self._context)
        SparkSession._active = current
        return made

    def stop(self) -> None:
        """Stop the context. Twice is harmless.

        >>> from simspark.sql import SparkSession
        >>> spark = SparkSession.builder.master("local[1]").getOrCreate()
        >>> spark.stop()
        >>> SparkSession.getActiveSession() is None
        True
        """
        if SparkSession._active is self:
            SparkSession._active = None
        self._context.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.stop()

    @action
    def __getattr__(self, name: str) -> Any:
        if name in _SESSION_HAS:
            raise needs_sql(f"SparkSession.{name}")
        raise AttributeError(f"'SparkSession' object has no attribute {name!r}")
