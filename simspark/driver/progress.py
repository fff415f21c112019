"""The progress of running jobs, folded from the event stream and drawn on a terminal.

``Progress`` is the fold: pure, it knows how far each stage is. ``ProgressLine`` draws it, and is called by the driver's
loop alone: ``handle`` for each event, ``tick`` now and then. It draws nothing before a job has run half a second, ten
times a second at most, wipes what it drew, and leaves one line behind for a job of two seconds or more. Where
``plain`` is asked for, or nobody watches, it writes a line when a long stage ends. "off" is silent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from simspark.publib import events
from simspark.publib.clock import Clock

SHOW_AFTER_S = 0.5
REDRAW_S = 0.1
SUMMARY_FROM_S = 2.0
PLAIN_FROM_S = 10.0
STAGE_LINES = 3
ETA_FROM_TASKS = 5
BAR_COLUMNS = 31
NAME_COLUMNS = 28


class StageProgress:
    """How far one stage of one job is."""

    __slots__ = ("done", "failed", "finished", "name", "retried", "running", "shuffle_bytes", "site", "stage",
                 "started_at", "tasks")  # fmt: skip

    def __init__(self, stage: int, name: str, site: str, tasks: int) -> None:
        self.stage = stage
        self.name = name
        self.site = site
        self.tasks = tasks
        self.done = 0
        self.running = 0
        self.failed = 0
        self.retried = 0
        self.shuffle_bytes = 0
        self.started_at: float | None = None
        self.finished = False


class JobProgress:
    """How far one job is."""

    __slots__ = ("job", "name", "stages", "started_at")

    def __init__(self, started: events.JobStarted, now: float) -> None:
        self.job = started.job
        self.name = started.name
        self.started_at = now
        self.stages = {stage[0]: StageProgress(*stage) for stage in started.stages}


class Progress:
    """The running jobs, folded from events. Pure: time is an argument."""

    def __init__(self) -> None:
        self.jobs: dict[int, JobProgress] = {}

    def handle(self, now: float, event: Any) -> JobProgress | None:
        """Take an event; the job, if this one ended it."""
        match event:
            case events.JobStarted(job):
                self.jobs[job] = JobProgress(event, now)
            case events.JobEnded(job):
                return self.jobs.pop(job, None)
            case events.StageStarted(_, number, _, name, site, tasks):
                for stage in self._stages(number, StageProgress(number, name, site, tasks), event.job):
                    stage.tasks, stage.done, stage.finished = tasks, 0, False
                    stage.started_at = now if stage.started_at is None else stage.started_at
            case events.StageEnded(_, number, _, outcome):
                for stage in self._stages(number):
                    stage.finished = outcome == "succeeded"
                    stage.running = 0
            case events.TasksStarted(_, number, _, _, tasks):
                for stage in self._stages(number):
                    stage.running += len(tasks)
                    stage.retried += sum(task.attempt > 0 for task in tasks)
            case events.TasksEnded(_, number, _, _, tasks):
                for stage in self._stages(number):
                    self._end_tasks(stage, tasks)
        return None

    def _end_tasks(self, stage: StageProgress, tasks: tuple[events.TaskEnd, ...]) -> None:
        stage.running = max(0, stage.running - len(tasks))
        for task in tasks:
            if task.accepted:
                stage.done += 1
                stage.shuffle_bytes += task.metrics.get("shuffle_write_bytes", 0)
            elif task.outcome not in {"ok", "cancelled"}:
                stage.failed += 1

    def _stages(self, number: int, new: StageProgress | None = None, job: int = -1) -> Iterator[StageProgress]:
        """The stage as each job has it that waits for it."""
        for each in self.jobs.values():
            if number in each.stages:
                yield each.stages[number]
            elif new is not None and each.job == job:
                yield each.stages.setdefault(number, new)


class ProgressLine:
    """Draws the progress of running jobs. Of the driver's loop alone; ``write`` must not block for long."""

    def __init__(self, clock: Clock, stream: TextIO, mode: str, columns: Callable[[], int]) -> None:
        self._clock = clock
        self._stream = stream
        self._mode = mode
        self._drawing = mode == "auto"
        self._progress = Progress()
        self._columns = columns
        self._drawn_lines = 0
        self._drawn_at = -REDRAW_S

    def handle(self, event: Any, at: float | None = None) -> None:
        """Take an event of the stream, which came just now or at that moment."""
        if self._mode == "off":
            return
        now = self._clock.now() if at is None else at
        if not self._drawing and isinstance(event, events.StageEnded):
            self._write_stage(now, event)
        ended = self._progress.handle(now, event)
        if ended is not None and isinstance(event, events.JobEnded):
            self._end_job(now, ended, event)

    def tick(self) -> float | None:
        """Redraw if it is time; in how many seconds to call again, None when no job runs."""
        if not self._progress.jobs or not self._drawing:
            return None
        now = self._clock.now()
        wait = max(self._due(now), self._drawn_at + REDRAW_S) - now
        if wait > 0:
            return wait
        self._draw(now)
        self._drawn_at = now
        return REDRAW_S

    def wipe(self) -> None:
        """Remove what is drawn, so that something else can be written."""
        if self._drawn_lines:
            self._say(f"\r\x1b[{self._drawn_lines - 1}A\x1b[J" if self._drawn_lines > 1 else "\r\x1b[J")
            self._drawn_lines = 0

    def _due(self, now: float) -> float:
        return min((job.started_at for job in self._progress.jobs.values()), default=now) + SHOW_AFTER_S

    def _draw(self, now: float) -> None:
        lines = self._lines(now)
        self.wipe()
        if lines:
            self._say("\n".join(lines))
            self._drawn_lines = len(lines)

    def _lines(self, now: float) -> list[str]:
        width = max(20, self._columns() - 1)
        stages = {
            stage.stage: stage
            for job in self._progress.jobs.values()
            for stage in job.stages.values()
            if not stage.finished
        }
        lines = [stage_line(now, stage)[:width] for stage in list(stages.values())[:STAGE_LINES]]
        if len(stages) > STAGE_LINES:
            lines.append(f"+{len(stages) - STAGE_LINES} more")
        return lines

    def _end_job(self, now: float, job: JobProgress, ended: events.JobEnded) -> None:
        self.wipe()
        took = now - job.started_at
        if self._drawing and ended.outcome == "succeeded" and took >= SUMMARY_FROM_S:
            self._say(summary(job, took) + "\n")

    def _write_stage(self, now: float, ended: events.StageEnded) -> None:
        job = self._progress.jobs.get(ended.job)
        stage = None if job is None else job.stages.get(ended.stage)
        if stage is None or stage.started_at is None or now - stage.started_at < PLAIN_FROM_S:
            return
        took = now - stage.started_at
        self._say(f"stage {stage.stage} {stage.name} {ended.outcome} in {took:.1f} s: {stage.tasks} tasks\n")

    def _say(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._drawing = False


def stage_line(now: float, stage: StageProgress) -> str:
    """One stage as one line: name, bar, tasks, and what is worth saying."""
    share = stage.done / stage.tasks if stage.tasks else 1.0
    filled = min(BAR_COLUMNS - 1, int(share * BAR_COLUMNS))
    bar = ("=" * filled + ">").ljust(BAR_COLUMNS)
    words = [f"{stage.done}/{stage.tasks}", *_words(now, stage)]
    name = f"stage {stage.stage} {stage.name} {stage.site}".strip()
    return f"{name[:NAME_COLUMNS].ljust(NAME_COLUMNS)} [{bar}] {' '.join(words)}"


def _words(now: float, stage: StageProgress) -> Iterator[str]:
    if stage.started_at is None:
        yield "waits"
        return
    counts = [(stage.running, "running"), (stage.failed, "failed"), (stage.retried, "tried again")]
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    if said:
        yield f"({said})"
    if stage.done >= ETA_FROM_TASKS and stage.done < stage.tasks:
        left = (now - stage.started_at) / stage.done * (stage.tasks - stage.done)
        yield f"eta {_duration(left)}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{max(1, whole)}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def summary(job: JobProgress, took_s: float) -> str:
    """One line about a job that is done."""
    ran = [stage for stage in job.stages.values() if stage.started_at is not None]
    tasks = sum(stage.done for stage in ran)
    parts = [f"{len(ran)} stage{'s' * (len(ran) != 1)}", f"{tasks:,} task{'s' * (tasks != 1)}"]
    shuffled = sum(stage.shuffle_bytes for stage in ran)
    if shuffled:
        parts.append(f"shuffle {_size(shuffled)}")
    failed = sum(stage.failed for stage in ran)
    if failed:
        parts.append(f"{failed} failed and tried again")
    return f"job {job.job} done in {took_s:.1f} s: {', '.join(parts)}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:.1f} TB"


def progress_mode(setting: str, stream: TextIO, plain_terminal: bool) -> str:
    """What to show: "auto" becomes "plain" where nobody watches; "plain" and "off" stay what they are."""
    if setting == "auto" and (plain_terminal or not stream.isatty()):
        return "plain"
    return setting


def terminal_columns() -> int:
    """How wide the terminal is now."""
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
