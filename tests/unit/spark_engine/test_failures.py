"""Java's account of a failed task, as recorded from Spark 4.3, becomes the user's exception; other failures, ours."""

from __future__ import annotations

import decimal
import traceback

import pytest

from simspark.publib.errors import ContextStopped, JobCancelled, JobFailed, NotSerializable, RemoteFailure
from simspark.spark_engine.failures import parse_traceback, translated

pytestmark = pytest.mark.unit

WORKER = "/opt/venv/lib/python3.11/site-packages/pyspark/python/lib/pyspark.zip/pyspark/worker.py"
RAISED = (
    "[PYTHON_EXCEPTION] An exception was thrown from the Python worker: Traceback (most recent call last):\n"
    f'  File "{WORKER}", line 4327, in invoke_udf\n    run_process()\n'
    '  File "/home/me/prog.py", line 11, in parse\n    return int(text)\n           ^^^^^^^^^\n'
    "%s\n SQLSTATE: 38000"
)
CHAINED = (
    'Job aborted due to stage failure: Task 1 in stage 3.0 failed 4 times, most recent failure: Lost task 1.3 in stage '
    "3.0 (TID 9) (10.0.0.7 executor 2): org.apache.spark.api.python.PythonException: Traceback (most recent call "
    'last):\n  File "/home/me/prog.py", line 9, in bad\n    int("x")\nValueError: invalid literal\n\n'
    "During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
    '  File "/home/me/prog.py", line 11, in bad\n    raise KeyError("a")\nKeyError: \'a\'\n\n'
    "\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:572)\n"
)


class JavaClass:
    def __init__(self, name):
        self._name = name

    def getName(self):
        return self._name


class Java:
    """A Java exception, as py4j shows it."""

    def __init__(self, message, kind="org.apache.spark.SparkException", cause=None):
        self._message, self._kind, self._cause = message, kind, cause

    def getMessage(self):
        return self._message

    def getClass(self):
        return JavaClass(self._kind)

    def getCause(self):
        return self._cause


class Py4JJavaError(Exception):
    def __init__(self, *arguments, **named):
        super().__init__("An error occurred while calling o1.collect")
        self.java_exception = Java(*arguments, **named)


def raised(text):
    return translated(Py4JJavaError(RAISED % text))


@pytest.mark.parametrize(("text", "kind"), [
    ("ValueError: bad", ValueError),
    ("decimal.InvalidOperation: [1]", decimal.InvalidOperation),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'x'", FileNotFoundError),
    ("ZeroDivisionError: division by zero", ZeroDivisionError),
    ("AssertionError", AssertionError),
    ("KeyError: ('a', 1)", KeyError),
    ("RuntimeError: several\n\nlines: of it", RuntimeError),
])  # fmt: skip
def test_an_exception_of_a_task_is_raised_as_its_own_type_with_its_text(text, kind):
    error = raised(text)
    assert type(error) is kind
    assert str(error) == text.partition(": ")[2]


def test_an_exception_that_needs_more_than_its_text_is_still_caught_by_its_type():
    text = "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
    error = raised(f"UnicodeDecodeError: {text}")
    assert isinstance(error, UnicodeDecodeError)
    assert isinstance(error, RemoteFailure)
    assert (type(error).__name__, str(error)) == ("UnicodeDecodeError", text)


def test_an_exception_of_a_type_that_is_not_here_gets_a_stand_in_of_its_name():
    error = raised("far.away.Strange: thing")
    assert isinstance(error, RemoteFailure)
    assert traceback.format_exception_only(error)[0] == "far.away.Strange: thing\n"


def test_no_text_of_a_task_can_end_the_driver():
    assert isinstance(raised("SystemExit: 3"), RemoteFailure)
    assert not isinstance(raised("KeyboardInterrupt"), KeyboardInterrupt)


def test_the_traceback_has_the_frames_of_the_user_only():
    frames = traceback.extract_tb(raised("ValueError: bad").__traceback__)
    assert [(frame.filename, frame.lineno, frame.name) for frame in frames] == [("/home/me/prog.py", 11, "parse")]
    assert frames[0].line == "return int(text)"


def test_of_a_chain_the_last_exception_counts_and_the_note_names_the_task():
    error = translated(Py4JJavaError(CHAINED))
    assert isinstance(error, KeyError)
    assert error.args == ("a",)
    assert error.__notes__ == [
        "task 3.1: partition 1, on 10.0.0.7 executor 2",
        "raised in a task on Apache Spark; made anew from its text, so attributes of its own are not there",
    ]


def test_the_cause_within_a_cause_is_found():
    inner = Java(RAISED % "ValueError: deep")
    error = translated(Py4JJavaError("Job aborted.", cause=Java("Exception thrown in awaitResult: ", cause=inner)))
    assert (type(error), str(error)) == (ValueError, "deep")


def test_a_traceback_in_the_text_of_an_exception_is_part_of_the_text():
    remote = parse_traceback(RAISED % "ValueError: saw\nTraceback (most recent call last):\n  nothing\nTypeError: x")
    assert remote.type_name == "ValueError"
    assert remote.text.endswith("TypeError: x")


@pytest.mark.parametrize(("java", "kind"), [
    ("org.apache.hadoop.mapred.InvalidInputException", FileNotFoundError),
    ("org.apache.hadoop.mapred.FileAlreadyExistsException", FileExistsError),
])  # fmt: skip
def test_hadoop_errors_about_files_are_those_of_python(java, kind):
    error = translated(Py4JJavaError("Input path: file:/nope", java))
    assert (type(error), str(error)) == (kind, "Input path: file:/nope")


def test_other_failures_of_spark_are_failed_jobs_without_javas_stack():
    error = translated(Py4JJavaError("Job aborted: a worker died.\n\tat org.apache.spark.Task.run(Task.scala:147)"))
    assert (type(error), str(error)) == (JobFailed, "Spark: Job aborted: a worker died. (SS301)")


def test_a_cancelled_job_says_so():
    error = translated(Py4JJavaError("Job 3 cancelled part of cancelled job group g"))
    assert (type(error), str(error)) == (JobCancelled, "Job 3 cancelled part of cancelled job group g. (SS302)")


def test_what_cannot_be_pickled_is_refused_as_on_simspark():
    class PicklingError(Exception):
        pass

    error = translated(PicklingError("Could not serialize object: TypeError: cannot pickle '_thread.lock' object"))
    assert isinstance(error, NotSerializable)
    assert str(error) == (
        "Could not serialize object: TypeError: cannot pickle '_thread.lock' object. Make it inside the function, or "
        "pass plain values. (SS102)"
    )
    error = translated(PicklingError("Could not serialize object: NotSerializable: An RDD was used. (SS102)"))
    assert str(error) == "An RDD was used. (SS102)"


def test_a_stopped_context_is_told_from_a_missing_attribute():
    missing = AttributeError("'NoneType' object has no attribute 'sc'")
    assert isinstance(translated(missing, stopped=True), ContextStopped)
    assert translated(missing) is missing


def test_other_errors_stay_what_they_are():
    error = ValueError("RDD is empty")
    assert translated(error, stopped=True) is error
