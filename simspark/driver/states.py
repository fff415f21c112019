"""States of tasks, stages and jobs, and which one may follow which.

A transition that is not in the table is a bug of ours: it raises and changes nothing.
"""

from __future__ import annotations

from enum import IntEnum

from simspark.publib.errors import InternalError


class TaskState(IntEnum):
    """One partition of a stage attempt. Attempts come and go; the task is what they try."""

    PENDING = 0
    RUNNING = 1
    DONE = 2


class StageState(IntEnum):
    """A stage while a job that runs names it."""

    RESTING = 0
    """Not needed: its outputs are complete, or nothing that is needed reads them."""
    WAITING = 1
    """Needed, but outputs that it reads are missing, or it pauses after it failed to read them."""
    RUNNING = 2
    """Needed, and its tasks may be launched."""
    CLOSED = 3


class JobState(IntEnum):
    """One action."""

    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2
    CANCELLED = 3


TASK_MOVES = frozenset({
    (TaskState.PENDING, TaskState.RUNNING),  # launched
    (TaskState.RUNNING, TaskState.RUNNING),  # a copy was launched, or one of two attempts ended
    (TaskState.RUNNING, TaskState.PENDING),  # the only attempt ended without a result
    (TaskState.RUNNING, TaskState.DONE),  # accepted
    (TaskState.DONE, TaskState.PENDING),  # its output was lost, or its gang restarts
})
STAGE_MOVES = frozenset({
    (StageState.RESTING, StageState.WAITING),
    (StageState.RESTING, StageState.RUNNING),
    (StageState.RESTING, StageState.CLOSED),
    (StageState.WAITING, StageState.RUNNING),
    (StageState.WAITING, StageState.RESTING),
    (StageState.WAITING, StageState.CLOSED),
    (StageState.RUNNING, StageState.WAITING),  # outputs that it reads were lost, or could not be read
    (StageState.RUNNING, StageState.RESTING),
    (StageState.RUNNING, StageState.CLOSED),
})
JOB_MOVES = frozenset({
    (JobState.RUNNING, JobState.SUCCEEDED),
    (JobState.RUNNING, JobState.FAILED),
    (JobState.RUNNING, JobState.CANCELLED),
})


def check_move(moves: frozenset[tuple[int, int]], old: int, new: int, what: str) -> None:
    """Raise InternalError unless ``new`` may follow ``old``."""
    if (old, new) not in moves:
        raise InternalError(f"{what} cannot go from state {old} to state {new}")
