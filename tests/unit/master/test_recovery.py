from simspark.master.core import MasterSettings
from simspark.master.records import Known
from simspark.publib.wire import messages
from tests.unit.master.bench import Bench, driver_hello, held, worker_hello

KNOWN = Known(epoch=1, worker_number=2, workers={"w1": (1, ""), "w2": (3, "")}, applications={"app-1-1": ""})


def restarted(known=KNOWN):
    return Bench(epoch=2, known=known)


def back(bench, peer, worker, incarnation, *executors):
    bench.join(peer, worker_hello(worker, worker=worker, incarnation=incarnation, executors=map(held, executors)))
    return bench.sent(peer, messages.WorkerRegistered)[0]


def test_nothing_is_granted_until_every_known_worker_has_been_heard():
    bench = restarted()
    bench.join("d1", driver_hello("app-1-1", ["app-1-1/1"]))
    bench.say("d1", messages.AskExecutors(3))
    back(bench, "p1", "w1", 1, "app-1-1/1")
    assert bench.core.recovering
    assert bench.granted("d1") == []
    back(bench, "p2", "w2", 3)
    assert not bench.core.recovering
    assert bench.granted("d1") == [("app-1-1/2.1", "w2"), ("app-1-1/2.2", "w1")]


def test_a_known_worker_that_is_late_is_not_waited_for():
    bench = restarted()
    bench.join("d1", driver_hello("app-1-1"))
    bench.say("d1", messages.AskExecutors(1))
    back(bench, "p1", "w1", 1)
    bench.advance(4)
    bench.beat("p1", 2)
    bench.advance(1)
    assert bench.granted("d1") == [("app-1-1/2.1", "w1")]


def test_workers_keep_their_ids_and_get_new_incarnations():
    bench = restarted()
    assert back(bench, "p1", "w2", 3)[:2] == ("w2", 4)
    bench.join("p3", worker_hello("c"))
    assert bench.sent("p3", messages.WorkerRegistered)[0].worker == "w3"


def test_the_driver_is_told_why_it_waits():
    bench = restarted()
    bench.join("d1", driver_hello("app-1-1"))
    bench.say("d1", messages.AskExecutors(1))
    assert bench.sent("d1", messages.QueueState)[0].text == "the master has restarted and waits to hear of 2 workers"


def test_a_claimed_executor_is_kept_whether_driver_or_worker_comes_first():
    for order in ("driver first", "worker first"):
        bench = restarted()
        if order == "driver first":
            bench.join("d1", driver_hello("app-1-1", ["app-1-1/1"]))
        assert back(bench, "p1", "w1", 1, "app-1-1/1").kill == ()
        if order == "worker first":
            bench.join("d1", driver_hello("app-1-1", ["app-1-1/1"]))
        back(bench, "p2", "w2", 3)
        assert bench.sent("d1", messages.ExecutorsGone) == []
        assert len(bench.core.ledger.executors.held("app-1-1")) == 1


def test_a_claimed_executor_that_no_worker_has_is_gone_in_the_end():
    bench = restarted()
    bench.join("d1", driver_hello("app-1-1", ["app-1-1/1", "app-1-1/2"]))
    assert bench.sent("d1", messages.ApplicationRegistered)[0].lost == ()
    back(bench, "p1", "w1", 1, "app-1-1/1")
    back(bench, "p2", "w2", 3)
    assert [one.executor for one in bench.sent("d1", messages.ExecutorsGone)[0].ended] == ["app-1-1/2"]


def test_executors_of_an_unknown_application_are_killed():
    assert back(restarted(), "p1", "w1", 1, "app-1-9/4").kill == ("app-1-9/4",)


def test_executors_that_their_driver_does_not_claim_are_killed():
    bench = restarted()
    bench.join("d1", driver_hello("app-1-1", ["app-1-1/1"]))
    assert back(bench, "p1", "w1", 1, "app-1-1/1", "app-1-1/2").kill == ("app-1-1/2",)


def test_an_application_whose_driver_does_not_come_back_is_ended():
    bench = restarted(KNOWN._replace(workers={"w1": (1, "")}))
    back(bench, "p1", "w1", 1, "app-1-1/1")
    effects = []
    for _ in range(15):
        bench.beat("p1", 2)
        effects += bench.advance(1)
    bench.effects = effects
    assert bench.sent("p1", messages.KillExecutors)[0].executors == ("app-1-1/1",)
    assert bench.sent("p1", messages.ForgetApplications) == [messages.ForgetApplications(("app-1-1",))]
    assert bench.known.applications == {}


def test_a_known_worker_that_never_comes_is_forgotten_and_its_drivers_are_told():
    bench = restarted(KNOWN._replace(workers={"w1": (1, "")}))
    bench.join("d1", driver_hello("app-1-1", ["app-1-1/1"]))
    bench.advance(15)
    states = [state for change in bench.sent("d1", messages.WorkersChanged) for state in change.workers]
    assert states == [messages.WorkerState("w1", 1, "late"), messages.WorkerState("w1", 1, "dead")]
    assert bench.known.workers == {}
    assert not bench.core.recovering


def test_without_known_workers_there_is_nothing_to_wait_for():
    assert not Bench(epoch=2, known=Known(epoch=1, worker_number=5)).core.recovering


def test_a_worker_of_another_incarnation_than_the_journals_keeps_nothing():
    bench = restarted()
    bench.join("d1", driver_hello("app-1-1", ["app-1-1/1"]))
    assert back(bench, "p1", "w1", 7, "app-1-1/1").kill == ("app-1-1/1",)
    assert bench.sent("p1", messages.WorkerRegistered)[0].incarnation == 8


def test_known_workers_have_longer_to_return_than_living_ones_may_be_silent():
    bench = Bench(MasterSettings(trust_local=True).fast(), epoch=2, known=KNOWN)
    back(bench, "p1", "w1", 1)
    bench.advance(0.9)
    bench.beat("p1", 2)
    bench.advance(0.9)
    bench.beat("p1", 2)
    assert bench.core.recovering
    bench.advance(0.9)
    bench.beat("p1", 2)
    bench.advance(0.4)
    assert not bench.core.recovering
