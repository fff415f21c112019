"""A task costs the scheduler the same however many executors there are: instructions of the interpreter, counted."""

from __future__ import annotations

import sys

from simspark.driver.executor_pool import ExecutorPool
from tests.unit.driver import harness

FEW, MANY = 10, 200
TASKS_EACH = 6


def instructions_of(action):
    """How many the interpreter runs meanwhile in modules of the driver."""
    counted = 0

    def trace(frame, event, argument):
        nonlocal counted
        if "/simspark/driver/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return counted


def instructions_a_task(executors):
    shell = harness.Shell()
    for number in range(executors):
        shell.join(f"e{number}", worker=f"w{number // 8}")
    job = shell.submit(harness.result_stage(executors * TASKS_EACH))
    counted = instructions_of(shell.finish_everything)
    assert shell.outcome(job) == "succeeded"
    return counted / (executors * TASKS_EACH)


def test_a_task_costs_the_same_with_twenty_times_the_executors():
    assert instructions_a_task(MANY) <= 1.2 * instructions_a_task(FEW)


def loads_of(pool: ExecutorPool):
    return set(pool.loads.roomy), set(pool.loads.crowded)


def test_who_has_room_and_who_has_tasks_waiting_is_known_without_looking_at_all():
    shell = harness.Shell()
    shell.join("a", slots=2)
    shell.join("b", slots=1)
    pool = shell.core._pool

    def really():
        return (
            {executor.name for executor in pool.all() if len(executor.flight) + executor.extra < executor.slots},
            {executor.name for executor in pool.all() if len(executor.flight) > executor.slots},
        )

    assert loads_of(pool) == really() == ({"a", "b"}, set())
    shell.submit(harness.result_stage(40))
    seen = [loads_of(pool)]
    for _ in range(40):
        assert loads_of(pool) == really()
        busy = [name for name in ("a", "b") if shell.queue(name)]
        if busy:
            shell.finish(busy[0])
        seen.append(loads_of(pool))
    assert ({"a", "b"}, set()) in seen and any(crowded for _, crowded in seen)
    shell.lose("a")
    assert loads_of(pool) == ({"b"}, set())
    assert pool.staying == 1
