from __future__ import annotations

import traceback

import pytest

from simspark.driver.remote_errors import job_error
from simspark.driver.scheduling import JobEnded, JobSpec, StageSpec
from simspark.publib.errors import (
    JobCancelled,
    JobFailed,
    NotEnoughResources,
    RemoteFailure,
    ResultTooLarge,
    WorkerLost,
)
from simspark.publib.lineage.steps import Map
from simspark.publib.wire import payload
from simspark.publib.wire.messages import Failure, Frame, TaskReport

pytestmark = pytest.mark.unit

PARSE = Frame("/srv/wordcount.py", "parse", 7, 7, 11, 34, '    return int(line.split(",")[1]) + 1')
SPEC = JobSpec(3, (StageSpec(3, -1, 4, ()),), (0, 1, 2, 3), max_failures=4)


def failure(error: BaseException, *, travels: bool = True, notes: tuple[str, ...] = ()) -> Failure:
    kind = type(error)
    pickled = payload.dump(error) if travels else b""
    return Failure(kind.__qualname__, kind.__module__, str(error), (PARSE,), notes, "Traceback...", pickled)


def ended(failed: Failure | None, failures: int = 1) -> JobEnded:
    report = TaskReport(9, "raised", b"", "", 0, b"", (), {}, failed, None)
    return JobEnded(3, "failed", "JobFailed", "text", report, 3, 1, 3, "w2", failures)


def shown(error: BaseException) -> str:
    try:
        raise error
    except BaseException:
        return traceback.format_exc()


def test_user_error_arrives_as_its_own_type_with_the_remote_frame_marked() -> None:
    error = job_error(ended(failure(ValueError("invalid literal"))), SPEC)
    assert type(error) is ValueError
    lines = shown(error).splitlines()
    at = lines.index('  File "/srv/wordcount.py", line 7, in parse')
    assert lines[at + 1] == '    return int(line.split(",")[1]) + 1'
    assert lines[at + 2].replace("~", "^") == "           ^^^^^^^^^^^^^^^^^^^^^^^"  # 3.13 marks a name with ~
    assert lines[at + 3] == "ValueError: invalid literal"


def test_notes_name_task_element_operation_and_the_other_failures() -> None:
    notes = ("while processing element: 'u10'", "in map(parse) at wordcount.py:14")
    error = job_error(ended(failure(ValueError("x"), notes=notes), failures=7), SPEC)
    assert error.__notes__ == [
        "task 3.1: partition 1 of 4, attempt 4 of 4, worker w2",
        *notes,
        "and 6 more tasks of this job failed",
    ]


def test_operation_is_found_by_the_function_whose_code_raised() -> None:
    def parse(row: str) -> int:
        return int(row)

    frame = PARSE._replace(file=__file__, line=parse.__code__.co_firstlineno + 1)
    failed = failure(ValueError("x"))._replace(frames=(frame,))
    error = job_error(ended(failed), SPEC, {3: (Map(len, "map", "a:1"), Map(parse, "map", "app.py:14"))})
    assert "in map(parse) at app.py:14" in error.__notes__


def test_notes_of_the_exception_itself_are_not_doubled() -> None:
    original = ValueError("x")
    original.add_note("mine")
    error = job_error(ended(failure(original, notes=("mine",))), SPEC)
    assert error.__notes__.count("mine") == 1


def test_error_that_cannot_travel_is_stood_in_for_by_its_name() -> None:
    class Odd(Exception):
        pass

    failed = failure(Odd("why"), travels=False)._replace(module="app", type_name="Odd")
    error = job_error(ended(failed), SPEC)
    assert isinstance(error, RemoteFailure)
    assert shown(error).splitlines()[-2] == "app.Odd: why"


def test_pickle_that_does_not_load_is_stood_in_for_too() -> None:
    error = job_error(ended(failure(ValueError("x"))._replace(pickled=b"junk")), SPEC)
    assert isinstance(error, RemoteFailure)
    assert str(error) == "x"


def test_frame_without_columns_shows_no_markers() -> None:
    failed = failure(ValueError("x"))._replace(frames=(PARSE._replace(file="/no.py", column=-1),))
    assert "^" not in shown(job_error(ended(failed), SPEC)).partition("/no.py")[2]


def test_full_adds_the_remote_traceback() -> None:
    assert "Traceback..." in job_error(ended(failure(ValueError("x"))), SPEC, full=True).__notes__[-1]


@pytest.mark.parametrize(
    ("name", "kind", "advice"),
    [
        ("WorkerLost", WorkerLost, "Use more partitions"),
        ("ResultTooLarge", ResultTooLarge, "SS303"),
        ("NotEnoughResources", NotEnoughResources, "start workers"),
        ("FetchFailed", JobFailed, "SS301"),
        ("", JobFailed, "SS301"),
    ],
)
def test_failures_of_the_cluster_have_their_class_and_advice(name: str, kind: type, advice: str) -> None:
    error = job_error(JobEnded(3, "failed", name, "executor e1 was killed by signal 9"))
    assert type(error) is kind
    assert str(error).startswith("Executor e1 was killed by signal 9. ")
    assert advice in str(error)
    assert len(str(error).splitlines()) <= 4


def test_cancelled_job_says_why() -> None:
    error = job_error(JobEnded(3, "cancelled", text="the context was stopped"))
    assert isinstance(error, JobCancelled)
    assert str(error) == "Job 3 was cancelled: the context was stopped. (SS302)"
