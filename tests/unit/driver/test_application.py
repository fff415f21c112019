"""What an action does with results that cannot be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from simspark.driver.application import Application
from simspark.driver.job import Accepted
from simspark.driver.scheduling import JobSpec, ResultUnreachable
from simspark.publib.errors import FetchFailed
from tests.unit.driver.harness import report, result_stage


class FakeApplication:
    """As much of an application as ``run`` needs; files of the workers ``lost`` cannot be read."""

    def __init__(self, keepers: list[str], lost: set[str]) -> None:
        self.engine = SimpleNamespace(post=lambda event: self.said.append(event), remove_files=lambda prefixes: None)
        self.said: list[Any] = []
        self.specs: list[JobSpec] = []
        self._keepers = iter(keepers)
        self._lost = lost
        self._results = SimpleNamespace(read=self._read)

    def _codes(self, compiled: Any) -> dict[int, Any]:
        return {}

    def _spec(self, compiled: Any, partitions: tuple[int, ...], *rest: Any) -> JobSpec:
        return JobSpec(len(self.specs), (result_stage(2),), partitions)

    def _run_once(self, spec: JobSpec, *rest: Any) -> Any:
        self.specs.append(spec)
        self.said.append(spec.job)
        results = {part: Accepted(next(self._keepers), report(part, name=f"result-{part}")) for part in spec.partitions}
        return SimpleNamespace(spec=spec, results=results)

    def _read(self, accepted: Accepted) -> str:
        if accepted.worker in self._lost:
            raise FetchFailed(accepted.worker, accepted.report.name, -1, -1, "nobody answers")
        return f"{accepted.report.name} of {accepted.worker}"

    def _decode(self, job: Any, values: dict[int, Any]) -> FetchFailed | None:
        return Application._decode(self, job, values)  # type: ignore[arg-type]

    def run(self) -> list[Any]:
        return Application.run(self, None, (0, 1), "", "", {})  # type: ignore[arg-type]


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
