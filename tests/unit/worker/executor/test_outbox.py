"""Reports on their way to the driver: how many messages they take, and that none waits for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from simspark.publib.wire.messages import TaskReport
from simspark.worker.executor.outbox import BATCH_BYTES, BATCH_REPORTS, BATCH_S, Outbox

pytestmark = pytest.mark.unit


class Bench:
    """An outbox with a loop whose turns the test takes, and a clock that stands."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.posted: list[Any] = []
        self.timers: dict[str, tuple[float, Any]] = {}
        self.outbox = Outbox(self, self, lambda message: self.sent.append(len(message.reports)))

    def now(self) -> float:
        return 5.0

    def post(self, action: Any) -> None:
        self.posted.append(action)

    def call_at(self, name: str, when: float, action: Any) -> None:
        self.timers[name] = when, action

    def turn(self) -> None:
        posted, self.posted = self.posted, []
        for action in posted:
            action()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def report(task: int, size: int = 0) -> TaskReport:
    return TaskReport(task, "ok", b"x" * size, "", size, b"", (), {}, None, None)


def test_a_lone_report_leaves_at_once(bench: Bench) -> None:
    bench.outbox.post(report(1), more_to_come=False)
    bench.turn()
    assert bench.sent == [1]


def test_where_reports_may_leave_at_once_they_do_and_the_loop_is_not_woken(bench: Bench) -> None:
    sent: list[int] = []
    outbox = Outbox(bench, bench, lambda message: sent.append(len(message.reports)), at_once=True)
    outbox.post(report(1), more_to_come=False)
    assert sent == [1] and not bench.posted
    for task in range(BATCH_REPORTS):
        outbox.post(report(task), more_to_come=True)
    assert sent == [1, BATCH_REPORTS] and len(bench.posted) == 1  # what sends later what does not come to a batch


def test_a_report_that_cannot_leave_ends_the_loop(bench: Bench) -> None:
    outbox = Outbox(bench, bench, lambda message: 1 // 0, at_once=True)
    outbox.post(report(1), more_to_come=False)
    with pytest.raises(ZeroDivisionError):
        bench.turn()


def test_a_thousand_short_tasks_take_a_message_for_each_batch(bench: Bench) -> None:
    for task in range(1000):
        bench.outbox.post(report(task), more_to_come=task < 999)
        if len(bench.posted) > 1:
            bench.turn()
    bench.turn()
    assert sum(bench.sent) == 1000
    assert len(bench.sent) <= 1000 // BATCH_REPORTS + 1


def test_reports_that_wait_for_others_leave_after_a_moment(bench: Bench) -> None:
    bench.outbox.post(report(1), more_to_come=True)
    bench.outbox.post(report(2), more_to_come=True)
    bench.turn()
    assert not bench.sent
    when, action = bench.timers["outbox"]
    assert when == bench.now() + BATCH_S
    action()
    assert bench.sent == [2]


def test_no_message_is_larger_than_it_may_be(bench: Bench) -> None:
    for task in range(6):
        bench.outbox.post(report(task, BATCH_BYTES // 3), more_to_come=True)
    bench.outbox.post(report(7), more_to_come=False)
    bench.turn()
    assert bench.sent == [2, 2, 3]
