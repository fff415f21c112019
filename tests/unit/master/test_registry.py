import pytest

from simspark.master.registry import (
    WORKER_TRANSITIONS,
    Executor,
    ExecutorLife,
    Executors,
    IllegalTransition,
    Worker,
    WorkerLife,
    Workers,
)

ALL = [(before, after) for before in WorkerLife for after in WorkerLife]


@pytest.mark.parametrize(("before", "after"), ALL)
def test_a_worker_changes_as_the_table_says_and_otherwise_not_at_all(before, after):
    worker = Worker("w1", 1, "", 1, None)
    worker.life = before
    if after in WORKER_TRANSITIONS[before]:
        worker.become(after)
        assert worker.life is after
    else:
        with pytest.raises(IllegalTransition, match=f"is {before.value} and cannot become {after.value}"):
            worker.become(after)
        assert worker.life is before


def test_removing_a_worker_twice_is_harmless_and_leaves_no_index():
    workers = Workers()
    workers.attach(workers.add("w1", 1, "", None), "p1")
    workers.remove("w1")
    workers.remove("w1")
    assert workers.get("w1") is None
    assert workers.of_peer("p1") is None


def test_a_new_registration_takes_the_place_of_the_older_one():
    workers = Workers()
    workers.attach(workers.add("w1", 1, "", None), "p1")
    again = workers.add("w1", 2, "", None)
    workers.attach(again, "p2")
    assert workers.of_peer("p1") is None
    assert workers.of_peer("p2") is again
    assert len(workers) == 1


def test_removing_an_executor_twice_frees_its_slot_once():
    executors = Executors()
    executors.add(Executor("a/1", "a", "w1", 1, 0, ExecutorLife.LAUNCHING, 9.0))
    assert executors.remove("a/1") is not None
    assert executors.remove("a/1") is None
    assert executors.on_worker("w1") == executors.of_application("a") == executors.pending() == []


def test_an_executor_that_is_to_end_does_not_run_again():
    executors = Executors()
    entry = Executor("a/1", "a", "w1", 1, 0, ExecutorLife.LAUNCHING, 9.0)
    executors.add(entry)
    executors.expect_end(entry, 10.0)
    executors.run(entry)
    assert entry.life is ExecutorLife.ENDING
    assert executors.held("a") == []
    assert executors.pending() == [entry]
