"""What an action does with results that cannot be read, with too little time, and when nobody wants it any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from simspark.driver.action_run import StartedAction
from simspark.driver.job import Accepted, RunningJob
from simspark.driver.scheduling import JobEnded, JobSpec, ResultUnreachable
from simspark.publib.errors import FetchFailed, JobCancelled
from tests.unit.driver.harness import report, result_stage


class FakeApplication:
    """As much of an application as an action needs; files of the workers ``lost`` cannot be read.

    Each job ends when it is submitted, with results on the workers ``keepers``; but not before it is cancelled when
    there are none left.
    """

    def __init__(self, keepers: list[str], lost: set[str] | None = None) -> None:
        self.engine = self
        self.updates = SimpleNamespace(apply=lambda: None)
        self.results = SimpleNamespace(read=self._read)
        self.settings = SimpleNamespace(full_errors=False)
        self.said: list[Any] = []
        self.jobs: list[RunningJob] = []
        self._keepers = iter(keepers)
        self._lost = lost or set()

    def submit(self, job: RunningJob) -> None:
        self.jobs.append(job)
        self.said.append(job.spec.job)
        for part in job.spec.partitions:
            keeper = next(self._keepers, "")
            if not keeper:
                return
            job.results[part] = Accepted(keeper, report(part, name=f"result-{part}"))
        job.finish(JobEnded(job.spec.job, "succeeded"))

    def post(self, event: Any) -> None:
        self.said.append(event)

    def remove_files(self, prefixes: tuple[str, ...]) -> None:
        pass

    def cancel(self, job: int, reason: str) -> None:
        self.jobs[job].finish(JobEnded(job, "cancelled", text=reason))

    withdraw = cancel

    def _read(self, accepted: Accepted) -> str:
        if accepted.worker in self._lost:
            raise FetchFailed(accepted.worker, accepted.report.name, -1, -1, "nobody answers")
        return f"{accepted.report.name} of {accepted.worker}"

    def start(self) -> StartedAction:
        def make(partitions: tuple[int, ...], rerun: int) -> RunningJob:
            spec = JobSpec(len(self.jobs), (result_stage(2),), partitions, rerun=rerun)
            return RunningJob(spec, {}, {})

        return StartedAction(self, make, SimpleNamespace(operations={}), (0, 1))  # type: ignore[arg-type]

    def run(self) -> list[Any]:
        return self.start().wait()

    @property
    def specs(self) -> list[JobSpec]:
        return [job.spec for job in self.jobs]


def test_the_scheduler_hears_who_is_out_of_reach_before_the_missing_results_are_made_again():
    application = FakeApplication(["w1", "w2", "w3"], {"w1"})
    assert application.run() == ["result-0 of w3", "result-1 of w2"]
    first, unreachable, second = application.said
    assert (first, second) == (0, 1)
    assert isinstance(unreachable, ResultUnreachable) and unreachable.worker == "w1"
    assert [(spec.partitions, spec.rerun) for spec in application.specs] == [((0, 1), 0), ((0,), 1)]


def test_a_worker_is_named_once_however_many_results_it_keeps():
    application = FakeApplication(["w1", "w1", "w2", "w2"], {"w1"})
    application.run()
    assert [said.worker for said in application.said if isinstance(said, ResultUnreachable)] == ["w1"]


def test_results_that_stay_out_of_reach_raise_in_the_end():
    application = FakeApplication(["w1"] * 99, {"w1"})
    with pytest.raises(FetchFailed):
        application.run()
    assert [spec.rerun for spec in application.specs] == [0, 1, 2, 3]


def test_what_is_there_when_the_time_is_up_is_returned_and_the_rest_is_cancelled():
    application = FakeApplication(["w1"])
    assert application.start().wait_partially(0) == {0: "result-0 of w1"}
    assert application.jobs[0].ended == JobEnded(0, "cancelled", text="its time was up")


def test_time_below_zero_is_no_time():
    assert FakeApplication([]).start().wait_partially(-5) == {}


def test_all_is_returned_when_the_time_suffices():
    application = FakeApplication(["w1", "w2"])
    assert application.start().wait_partially(9) == {0: "result-0 of w1", 1: "result-1 of w2"}


def test_a_job_that_somebody_cancels_meanwhile_is_no_partial_result():
    application = FakeApplication([])
    started = application.start()
    application.cancel(0, "all jobs were cancelled")
    with pytest.raises(JobCancelled, match="all jobs were cancelled"):
        started.wait_partially(9)


def test_a_cancelled_action_cancels_the_job_that_makes_lost_results_anew():
    application = FakeApplication(["w1", "w2"], {"w1"})
    started = application.start()
    started.cancel("nobody wants it")
    with pytest.raises(JobCancelled, match="nobody wants it"):
        started.wait()
    assert [spec.rerun for spec in application.specs] == [0, 1]


@pytest.mark.parametrize(("wait", "waits_in"), [
    (StartedAction.wait, "in_files"), (StartedAction.wait, "wait"), (lambda started: started.wait_partially(9), "wait"),
], ids=["all", "all, after what is read early", "some"])  # fmt: skip
def test_ctrl_c_cancels_the_job_and_says_how_far_it_was(monkeypatch: pytest.MonkeyPatch, wait: Any, waits_in: str):
    application = FakeApplication(["w1"])
    started = application.start()
    waited = getattr(RunningJob, waits_in)

    def interrupted_once(job: RunningJob, timeout_s: float = -1) -> bool:
        monkeypatch.setattr(RunningJob, waits_in, waited)
        raise KeyboardInterrupt

    if waits_in == "wait":
        monkeypatch.setattr(RunningJob, "in_files", lambda job: iter(()))
    monkeypatch.setattr(RunningJob, waits_in, interrupted_once)
    with pytest.raises(KeyboardInterrupt, match="job 0 cancelled: 1 of 2 tasks were done"):
        wait(started)
    assert application.jobs[0].ended == JobEnded(0, "cancelled", text="interrupted")


class Taking(FakeApplication):
    """One whose results come as the loop gives them, in files or in messages. ``told`` says what was done with them.

    Accumulators are updated when the job has ended: what is read before that is read early.
    """

    def __init__(self, keepers: list[str], lost: set[str] | None = None, *, named: bool = True, gang: bool = False,
                 ended: JobEnded | None = None) -> None:
        super().__init__(keepers, lost)
        self.updates = SimpleNamespace(apply=lambda: self.told.append("ended"))
        self.told: list[str] = []
        self._named = named
        self._gang = gang
        self._ended = ended

    def submit(self, job: RunningJob) -> None:
        self.jobs.append(job)
        for part in job.spec.partitions:
            job.take(part, Accepted(next(self._keepers), report(part, name=f"result-{part}" if self._named else "")))
        job.finish(self._ended or JobEnded(job.spec.job, "succeeded"))

    def _read(self, accepted: Accepted) -> str:
        self.told.append(accepted.worker)
        return super()._read(accepted)

    def start(self) -> StartedAction:
        def make(partitions: tuple[int, ...], rerun: int) -> RunningJob:
            stage = result_stage(2)._replace(gang=self._gang)
            return RunningJob(JobSpec(len(self.jobs), (stage,), partitions, rerun=rerun), {}, {})

        return StartedAction(self, make, SimpleNamespace(operations={}), (0, 1))  # type: ignore[arg-type]


def test_large_results_are_read_while_other_tasks_run():
    application = Taking(["w1", "w2"])
    assert application.run() == ["result-0 of w1", "result-1 of w2"]
    assert application.told == ["w1", "w2", "ended"]


def test_small_results_are_read_when_the_job_has_ended():
    application = Taking(["w1", "w2"], named=False)
    application.run()
    assert application.told == ["ended", "w1", "w2"]


def test_results_of_a_gang_are_read_when_it_has_ended_since_all_may_begin_anew():
    application = Taking(["w1", "w2"], gang=True)
    application.run()
    assert application.told == ["ended", "w1", "w2"]


def test_a_large_result_that_cannot_be_read_early_is_made_again_like_any_other():
    application = Taking(["w1", "w2", "w3"], {"w1"})
    assert application.run() == ["result-0 of w3", "result-1 of w2"]
    assert application.told == ["w1", "ended", "w1", "w2", "w3", "ended"]


def test_what_was_read_early_is_not_kept_when_the_job_fails():
    application = Taking(["w1", "w2"], ended=JobEnded(0, "cancelled", text="nobody wants it"))
    started = application.start()
    with pytest.raises(JobCancelled):
        started.wait()
    assert started._values == {}
