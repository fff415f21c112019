import json

import pytest

from simspark.master.core import MasterSettings, Persist
from simspark.publib.machine import Accept, Close, PeerReturned, PeerSilent, Refuse, Send
from simspark.publib.wire import messages
from simspark.publib.wire.nonce import executor_nonce
from tests.unit.master.bench import Bench, driver_hello, gone, held, worker_hello


@pytest.fixture
def bench():
    return Bench()


def two_workers(bench, slots=2):
    bench.join("p1", worker_hello("a", slots))
    bench.join("p2", worker_hello("b", slots))


def ask(bench, peer, total):
    return bench.say(peer, messages.AskExecutors(total))


class TestDoor:
    @pytest.mark.parametrize(
        ("role", "hello", "text"),
        [
            ("driver", worker_hello(), "this needs the key of a worker"),
            ("worker", driver_hello(), "this needs the key of a driver"),
            ("executor:app-1-1", driver_hello(), "this needs the key of a driver"),
            ("executor:app-1-1", messages.StatusQuery(), "this needs a key of this cluster"),
            ("", worker_hello(), "this needs the key of a worker"),
            ("", messages.StatusQuery(), "this needs a key of this cluster"),
        ],
    )
    def test_the_key_must_be_of_the_role(self, role, hello, text):
        bench = Bench(MasterSettings())
        assert bench.join("p", hello, role) == [Refuse("p", "access_refused", text)]
        assert bench.tables() == (0, 0, 0)

    def test_the_right_keys_open(self):
        bench = Bench(MasterSettings())
        assert Accept("p1") in bench.join("p1", worker_hello(), "worker", "W")
        assert Accept("d1") in bench.join("d1", driver_hello(), "driver", "D")
        assert Accept("s1") in bench.join("s1", messages.StatusQuery(), "driver", "D")

    def test_a_hello_that_makes_no_sense_is_refused(self, bench):
        assert bench.join("p1", worker_hello(slots=0))[0].code == "bad_hello"
        assert bench.join("d1", driver_hello(placement="heap"))[0].code == "bad_hello"
        assert bench.join("d1", driver_hello(cores_per_executor=0))[0].code == "bad_hello"
        assert bench.join("x", messages.BlockClientHello("app-1-1"))[0].code == "bad_hello"

    def test_what_must_survive_is_on_disk_before_the_welcome(self, bench):
        effects = bench.join("p1", worker_hello())
        kinds = [type(effect) for effect in effects]
        assert kinds.index(Persist) < kinds.index(Accept)
        assert bench.known.workers == {"w1": (1, "")}
        bench.join("d1", driver_hello())
        assert bench.known.applications == {"app-1-1": ""}


class TestGrants:
    def test_two_idle_workers_and_four_asked_give_two_each(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 4)
        assert bench.granted("d1") == [
            ("app-1-1/1", "w1"), ("app-1-1/2", "w2"), ("app-1-1/3", "w1"), ("app-1-1/4", "w2"),
        ]  # fmt: skip
        (launch,) = bench.sent("p1", messages.LaunchExecutors)
        spec = launch.executors[0]
        assert (spec.executor, spec.driver_endpoint) == ("app-1-1/1", "tcp://10.0.0.9:5")
        assert spec.executor_secret == b"secret"
        assert spec.nonce == executor_nonce(b"nonces", "app-1-1/1")

    def test_executors_learn_both_ways_to_their_driver(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello(driver_socket="/tmp/a/driver-1"))
        ask(bench, "d1", 1)
        (launch,) = bench.sent("p1", messages.LaunchExecutors)
        assert launch.executors[0][4:] == (*driver_hello()[3:7], launch.executors[0].nonce, "/tmp/a/driver-1")

    def test_asking_the_same_again_gives_nothing_more(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 3)
        ask(bench, "d1", 3)
        assert bench.granted("d1") == []

    def test_an_executor_that_ends_frees_its_slot_for_who_waits(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 5)
        bench.end_all("p2", "w2", ["app-1-1/2"])
        assert bench.sent("d1", messages.ExecutorsGone) == [messages.ExecutorsGone((gone("app-1-1/2"),))]
        assert bench.granted("d1") == [("app-1-1/5", "w2")]

    def test_an_end_that_is_told_twice_frees_the_slot_once(self, bench):
        bench.join("p1", worker_hello(slots=1))
        bench.join("d1", driver_hello())
        ask(bench, "d1", 3)
        bench.end_all("p1", "w1", ["app-1-1/1"])
        bench.end_all("p1", "w1", ["app-1-1/1"])
        assert bench.granted("d1") == []
        assert len(bench.core.ledger.executors.on_worker("w1")) == 1

    def test_a_worker_cannot_end_another_workers_executors(self, bench):
        two_workers(bench, slots=1)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 2)
        bench.end_all("p2", "w2", ["app-1-1/1"])
        assert bench.core.ledger.executors.get("app-1-1/1") is not None

    def test_a_cap_bounds_an_application(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello(max_executors=1))
        ask(bench, "d1", 4)
        assert len(bench.granted("d1")) == 1

    def test_a_released_executor_keeps_its_slot_until_its_worker_says_that_it_ended(self, bench):
        bench.join("p1", worker_hello(slots=1))
        bench.join("d1", driver_hello())
        ask(bench, "d1", 1)
        bench.join("d2", driver_hello())
        ask(bench, "d2", 1)
        ask(bench, "d1", 0)
        bench.say("d1", messages.ReleaseExecutors(("app-1-1/1",)))
        assert bench.sent("p1", messages.KillExecutors)[0].executors == ("app-1-1/1",)
        assert bench.granted("d2") == []
        bench.end_all("p1", "w1", ["app-1-1/1"])
        assert bench.granted("d2") == [("app-1-2/2", "w1")]

    def test_nobody_releases_what_is_not_his(self, bench):
        bench.join("p1", worker_hello())
        bench.join("d1", driver_hello())
        ask(bench, "d1", 1)
        bench.join("d2", driver_hello())
        bench.say("d2", messages.ReleaseExecutors(("app-1-1/1",)))
        assert bench.sent("p1", messages.KillExecutors) == []

    def test_an_executor_that_never_starts_is_given_up_and_asked_after(self, bench):
        bench.join("p1", worker_hello(slots=1))
        bench.join("d1", driver_hello())
        ask(bench, "d1", 1)
        ask(bench, "d1", 0)
        effects = []
        for _ in range(10):
            assert effects == []
            bench.beat("p1")
            effects = [effect for effect in bench.advance(1) if isinstance(effect, Send)]
        assert bench.sent("d1", messages.ExecutorsGone)[0].ended[0].text == "did not start within 10 s"
        assert bench.sent("p1", messages.KillExecutors)[0].executors == ("app-1-1/1",)
        bench.end_all("p1", "w1", ["app-1-1/1"])
        assert bench.sent("d1", messages.ExecutorsGone) == []
        assert bench.tables() == (1, 1, 0)

    def test_an_executor_that_nobody_waits_for_is_killed_when_it_starts(self, bench):
        bench.join("p1", worker_hello())
        bench.say("p1", messages.ExecutorsChanged(1, ("app-9-9/1",), ()))
        assert bench.sent("p1", messages.KillExecutors)[0].executors == ("app-9-9/1",)


class TestFairShares:
    def share(self, bench, slots=2):
        two_workers(bench, slots)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 2 * slots)
        bench.start_all("p1", "w1")
        bench.start_all("p2", "w2")
        bench.join("d2", driver_hello())
        ask(bench, "d2", 2 * slots)

    def test_an_idle_application_that_holds_all_is_asked_back_within_two_seconds(self, bench):
        self.share(bench)
        bench.advance(2)
        assert bench.sent("d1", messages.GiveBack) == [messages.GiveBack(2)]

    def test_it_is_asked_once_until_it_has_given(self, bench):
        self.share(bench)
        bench.advance(2)
        bench.advance(2)
        assert bench.sent("d1", messages.GiveBack) == []

    def test_what_is_given_back_goes_to_the_one_that_waits(self, bench):
        self.share(bench)
        bench.advance(2)
        bench.say("d1", messages.ReleaseExecutors(("app-1-1/1", "app-1-1/2")))
        bench.end_all("p1", "w1", ["app-1-1/1"])
        assert bench.granted("d2") == [("app-1-2/5", "w1")]
        bench.end_all("p2", "w2", ["app-1-1/2"])
        assert bench.granted("d2") == [("app-1-2/6", "w2")]

    def test_a_request_is_withdrawn_when_nobody_waits_any_more(self, bench):
        self.share(bench)
        bench.advance(2)
        bench.say("d2", messages.FinishApplication())
        bench.join("d3", driver_hello())
        bench.advance(2)
        assert bench.sent("d1", messages.GiveBack) == [messages.GiveBack(0)]

    def test_a_single_slot_is_shared_in_turns(self, bench):
        bench.join("p1", worker_hello(slots=1))
        bench.join("d1", driver_hello())
        ask(bench, "d1", 1)
        bench.start_all("p1", "w1")
        bench.join("d2", driver_hello())
        ask(bench, "d2", 1)
        bench.advance(2)
        assert bench.sent("d1", messages.GiveBack) == [messages.GiveBack(1)]


class TestQueue:
    def test_a_driver_without_workers_is_told_why_it_waits_and_when_it_does_not(self, bench):
        bench.join("d1", driver_hello())
        ask(bench, "d1", 2)
        (state,) = bench.sent("d1", messages.QueueState)
        assert "no worker has joined yet" in state.text
        assert (state.wanted, state.granted, state.workers, state.unmet) == (2, 0, 0, False)
        bench.join("p1", worker_hello())
        assert len(bench.granted("d1")) == 2
        assert bench.sent("d1", messages.QueueState) == [messages.QueueState("", 2, 2, 1, unmet=False)]

    def test_the_same_is_not_said_twice(self, bench):
        bench.join("d1", driver_hello())
        ask(bench, "d1", 2)
        ask(bench, "d1", 2)
        assert bench.sent("d1", messages.QueueState) == []

    def test_a_need_that_no_worker_could_meet_is_unmet(self, bench):
        bench.join("p1", worker_hello())
        bench.join("d1", driver_hello(cores_per_executor=4))
        ask(bench, "d1", 1)
        (state,) = bench.sent("d1", messages.QueueState)
        assert state.unmet
        assert "the largest of 1 worker has 2 cores" in state.text


class TestLateAndDead:
    def hosting(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 4)
        bench.start_all("p1", "w1")
        bench.start_all("p2", "w2")

    def quiet(self, bench, seconds):
        """Time passes in which only w1 speaks; everything that was done."""
        effects = []
        for _ in range(seconds):
            bench.beat("p1")
            effects += bench.advance(1)
        bench.effects = effects

    def states(self, bench):
        changes = bench.sent("d1", messages.WorkersChanged)
        return [(state.worker, state.incarnation, state.state) for change in changes for state in change.workers]

    def test_two_seconds_of_silence_are_nothing(self, bench):
        self.hosting(bench)
        self.quiet(bench, 2)
        assert self.states(bench) == []

    def test_a_late_worker_gets_no_grants_and_its_drivers_are_told(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 2)
        bench.start_all("p1", "w1")
        bench.start_all("p2", "w2")
        self.quiet(bench, 6)
        assert self.states(bench) == [("w2", 1, "late")]
        ask(bench, "d1", 4)
        assert [worker for _, worker in bench.granted("d1")] == ["w1"]
        bench.beat("p2")
        assert [worker for _, worker in bench.granted("d1")] == ["w2"]

    def test_it_is_alive_again_with_the_same_incarnation_when_it_returns_in_time(self, bench):
        self.hosting(bench)
        self.quiet(bench, 6)
        bench.beat("p2")
        assert self.states(bench) == [("w2", 1, "alive")]
        ask(bench, "d1", 0)
        bench.end_all("p2", "w2", ["app-1-1/2"])
        ask(bench, "d1", 4)
        assert bench.granted("d1") == [("app-1-1/5", "w2")]

    def test_after_fifteen_seconds_it_is_dead_and_its_executors_are_gone(self, bench):
        self.hosting(bench)
        self.quiet(bench, 15)
        assert self.states(bench) == [("w2", 1, "late"), ("w2", 1, "dead")]
        ended = bench.sent("d1", messages.ExecutorsGone)[0].ended
        assert [(one.executor, one.text) for one in ended] == [
            ("app-1-1/2", "worker w2 was silent for 15 s"),
            ("app-1-1/4", "worker w2 was silent for 15 s"),
        ]
        assert Close("p2") in bench.effects
        assert "w2" not in bench.known.workers
        assert bench.tables() == (1, 1, 2)

    def test_a_dead_worker_that_returns_gets_a_new_incarnation_and_kills_what_it_holds(self, bench):
        self.hosting(bench)
        self.quiet(bench, 15)
        claims = [held("app-1-1/2"), held("app-1-1/4")]
        bench.join("p3", worker_hello("b", worker="w2", incarnation=1, executors=claims))
        (welcome,) = bench.sent("p3", messages.WorkerRegistered)
        assert (welcome.worker, welcome.incarnation) == ("w2", 2)
        assert welcome.kill == ("app-1-1/2", "app-1-1/4")
        assert bench.granted("d1") == []
        bench.say("p3", messages.ExecutorsChanged(2, (), (gone("app-1-1/2"), gone("app-1-1/4"))))
        assert [worker for _, worker in bench.granted("d1")] == ["w2", "w2"]

    def test_heartbeats_and_reports_of_an_old_incarnation_end_the_session_and_change_nothing(self, bench):
        self.hosting(bench)
        claims = [held("app-1-1/2"), held("app-1-1/4")]
        bench.join("p3", worker_hello("b", worker="w2", incarnation=1, executors=claims))
        assert Close("p2") in bench.effects
        assert bench.say("p3", messages.ExecutorsChanged(1, (), (gone("app-1-1/2"),)))[0] == Close("p3")
        assert bench.core.ledger.executors.get("app-1-1/2") is not None
        assert bench.say("p2", messages.ExecutorsChanged(1, (), (gone("app-1-1/2"),))) == []

    def test_a_heartbeat_of_an_old_incarnation_is_no_sign_of_life(self, bench):
        self.hosting(bench)
        bench.join("p3", worker_hello("b", worker="w2", incarnation=1))
        assert Close("p3") in bench.beat("p3", 1)
        self.quiet(bench, 5)
        assert self.states(bench) == [("w2", 2, "late")]

    def test_a_living_worker_that_registers_again_keeps_its_executors(self, bench):
        self.hosting(bench)
        bench.lose("p2")
        bench.join("p3", worker_hello("b", worker="w2", incarnation=1, executors=[held("app-1-1/2")]))
        (welcome,) = bench.sent("p3", messages.WorkerRegistered)
        assert (welcome.incarnation, welcome.kill) == (2, ())
        assert self.states(bench) == [("w2", 2, "alive")]
        assert [one.executor for one in bench.sent("d1", messages.ExecutorsGone)[0].ended] == ["app-1-1/4"]

    def test_a_broken_connection_stops_grants_at_once_and_nothing_else(self, bench):
        two_workers(bench)
        bench.do(PeerSilent("p2"))
        bench.join("d1", driver_hello())
        ask(bench, "d1", 4)
        assert {worker for _, worker in bench.granted("d1")} == {"w1"}
        bench.do(PeerReturned("p2"))
        assert [worker for _, worker in bench.granted("d1")] == ["w2", "w2"]

    def test_a_worker_that_hangs_up_is_gone_at_once(self, bench):
        self.hosting(bench)
        bench.lose("p2", "closed: worker has left")
        assert self.states(bench) == [("w2", 1, "dead")]
        assert bench.tables() == (1, 1, 2)

    def test_a_worker_started_again_replaces_the_one_whose_connection_is_gone(self, bench):
        self.hosting(bench)
        bench.do(PeerSilent("p2"))
        bench.join("p3", worker_hello("b"))
        assert self.states(bench) == [("w2", 1, "dead")]
        assert [worker.worker for worker in bench.core.ledger.workers] == ["w1", "w3"]

    def test_a_second_worker_of_the_same_name_is_another_worker(self, bench):
        two_workers(bench)
        bench.join("p3", worker_hello("b"))
        assert bench.tables() == (3, 0, 0)

    def test_another_key_cannot_take_a_workers_place(self):
        bench = Bench(MasterSettings())
        bench.join("p1", worker_hello(), "worker", "K1")
        bench.join("p2", worker_hello(worker="w1", incarnation=1), "worker", "K2")
        assert bench.sent("p2", messages.WorkerRegistered)[0].worker == "w2"
        assert bench.core.ledger.workers.get("w1").key == "K1"


class TestApplicationsEnd:
    def running(self, bench):
        two_workers(bench)
        bench.join("d1", driver_hello())
        ask(bench, "d1", 2)
        bench.start_all("p1", "w1")
        bench.start_all("p2", "w2")

    def stay_heard(self, bench, seconds):
        effects = []
        for _ in range(seconds):
            bench.beat("p1")
            bench.beat("p2")
            effects += bench.advance(1)
        bench.effects = effects

    def test_a_finished_one_is_ended_and_forgotten_everywhere(self, bench):
        self.running(bench)
        bench.say("d1", messages.FinishApplication())
        for peer in ("p1", "p2"):
            assert len(bench.sent(peer, messages.KillExecutors)) == 1
            assert bench.sent(peer, messages.ForgetApplications) == [messages.ForgetApplications(("app-1-1",))]
        bench.end_all("p1", "w1", ["app-1-1/1"])
        bench.end_all("p2", "w2", ["app-1-1/2"])
        assert bench.tables() == (2, 0, 0)
        assert bench.known.applications == {}

    def test_workers_that_only_have_its_files_are_told_too(self, bench):
        self.running(bench)
        bench.end_all("p2", "w2", ["app-1-1/2"])
        ask(bench, "d1", 0)
        bench.say("d1", messages.FinishApplication())
        assert len(bench.sent("p2", messages.ForgetApplications)) == 1

    def test_a_driver_that_is_silent_for_its_grace_loses_all(self, bench):
        self.running(bench)
        bench.do(PeerSilent("d1"))
        self.stay_heard(bench, 4)
        assert bench.tables() == (2, 1, 2)
        self.stay_heard(bench, 1)
        assert Close("d1") in bench.effects
        assert len(bench.sent("p1", messages.ForgetApplications)) == 1

    def test_a_driver_back_in_time_keeps_all(self, bench):
        self.running(bench)
        bench.do(PeerSilent("d1"))
        self.stay_heard(bench, 4)
        bench.do(PeerReturned("d1"))
        self.stay_heard(bench, 20)
        assert bench.tables() == (2, 1, 2)

    def test_a_driver_with_a_new_session_claims_what_it_had(self, bench):
        self.running(bench)
        bench.lose("d1")
        bench.join("d2", driver_hello("app-1-1", ["app-1-1/1", "app-1-1/2", "app-1-1/77"]))
        (welcome,) = bench.sent("d2", messages.ApplicationRegistered)
        assert welcome == messages.ApplicationRegistered("app-1-1", 1, ("app-1-1/77",), slots=welcome.slots)
        assert bench.tables() == (2, 1, 2)

    def test_a_driver_is_told_of_the_slots_that_there_are_whoever_holds_them(self, bench):
        self.running(bench)
        bench.join("d2", driver_hello())
        (welcome,) = bench.sent("d2", messages.ApplicationRegistered)
        assert welcome.slots == sum(worker.slots for worker in bench.core.ledger.workers) > 0

    def test_executors_that_a_returning_driver_does_not_know_are_killed(self, bench):
        self.running(bench)
        bench.lose("d1")
        bench.join("d2", driver_hello("app-1-1", ["app-1-1/1"]))
        assert bench.sent("p2", messages.KillExecutors)[0].executors == ("app-1-1/2",)

    def test_a_driver_back_after_its_grace_has_its_name_and_nothing_else(self, bench):
        self.running(bench)
        bench.do(PeerSilent("d1"))
        self.stay_heard(bench, 6)
        bench.join("d2", driver_hello("app-1-1", ["app-1-1/1"]))
        (welcome,) = bench.sent("d2", messages.ApplicationRegistered)
        assert welcome == messages.ApplicationRegistered("app-1-1", 1, ("app-1-1/1",), slots=welcome.slots)

    def test_an_id_that_was_never_given_is_not_taken_over(self, bench):
        for peer, claim in (("d1", "app-1-7"), ("d2", "app-9-1"), ("d3", "w1"), ("d4", "app-1-01")):
            bench.join(peer, driver_hello(claim))
        names = [entry.application for entry in bench.core.ledger.applications]
        assert names == ["app-1-1", "app-1-2", "app-1-3", "app-1-4"]

    def test_another_key_cannot_take_an_applications_place(self):
        bench = Bench(MasterSettings())
        bench.join("d1", driver_hello(), "driver", "K1")
        bench.join("d2", driver_hello("app-1-1"), "driver", "K2")
        assert bench.sent("d2", messages.ApplicationRegistered)[0].application == "app-1-2"


def test_a_message_that_a_peer_has_no_business_to_send_ends_its_session(bench):
    bench.join("p1", worker_hello())
    bench.join("d1", driver_hello())
    assert Close("p1") in bench.say("p1", messages.AskExecutors(1))
    assert Close("d1") in bench.say("d1", messages.Heartbeat(1, 0, 0.0, 0))


def test_words_of_unknown_peers_change_nothing(bench):
    assert bench.beat("nobody") == []
    assert bench.lose("nobody") == []


def test_the_status_report_shows_the_tables(bench):
    two_workers(bench)
    bench.join("d1", driver_hello())
    ask(bench, "d1", 5)
    bench.join("s1", messages.StatusQuery())
    (report,) = bench.sent("s1", messages.StatusReport)
    table = json.loads(report.text)
    assert table["counts"] == {"workers": 2, "applications": 1, "executors": 4}
    assert table["workers"][0]["busy_slots"] == 2
    assert table["applications"][0]["waiting"].startswith("waits for 1 more executor")
    assert table["executors"][0]["state"] == "launching"


def test_a_heartbeat_costs_no_effects(bench):
    two_workers(bench)
    bench.now = 1.0
    assert bench.beat("p1") == []
