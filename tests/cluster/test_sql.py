"""The door for programs that begin with a SparkSession."""

from __future__ import annotations

import subprocess
import sys

import pytest

from simspark import SparkConf, SparkContext
from simspark.publib.errors import ConfigError, NeedsSpark
from simspark.sql import Row, SparkSession

pytestmark = pytest.mark.cluster

WAY = (
    " is part of Spark SQL. DataFrames and SQL are not part of simspark: run this program on Apache Spark as it is: "
    'pip install "simspark[spark]" and SparkSession.builder.master("spark://host:7077").'
)


@pytest.fixture
def spark(scratch):
    with SparkSession.builder.master("local[2]").appName("door").getOrCreate() as session:
        yield session


@pytest.fixture
def poem(tmp_path):
    (tmp_path / "poem.txt").write_bytes(b"to be\r\nor not\n\nto be")
    return str(tmp_path / "poem.txt")


def test_the_lines_of_a_file_are_rows(spark, poem):
    rows = spark.read.text(poem).rdd
    assert rows.collect() == [Row(value=line) for line in ("to be", "or not", "", "to be")]
    assert rows.map(lambda row: (row[0], row.value, row["value"])).first() == ("to be", "to be", "to be")


def test_several_files_whole_files_and_other_separators(spark, poem, tmp_path):
    (tmp_path / "b.txt").write_text("x;y;")
    assert spark.read.text([poem, str(tmp_path / "b.txt")]).rdd.count() == 5
    assert spark.read.text(str(tmp_path / "b.txt"), wholetext=True).rdd.collect() == [Row(value="x;y;")]
    assert spark.read.text(str(tmp_path / "b.txt"), lineSep=";").rdd.collect() == [Row(value="x"), Row(value="y")]


def test_a_session_is_found_again_and_takes_more_settings(spark):
    again = SparkSession.builder.config("spark.mine", 1).getOrCreate()
    assert again is spark is SparkSession.active() is SparkSession.getActiveSession()
    assert (spark.conf.get("spark.mine"), spark.sparkContext.appName) == ("1", "door")


def test_a_session_takes_the_context_that_runs(scratch):
    with SparkContext("local[1]", "mine") as sc:
        assert SparkSession.builder.appName("other").getOrCreate().sparkContext is sc
        assert SparkSession(sc).sparkContext.appName == "mine"
    assert SparkSession.getActiveSession() is None
    with pytest.raises(ConfigError, match="There is no session"):
        SparkSession.active()


def test_settings_come_from_pairs_confs_and_dictionaries(scratch):
    builder = SparkSession.builder.config(conf=SparkConf(False).setMaster("local[1]").set("app.a", "1"))
    with builder.config("app.b", True).config(map={"app.c": 2}).getOrCreate() as spark:
        assert [spark.conf.get(f"app.{name}") for name in "abc"] == ["1", "true", "2"]
        spark.conf.set("app.a", 5)
        assert (spark.conf.get("app.a"), spark.newSession().conf.get("app.a")) == ("5", "1")
        with pytest.raises(ConfigError, match="The setting app.d is not set"):
            spark.conf.get("app.d")
    with pytest.raises(ConfigError, match="Give config a key and a value"):
        SparkSession.builder.config()


def test_stopping_a_session_stops_its_context(scratch):
    spark = SparkSession.builder.master("local[1]").getOrCreate()
    spark.stop()
    spark.stop()
    with SparkSession.builder.master("local[1]").getOrCreate() as other:
        assert other is not spark and other.sparkContext.range(3).sum() == 3


@pytest.mark.parametrize(("ask", "what"), [
    (lambda spark: spark.sql("select 1"), "SparkSession.sql"),
    (lambda spark: spark.createDataFrame([(1,)]), "SparkSession.createDataFrame"),
    (lambda spark: spark.read.json("x"), "SparkSession.read.json"),
    (lambda spark: spark.read.text(__file__).show(), "DataFrame.show"),
    (lambda spark: spark.read.text(__file__)["value"], "DataFrame['value']"),
    (lambda spark: spark.read.text(__file__, pathGlobFilter="*"), "read.text(pathGlobFilter=...)"),
    (lambda spark: SparkSession.builder.enableHiveSupport(), "Hive, which enableHiveSupport() is for,"),
    (lambda spark: SparkSession.builder.remote("sc://x"), "Spark Connect, which remote() is for,"),
    (lambda spark: __import__("simspark.sql").sql.DataFrame, "pyspark.sql.DataFrame"),
])  # fmt: skip
def test_everything_else_names_the_way_to_spark(spark, ask, what):
    with pytest.raises(NeedsSpark) as error:
        ask(spark)
    assert str(error.value).startswith(what + WAY)


@pytest.mark.parametrize("module", ["functions", "types", "window"])
def test_modules_of_sql_say_so_when_they_are_imported(module):
    with pytest.raises(ImportError) as error:
        __import__(f"simspark.sql.{module}")
    assert str(error.value).startswith(f"pyspark.sql.{module}{WAY}")


def test_names_that_spark_lacks_too_are_no_attributes(spark):
    for thing in (spark, spark.read):
        with pytest.raises(AttributeError):
            thing.nothing
    assert not hasattr(spark.read.text(__file__), "_repr_html_")


def test_the_door_costs_nothing_to_who_does_not_use_it():
    code = "import simspark, sys; simspark.SparkContext; print('simspark.sql' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
