"""Samples of this executor's tasks, where the driver asked for them."""

from __future__ import annotations

from collections.abc import Callable

from simspark.publib.clock import Clock
from simspark.publib.signal_sampler import SignalSampler, works_here
from simspark.publib.stack_sampler import SHARED_SOON_S, SOON_S, StackSampler
from simspark.publib.wire.messages import TaskReport, TaskSamples
from simspark.worker.executor.runner import Runs, Work


class SampledRunner:
    """A runner whose task threads are watched.

    What was seen leaves before the report of the task with which nothing waits any more: when a job is over, the driver
    has it all. Of an executor that dies, at most the last second is lost.
    """

    def __init__(self, runner: Runs, sampler: StackSampler, is_idle: Callable[[], bool]) -> None:
        self._runner = runner
        self._sampler = sampler
        self._is_idle = is_idle

    def run(self, work: Work) -> TaskReport:
        """See Runner."""
        self._sampler.begin(work.launch.stage)
        try:
            return self._runner.run(work)
        finally:
            self._sampler.end()
            if self._is_idle():
                self._sampler.flush()


def sampled(runner: Runs, rate_hz: float, cores: int, clock: Clock, send: Callable[[TaskSamples], None],
            is_idle: Callable[[], bool]) -> SampledRunner:
    """The runner, watched from now on. With one core, tasks run in the main thread, and have its signals."""
    task = SampledRunner.run.__code__
    if cores == 1 and works_here():
        sampler: StackSampler = SignalSampler(rate_hz, clock, send, task)
    else:
        soon_s = SOON_S if cores == 1 else SHARED_SOON_S  # task threads that share the lock would pass it on as often
        sampler = StackSampler(rate_hz, clock, send, task, soon_s)
    sampler.start()
    return SampledRunner(runner, sampler, is_idle)
