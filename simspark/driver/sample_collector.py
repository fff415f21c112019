"""Where tasks and the driver's main thread spend their time: collected while a context lives, written when it stops.

Executors send what they have seen before the last of their reports, so the profile of a job is complete when the job
is. Attempts that failed, that were cancelled or whose executor died are in it: they took their time, too. Moments in
which the driver only waits for executors are not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from simspark.publib import events
from simspark.publib.clock import Clock, cpu_clock_of
from simspark.publib.errors import ConfigError
from simspark.publib.sampling_profile import DRIVER_STAGE, Profile
from simspark.publib.stack_sampler import ENGINE, SHARED_SOON_S, StackSampler, kind_of
from simspark.publib.wire.messages import TaskSamples

if TYPE_CHECKING:
    from simspark.driver.service import Engine

OUT = "spark.simspark.profile.out"
FORMS = (".svg", ".folded", ".json")
IDLE_S = 0.0005


class SampleCollector:
    """The profile of one application. Made, started and ended by the thread that has the context."""

    def __init__(self, name: str, rate_hz: float, out: str, clock: Clock) -> None:
        self._path = _checked_path(out)
        self._profile = Profile(name, rate_hz)
        self._lock = threading.Lock()
        waits = Waiting(cpu_clock_of(threading.get_ident()))
        self._sampler = StackSampler(rate_hz, clock, self._take_own, soon_s=SHARED_SOON_S, waits=waits)

    def attach(self, engine: Engine) -> None:
        """Hear what executors send, and watch the calling thread."""
        engine.take_samples = self.take
        engine.sinks.append(self.handle)
        self._sampler.begin(DRIVER_STAGE)
        self._sampler.start()

    def take(self, executor: str, samples: TaskSamples) -> None:
        """Count what an executor has seen."""
        with self._lock:
            self._profile.executors.add(executor)
            self._profile.add(samples)

    def handle(self, told: list[Any]) -> None:
        """Learn what stages are called."""
        for event in told:
            if isinstance(event, events.JobStarted):
                with self._lock:
                    for stage, name, site, _ in event.stages:
                        self._profile.stages[0, stage] = f"{name} at {site}"

    def end(self) -> None:
        """Look no more."""
        self._sampler.end()
        self._sampler.stop()

    def write(self, application: str) -> None:
        """Look no more, and write the file. What keeps it from being written is a warning."""
        self.end()
        path = self._path.replace("{app}", application)
        with self._lock:
            text = rendered(self._profile, path)
        try:
            write_whole(path, text)
        except OSError as error:
            import warnings

            text = f"The profile could not be written to {path}: {error.strerror or error}"
            warnings.warn(text, UserWarning, stacklevel=2)

    def _take_own(self, samples: TaskSamples) -> None:
        with self._lock:
            self._profile.add(samples)


class Waiting:
    """Tells, look by look, whether a thread of the driver only waits for a part of simspark, as for a job."""

    def __init__(self, cpu_s: Callable[[], float]) -> None:
        self._cpu_s = cpu_s
        self._before_s = 0.0

    def __call__(self, frame: FrameType) -> bool:
        """Whether the thread, which is here now, has done nothing since the look before. What users wait for counts."""
        before_s, self._before_s = self._before_s, self._cpu_s()
        caller: FrameType | None = frame
        while caller is not None and caller.f_code.co_filename == threading.__file__:
            caller = caller.f_back
        idle = self._before_s - before_s < IDLE_S
        return idle and caller is not None and kind_of(caller.f_code.co_filename) == ENGINE


def rendered(profile: Profile, path: str, *, engine: bool = False) -> str:
    """The content of a file of this name."""
    if path.endswith(".json"):
        return profile.to_json()
    stacks = profile.folded(engine=engine)
    if path.endswith(".folded"):
        from simspark.publib.sampling_profile import folded_text

        return folded_text(stacks)
    from simspark.publib.flame_graph import flame_graph

    return flame_graph(profile, stacks)


def write_whole(path: str, text: str) -> None:
    """Write a file that is there whole or not at all."""
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        os.replace(unfinished, path)
    except OSError as error:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise OSError(error.errno, error.strerror, path) from error


def _checked_path(out: str) -> str:
    path = os.path.abspath(out)
    if not path.endswith(FORMS):
        raise ConfigError(f"{OUT} is {out!r}, but must end in {', '.join(FORMS[:-1])} or {FORMS[-1]}. (SS101)")
    if not os.path.isdir(os.path.dirname(path)):
        raise ConfigError(f"{OUT} is {out!r}, but there is no directory {os.path.dirname(path)}. (SS101)")
    return path
