"""One action, from its compiled job to the values of its partitions, as the thread that waits for it sees it.

``PreparedAction`` holds pickled programs; each ``start`` submits a job and gives a ``StartedAction``, whose ``wait``
decodes the results, and has those made again that cannot be read. Ctrl-C in ``wait`` cancels the job.

The race known here: ``cancel`` comes from any thread while ``wait`` goes from one job to its repetition. Both write
what they want before they look at what the other has written, so one of them cancels the newer job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simspark.driver import scheduling
from simspark.driver.job import Accepted, RunningJob
from simspark.publib.errors import FetchFailed

if TYPE_CHECKING:
    from simspark.driver.application import Application
    from simspark.driver.stages import CompiledJob

INTERRUPT_WAIT_S = 2.0
REFETCH_ROUNDS = 4
TIME_IS_UP = "its time was up"


class PreparedAction:
    """See engine.Prepared."""

    def __init__(self, application: Application, compiled: CompiledJob, name: str, site: str,
                 properties: dict[str, str]) -> None:
        self._application = application
        self._compiled = compiled
        self._codes = application.codes(compiled)
        self._name = name
        self._site = site
        self._properties = properties
        self._starts = 0

    def start(self, partitions: Sequence[int]) -> StartedAction:
        """See engine.Prepared. The last stage of each job has a number of its own."""
        if self._starts:
            self._renumber(self._application.next_id("stage"))
        self._starts += 1
        return StartedAction(self._application, self._job, self._compiled, partitions)

    def _renumber(self, stage: int) -> None:
        *makers, last = self._compiled.stages
        self._codes = {**self._codes, stage: self._codes[last.stage]}
        operations = {**self._compiled.operations, stage: self._compiled.operations[last.stage]}
        stages = (*makers, last._replace(stage=stage))
        self._compiled = self._compiled._replace(stages=stages, operations=operations)

    def _job(self, partitions: tuple[int, ...], rerun: int) -> RunningJob:
        spec = self._application.spec(self._compiled, partitions, self._name, self._site, self._properties, rerun)
        return RunningJob(spec, self._codes, self._properties)


class StartedAction:
    """See engine.Started."""

    def __init__(self, application: Application, make: Callable[[tuple[int, ...], int], RunningJob],
                 compiled: CompiledJob, partitions: Sequence[int]) -> None:
        self._application = application
        self._make = make
        self._compiled = compiled
        self._partitions = partitions
        self._reason: str | None = None
        self._values: dict[int, Any] = {}
        self._lost: FetchFailed | None = None
        self._submit(0)

    @property
    def job(self) -> int:
        """See engine.Started. A repetition has another."""
        return self._running.spec.job

    def wait(self) -> list[Any]:
        """See engine.Started. The values are handed over: a second call has none."""
        lost: FetchFailed | None = None
        for rerun in range(REFETCH_ROUNDS):
            if rerun:
                self._submit(rerun)
            self._finish()
            lost = self._decode()
            if lost is None:
                values, self._values = self._values, {}
                return [values[part] for part in self._partitions]
            if self._running.spec.stages[-1].gang:
                self._values = {}  # its tasks run together or not at all
        assert lost is not None
        raise lost

    def wait_partially(self, timeout_s: float) -> dict[int, Any]:
        """See engine.Started. What is kept in files is read before the cancelled job takes them along."""
        running = self._running
        if not self._wait(max(0.0, timeout_s)):
            self._values = self._read(list(running.results.items()))
            self._application.engine.cancel(self.job, TIME_IS_UP)
            if not running.wait(INTERRUPT_WAIT_S) or (running.ended is not None and running.ended.text == TIME_IS_UP):
                self._application.updates.apply()
                return self._values
        return dict(zip(self._partitions, self.wait(), strict=True))

    def cancel(self, reason: str) -> None:
        """See engine.Started. Results that were ready and that nobody will read are removed."""
        self._reason = reason
        self._application.engine.withdraw(self.job, reason)

    def interrupted(self) -> KeyboardInterrupt:
        """Cancel the job after Ctrl-C and wait a moment for its end; what to raise."""
        running = self._running
        self.cancel("interrupted")
        running.wait(INTERRUPT_WAIT_S)
        done, all_ = len(running.results), len(running.spec.partitions)
        return KeyboardInterrupt(f"job {running.spec.job} cancelled: {done} of {all_} tasks were done")

    def _submit(self, rerun: int) -> None:
        missing = tuple([part for part in dict.fromkeys(self._partitions) if part not in self._values])
        self._running = self._make(missing, rerun)
        self._application.submit(self._running)
        if self._reason is not None:
            self._application.engine.withdraw(self.job, self._reason)

    def _finish(self) -> None:
        """Wait for the job; raise when it has no result."""
        running = self._running
        try:
            if not running.spec.stages[-1].gang:  # its tasks may all begin anew
                self._read_early(running)
            if running.ended is None:
                self._wait()
        finally:
            self._application.updates.apply()
        assert running.ended is not None
        if running.ended.outcome != "succeeded":
            self._values = {}
            raise self._error(running)

    def _read_early(self, running: RunningJob) -> None:
        """Read large results while other tasks run. What goes wrong with one is found again when the job has ended."""
        try:
            for partition in running.in_files():
                if partition not in self._values:
                    self._values[partition] = self._application.results.read(running.results[partition])
        except KeyboardInterrupt:
            raise self.interrupted() from None
        except BaseException:
            return

    def _wait(self, timeout_s: float = -1) -> bool:
        """Wait for the job; Ctrl-C cancels it."""
        try:
            return self._running.wait(timeout_s)
        except KeyboardInterrupt:
            raise self.interrupted() from None

    def _error(self, running: RunningJob) -> BaseException:
        from simspark.driver.remote_errors import job_error

        assert running.ended is not None
        full = self._application.settings.full_errors
        return job_error(running.ended, running.spec, self._compiled.operations, full=full)

    def _decode(self) -> FetchFailed | None:
        """Read the results that were not read before; the fault of the last that cannot be read."""
        running = self._running
        results, running.results = running.results, {}
        wanted = [(part, results[part]) for part in running.spec.partitions if part not in self._values]
        self._lost = None
        self._values.update(self._read(wanted))
        if running.has_files:
            self._application.engine.remove_files((f"result-{self.job}-",))
        return self._lost

    def _read(self, results: list[tuple[int, Accepted]]) -> dict[int, Any]:
        """The results that can be read. The scheduler hears who kept the others."""
        values = {}
        out_of_reach: dict[str, str] = {}
        for partition, accepted in results:
            try:
                values[partition] = self._application.results.read(accepted)
            except FetchFailed as error:
                self._lost = error
                out_of_reach[accepted.worker] = str(error)
        for worker, cause in out_of_reach.items():
            self._application.engine.post(scheduling.ResultUnreachable(worker, cause))
        return values
