"""Programs on Apache Spark, through PySpark: what a program gets when its master is one of Spark's.

The program's ``SparkContext``, RDDs, broadcasts and accumulators are then PySpark's own objects, so that all of Spark
takes them (DataFrames, MLlib), in subclasses that translate at their edges: settings, storage levels, profiles and
accumulator params on the way in, new RDDs and the errors of tasks on the way out (``edge``). ``isinstance`` with
simspark's classes holds, for they say that simspark's class is theirs; no method of simspark's is inherited, so nothing
can run half here and half there, and what Spark lacks says so by name.

``door`` is what the driver may import, and imports nothing of Spark itself. ``context``, ``rdd`` and ``session`` import
pyspark, and are imported once a context of Spark is wanted. Tasks run in PySpark's workers, which get this package as a
zip (``bundle``) for the closures that mention it; ``publib.spark_tasks`` is how its classes find Spark's there.
"""
