from hypothesis import given
from hypothesis import strategies as st

from simspark.master.placement import Held, Need, Placed, Seat, explain, give_back, place

MIB = 1 << 20


def seat(worker, slots=2, busy=0, memory_mib=1000, order=None, **changes):
    order = int(worker[1:]) if order is None else order
    made = Seat(worker, order, busy, slots, memory_mib * MIB, slots - busy, memory_mib * MIB, {})
    return made._replace(**changes)


def need(application, wanted, cores=1, memory_mib=100, held=0, placement="spread", **labels):
    order = ord(application[-1])
    return Need(application, order, cores, memory_mib * MIB, labels, placement, wanted, held)


def workers(placed):
    return [entry.worker for entry in placed]


def test_two_idle_workers_and_four_asked_give_two_each_in_turn():
    assert workers(place([seat("w1"), seat("w2")], [need("a", 4)])) == ["w1", "w2", "w1", "w2"]


def test_what_there_is_is_granted_when_more_is_asked():
    assert len(place([seat("w1"), seat("w2")], [need("a", 9)])) == 4


def test_the_worker_with_the_fewest_busy_executors_is_first():
    assert workers(place([seat("w1", slots=4, busy=2), seat("w2", slots=4)], [need("a", 3)])) == ["w2", "w2", "w1"]


def test_pack_fills_one_worker_before_the_next():
    seats = [seat("w1", slots=3), seat("w2", slots=3, busy=1)]
    assert workers(place(seats, [need("a", 4, placement="pack")])) == ["w2", "w2", "w1", "w1"]


def test_memory_is_a_constraint():
    assert workers(place([seat("w1", memory_mib=150), seat("w2")], [need("a", 4)])) == ["w1", "w2", "w2"]


def test_labels_are_a_constraint():
    seats = [seat("w1"), seat("w2", labels={"disk": "ssd"})]
    assert workers(place(seats, [need("a", 4, disk="ssd")])) == ["w2", "w2"]


def test_an_executor_takes_all_its_cores():
    assert workers(place([seat("w1", slots=5)], [need("a", 9, cores=2)])) == ["w1", "w1"]


def test_a_seat_that_is_not_usable_gets_nothing():
    assert place([seat("w1", usable=False)], [need("a", 1)]) == []


def test_grants_go_one_at_a_time_to_the_application_that_holds_the_fewest():
    placed = place([seat("w1", slots=4)], [need("a", 4, held=2), need("b", 4)])
    assert [entry.application for entry in placed] == ["b", "b", "a", "b"]


def test_an_application_that_fits_nowhere_does_not_hold_up_the_others():
    assert place([seat("w1", slots=1)], [need("a", 1, cores=2), need("b", 1)]) == [Placed("b", "w1")]


def test_a_first_application_that_holds_all_gives_half_back():
    holdings = [Held("a", "w1", 1)] * 2 + [Held("a", "w2", 1)] * 2
    assert give_back([seat("w1"), seat("w2")], [need("a", 0), need("b", 4)], holdings, 0) == {"a": 2}


def test_of_one_slot_the_one_without_any_gets_its_turn():
    assert give_back([seat("w1", slots=1)], [need("b", 1)], [Held("a", "w1", 1)], 0) == {"a": 1}


def test_three_slots_for_two_are_left_at_two_to_one():
    holdings = [Held("a", "w1", 1), Held("a", "w1", 1), Held("b", "w1", 1)]
    assert give_back([seat("w1", slots=3)], [need("b", 5)], holdings, 0) == {}


def test_executors_that_end_already_need_no_giver():
    holdings = [Held("a", "w1", 1)] * 4
    assert give_back([seat("w1", slots=4)], [need("b", 2)], holdings, coming=1) == {"a": 1}


def test_nobody_gives_back_what_the_waiting_one_could_not_use():
    holdings = [Held("a", "w1", 1)] * 4
    assert give_back([seat("w1", slots=4)], [need("b", 2, disk="ssd")], holdings, 0) == {}


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(100, 900)), min_size=0, max_size=6),
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 3), st.sampled_from(["spread", "pack"])), max_size=4),
)
def test_placement_never_exceeds_what_a_worker_has(sizes, wishes):
    seats = [seat(f"w{i}", slots=slots, memory_mib=memory) for i, (slots, memory) in enumerate(sizes)]
    needs = [need("abcd"[i], wanted, cores, placement=how) for i, (wanted, cores, how) in enumerate(wishes)]
    by_name = {each.application: each for each in needs}
    placed = place(seats, needs)
    for each in seats:
        mine = [by_name[entry.application] for entry in placed if entry.worker == each.worker]
        assert sum(one.cores for one in mine) <= each.slots
        assert sum(one.memory_bytes for one in mine) <= each.memory_bytes
    for each in needs:
        assert sum(entry.application == each.application for entry in placed) <= each.wanted


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=4),
)
def test_giving_back_never_makes_the_richest_poorer_than_the_poorest_was(sizes, wishes):
    seats = [seat(f"w{i}", slots=slots) for i, slots in enumerate(sizes)]
    total = sum(sizes)
    holdings, needs = [], []
    for i, (holds, wants) in enumerate(wishes):
        holdings += [Held("abcd"[i], "w0", 1)] * min(holds, total - len(holdings))
        needs.append(need("abcd"[i], wants, held=min(holds, total)))
    asked = give_back(seats, needs, holdings, 0)
    for application, count in asked.items():
        had = sum(entry.application == application for entry in holdings)
        assert 0 < count <= had


class TestExplanations:
    def test_no_worker_yet(self):
        said = explain(need("a", 2), [], 0, [])
        assert said.text == (
            "waits for 2 more executors of 1 core and 100 MiB (has 0): no worker has joined yet."
            " Start one: simspark-worker start"
        )
        assert not said.unmet

    def test_others_hold_everything(self):
        seats = [seat("w1", free_slots=0), seat("w2", free_slots=0)]
        said = explain(need("b", 1), seats, 0, ["4 by app-1-1"])
        assert said.text == (
            "waits for 1 more executor of 1 core and 100 MiB (has 0):"
            " 4 of 4 slots on 2 workers are taken (4 by app-1-1)"
        )
        assert not said.unmet

    def test_it_has_all_there_is(self):
        said = explain(need("a", 6), [seat("w1", free_slots=0)], 2, [])
        assert said.text.endswith("(has 2): the cluster has 2 slots, and this application has all that fit")
        assert said.unmet

    def test_too_many_cores_for_any_worker(self):
        said = explain(need("a", 1, cores=8), [seat("w1", slots=4), seat("w2")], 0, [])
        assert said.text == "needs an executor of 8 cores and 100 MiB: the largest of 2 workers has 4 cores"
        assert said.unmet

    def test_too_much_memory_for_any_worker(self):
        said = explain(need("a", 1, memory_mib=4000), [seat("w1")], 0, [])
        assert said.text == "needs an executor of 1 core and 4000 MiB: the largest of 1 worker offers 1000 MiB"
        assert said.unmet

    def test_a_label_that_nobody_has(self):
        said = explain(need("a", 1, disk="ssd"), [seat("w1")], 0, [])
        assert said.text == "needs an executor of 1 core and 100 MiB, disk=ssd: none of 1 worker has disk=ssd"
        assert said.unmet

    def test_cores_here_and_memory_there(self):
        seats = [seat("w1", slots=8, memory_mib=100), seat("w2", slots=1, memory_mib=9000)]
        said = explain(need("a", 1, cores=8, memory_mib=9000), seats, 0, [])
        assert said.text.endswith("the largest of 2 workers offers 100 MiB")
        assert said.unmet

    def test_a_late_worker_is_named(self):
        said = explain(need("a", 1), [seat("w1", usable=False)], 0, [])
        assert said.text.endswith("0 of 2 slots on 1 worker are taken, 1 worker not answering")
        assert not said.unmet
