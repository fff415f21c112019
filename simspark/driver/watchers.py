"""Who follows the event stream in a driver: the progress line, forwarded prints of tasks, the event log.

All of it runs in the driver's loop and writes to stderr only, wiping the progress line first so that nothing collides.

A job that is over before anybody could see it on a terminal must not wait for those who follow it. Events are noted
with their moment and followed many together, while no job is old enough to be shown; then each is followed at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import repeat
from typing import Any, TextIO

from simspark.driver.conf import DriverSettings, terminal_is_plain
from simspark.driver.progress import SHOW_AFTER_S, ProgressLine, progress_mode, terminal_columns
from simspark.publib import events
from simspark.publib.clock import Clock
from simspark.publib.service import Loop

PRINTED_LINES_PER_S = 100
EVENT_LOGS_KEPT = 16
TICK, WAITING = "progress", "waiting"
WAITING_AFTER_S = 2.0
WAITING_AGAIN_S = 5.0
NOTICED = frozenset({events.JobStarted, events.JobEnded, events.LogLine})
NEWS_ENOUGH = 64
NEWS_MOST = 256


class ForwardedPrints:
    """What tasks print, some lines a second; of the others, how many there were."""

    def __init__(self, clock: Clock, stream: TextIO) -> None:
        self._clock = clock
        self._stream = stream
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def write(self, line: events.LogLine) -> None:
        """Show the lines of one piece of output."""
        who = line.executor.rpartition("/")[2]
        for text in line.text.splitlines():
            self._write_line(f"[executor {who}] {text}\n")

    def _write_line(self, text: str) -> None:
        second = int(self._clock.now())
        if second != self._second:
            self._second, self._lines = second, 0
            self.say_left_out()
        self._lines += 1
        if self._lines > PRINTED_LINES_PER_S:
            self._left_out += 1
        else:
            self._stream.write(text)

    def say_left_out(self) -> None:
        """Say how many lines were not shown."""
        if self._left_out:
            self._stream.write(f"… {self._left_out:,} more lines of tasks were not shown\n")
            self._left_out = 0


class Watchers:
    """Takes every event once. Of the loop's thread alone."""

    def __init__(self, loop: Loop, clock: Clock, settings: DriverSettings, application: str,
                 waiting_text: Callable[[], str]) -> None:
        self._loop = loop
        self._waiting_text = waiting_text
        self._said = ""
        self._quiet = settings.progress == "off"
        self._clock = clock
        mode = progress_mode(settings.progress, sys.stderr, terminal_is_plain())
        self._progress = ProgressLine(clock, sys.stderr, mode, terminal_columns)
        self._prints = ForwardedPrints(clock, sys.stderr)
        self._log = _event_log(settings, application, clock) if settings.event_log else None
        self._news: list[tuple[float, Any]] = []
        self._running = 0
        self._started_at = 0.0
        self._follows = False
        self._show = False
        self._ticks = self._waits = False  # whether the loop has the timer

    def handle(self, told: list[Any]) -> None:
        """Follow events that came just now: at once, or soon with others."""
        now = self._clock.now()
        self._news.extend(zip(repeat(now), told))
        for event in told:
            kind = type(event)
            if kind in NOTICED:
                self._notice(kind, now)
        if self._show or self._follows or len(self._news) >= (NEWS_MOST if self._running else NEWS_ENOUGH):
            self._catch_up()
        elif not self._ticks:
            self._tick_at(now + SHOW_AFTER_S)

    def _notice(self, kind: type, now: float) -> None:
        if kind is events.JobStarted:
            self._begin_job(now)
        elif kind is events.JobEnded:
            self._running -= 1
        else:
            self._show = True

    def _begin_job(self, now: float) -> None:
        self._running += 1
        self._started_at = now
        if not self._waits:
            self._waits = True
            self._loop.call_at(WAITING, now + WAITING_AFTER_S, self._say_what_it_waits_for)

    def close(self) -> None:
        """Leave the terminal clean and the log complete. After the loop has ended."""
        self._catch_up()
        self._progress.wipe()
        self._prints.say_left_out()
        if self._log is not None:
            self._log.close()

    def _catch_up(self) -> None:
        """Follow what was only noted. Jobs that came and went within it have nothing to be shown of."""
        news, self._news = self._news, []
        if not news:
            return
        if self._show or self._follows or self._running or self._clock.now() - news[0][0] >= SHOW_AFTER_S:
            for at, event in news:
                self._follow(at, event)
        self._follows = self._running > 0
        self._show = False
        self._keep(news)

    def _follow(self, at: float, event: Any) -> None:
        if isinstance(event, events.LogLine):
            self._progress.wipe()
            self._prints.write(event)
        else:
            self._progress.handle(event, at)

    def _keep(self, news: list[tuple[float, Any]]) -> None:
        if self._log is not None:
            since_epoch = self._clock.wall() - self._clock.now()
            self._log.add_all([(since_epoch + at, event) for at, event in news])

    def _say_what_it_waits_for(self) -> None:
        """A job that waits for executors says so, and again when the reason has changed."""
        full_wait = self._started_at + WAITING_AFTER_S
        if self._clock.now() < full_wait:  # it was a job before this one that the timer was set for
            self._loop.call_at(WAITING, full_wait, self._say_what_it_waits_for)
            return
        text = self._waiting_text()
        self._waits = bool(text) and not self._quiet
        if not self._waits:
            return
        if text != self._said:
            self._said = text
            self._progress.wipe()
            sys.stderr.write(text + "\n")
        self._loop.call_at(WAITING, self._clock.now() + WAITING_AGAIN_S, self._say_what_it_waits_for)

    def _tick(self) -> None:
        self._ticks = False
        self._catch_up()
        wait_s = self._progress.tick()
        if wait_s is not None:
            self._tick_at(self._clock.now() + wait_s)

    def _tick_at(self, when: float) -> None:
        self._ticks = True
        self._loop.call_at(TICK, when, self._tick)


def _event_log(settings: DriverSettings, application: str, clock: Clock) -> Any:
    from simspark.publib.event_log import EventLog, prune_event_logs

    directory = settings.event_log_dir
    if not directory:
        from simspark.publib.config import surroundings

        around = surroundings()
        directory = os.path.join(around.variables.get("SIMSPARK_PATHS_STATE") or around.state_home, "events")
    prune_event_logs(directory, EVENT_LOGS_KEPT * settings.event_log_max_bytes)
    return EventLog(directory, application, clock, settings.event_log_max_bytes)
