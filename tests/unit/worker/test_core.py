import pytest

from simspark.publib.machine import Close, Send, TimerFired
from simspark.publib.wire import messages
from simspark.worker.core import (
    Dial,
    ExecutorPaused,
    ExecutorStarted,
    Leave,
    LoadMeasured,
    RemoveApplication,
    RemoveFiles,
    ShutDown,
    StartExecutors,
    StopExecutor,
    WorkerCore,
    WorkerSettings,
)
from simspark.worker.supervision import PHASES, IllegalTransition, Phase
from tests.unit.worker.bench import Bench, spec, welcome


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def registered():
    bench = Bench()
    bench.register()
    return bench


@pytest.mark.parametrize(("before", "after"), [(before, after) for before in Phase for after in Phase])
def test_the_phase_changes_as_the_table_says_and_otherwise_not_at_all(before, after):
    core = WorkerCore(WorkerSettings())
    core._phase = before
    if after in PHASES[before]:
        core._become(after)
        assert core.phase is after
    else:
        with pytest.raises(IllegalTransition, match=f"is {before.value} cannot become {after.value}"):
            core._become(after)
        assert core.phase is before


class TestMaster:
    def test_it_begins_by_dialling_with_what_it_offers(self, bench):
        (dial,) = bench.made(Dial)
        assert (dial.peer, dial.endpoint) == ("master", "tcp://master")
        assert (dial.hello.name, dial.hello.slots, dial.hello.worker, dial.hello.executors) == ("a", 2, "", ())

    def test_it_says_its_load_at_once_and_then_every_second(self, bench):
        bench.do(LoadMeasured(1.5, 2048))
        bench.register()
        assert bench.sent() == [messages.Heartbeat(1, 0, 1.5, 2048)]
        bench.advance(3)
        assert len(bench.sent(kind=messages.Heartbeat)) == 3

    def test_the_heartbeat_is_as_often_as_the_master_says(self, bench):
        bench.joined("master")
        bench.hear(welcome()._replace(heartbeat_s=0.25))
        bench.advance(1)
        assert len(bench.sent(kind=messages.Heartbeat)) == 4

    def test_a_lost_master_is_dialled_for_ever_with_a_bounded_back_off(self, registered):
        registered.lose()
        pauses = []
        for _ in range(12):
            (when,) = registered.timers.values()
            pauses.append(round(when - registered.now, 6))
            registered.advance(pauses[-1])
            assert len(registered.made(Dial)) == 1
            registered.lose()
        assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
        assert set(pauses[4:]) == {1.0}

    def test_executors_go_on_without_a_master_and_are_named_when_it_is_back(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.lose()
        assert registered.made(StopExecutor) == []
        registered.end("app-1-1/2")
        registered.advance(0.1)
        (dial,) = registered.made(Dial)
        assert dial.hello.executors == (messages.HeldExecutor("app-1-1/1", "app-1-1", 1, 100),)
        assert (dial.hello.worker, dial.hello.incarnation) == ("w1", 1)

    def test_ends_that_the_last_session_may_have_lost_are_told_again(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.end("app-1-1/1", text="before")
        registered.lose()
        registered.end("app-1-1/2", text="meanwhile")
        assert registered.sent() == []
        registered.advance(0.1)
        registered.register(incarnation=2)
        (report,) = registered.sent(kind=messages.ExecutorsChanged)
        assert report.incarnation == 2
        ends = [(one.executor, one.text) for one in report.ended]
        assert ends == [("app-1-1/1", "before"), ("app-1-1/2", "meanwhile")]

    def test_what_the_welcome_says_to_kill_is_killed(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.lose()
        registered.advance(0.1)
        registered.register(incarnation=2, kill=["app-1-1/2"])
        assert [stop.executor for stop in registered.made(StopExecutor)] == ["app-1-1/2"]
        assert registered.sent(kind=messages.ExecutorsChanged)[0].started == ("app-1-1/1",)


class TestExecutors:
    def test_a_launch_starts_them_and_dials_their_driver_once(self, registered):
        registered.launch("app-1-1/1")
        assert registered.made(StartExecutors) == [StartExecutors((spec("app-1-1/1"),))]
        (dial,) = registered.made(Dial)
        assert (dial.peer, dial.endpoint, dial.key) == ("driver:app-1-1", "tcp://driver", "D")
        assert (dial.hello.worker, dial.hello.incarnation) == ("w1", 1)
        registered.launch("app-1-1/2")
        assert registered.made(Dial) == []

    def test_the_same_launch_twice_starts_one(self, registered):
        registered.launch("app-1-1/1")
        assert registered.hear(messages.LaunchExecutors((spec("app-1-1/1"),))) == []

    def test_a_start_is_reported(self, registered):
        registered.hear(messages.LaunchExecutors((spec("app-1-1/1"),)))
        registered.do(ExecutorStarted("app-1-1/1", 4711))
        assert registered.sent() == [messages.ExecutorsChanged(1, ("app-1-1/1",), ())]

    def test_an_end_is_told_to_the_master_and_straight_to_the_driver(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.joined("driver:app-1-1")
        registered.end("app-1-1/1", status=3, text="boom")
        exit_ = messages.ExecutorExit("app-1-1/1", 3, 0, 0, "boom")
        assert registered.sent() == [messages.ExecutorsChanged(1, (), (exit_,))]
        assert registered.sent("driver:app-1-1") == [messages.ExecutorsExited((exit_,))]

    def test_the_driver_hears_who_is_stopped_by_a_signal_and_each_change_once(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.joined("driver:app-1-1")
        for executor, is_paused, said in [
            ("app-1-1/1", False, []), ("app-1-1/1", True, [("app-1-1/1",)]), ("app-1-1/1", True, []),
            ("app-1-1/2", True, [("app-1-1/1", "app-1-1/2")]), ("app-1-1/1", False, [("app-1-1/2",)]),
            ("app-9-9/1", True, []),
        ]:  # fmt: skip
            registered.do(ExecutorPaused(executor, is_paused))
            assert [message.executors for message in registered.sent("driver:app-1-1")] == said

    def test_who_is_stopped_is_said_again_in_each_new_session(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2", "app-1-1/3")
        registered.do(ExecutorPaused("app-1-1/1", True))
        registered.do(ExecutorPaused("app-1-1/2", True))
        assert registered.sent("driver:app-1-1") == []
        registered.end("app-1-1/2")
        for _ in range(2):
            registered.joined("driver:app-1-1")
            paused = registered.sent("driver:app-1-1", messages.ExecutorsPaused)
            assert paused == [messages.ExecutorsPaused(("app-1-1/1",))]
            registered.lose("driver:app-1-1")

    def test_an_end_is_told_once(self, registered):
        registered.launch("app-1-1/1")
        registered.end("app-1-1/1")
        assert registered.end("app-1-1/1") == []

    def test_ends_wait_for_the_driver_to_be_reached(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.end("app-1-1/1")
        assert registered.sent("driver:app-1-1") == []
        registered.joined("driver:app-1-1")
        assert registered.sent("driver:app-1-1")[0].ended[0].executor == "app-1-1/1"

    def test_a_driver_ends_its_own_executors_only(self, registered):
        registered.launch("app-1-1/1", "app-1-2/2")
        registered.joined("driver:app-1-1")
        registered.hear(messages.KillExecutors(("app-1-1/1", "app-1-2/2"), "hangs"), "driver:app-1-1")
        assert registered.effects == [StopExecutor("app-1-1/1", "hangs")]

    def test_the_master_hears_of_executors_that_do_not_run_here(self, registered):
        registered.hear(messages.KillExecutors(("app-1-1/9",), "too late"))
        (report,) = registered.sent(kind=messages.ExecutorsChanged)
        assert report.ended == (messages.ExecutorExit("app-1-1/9", -1, 0, 0, "not running here"),)


class TestApplications:
    def test_a_driver_removes_its_own_files(self, registered):
        registered.launch("app-1-1/1")
        registered.joined("driver:app-1-1")
        registered.hear(messages.RemoveFiles(("shuffle-3-",)), "driver:app-1-1")
        assert registered.effects == [RemoveFiles("app-1-1", ("shuffle-3-",))]

    def test_a_forgotten_application_is_killed_first_and_removed_after(self, registered):
        registered.launch("app-1-1/1")
        registered.hear(messages.ForgetApplications(("app-1-1", "app-1-9")))
        assert [stop.executor for stop in registered.made(StopExecutor)] == ["app-1-1/1"]
        assert registered.made(RemoveApplication) == []
        registered.end("app-1-1/1")
        assert registered.made(RemoveApplication) == [RemoveApplication("app-1-1")]
        assert Close("driver:app-1-1") in registered.effects
        assert registered.core.applications() == ()

    def test_a_lost_driver_is_dialled_again(self, registered):
        registered.launch("app-1-1/1")
        registered.lose("driver:app-1-1")
        registered.advance(0.1)
        assert [dial.peer for dial in registered.made(Dial)] == ["driver:app-1-1"]

    def test_files_of_a_driver_out_of_reach_are_swept_when_nothing_runs(self, registered):
        registered.launch("app-1-1/1")
        registered.joined("driver:app-1-1")
        registered.end("app-1-1/1")
        registered.silent("driver:app-1-1")
        registered.advance(9.9)
        assert registered.made(RemoveApplication) == []
        registered.advance(0.1)
        assert registered.made(RemoveApplication) == [RemoveApplication("app-1-1")]
        registered.advance(30)
        assert registered.made(Dial) == []

    def test_files_stay_while_the_driver_is_reached_or_an_executor_runs(self, registered):
        registered.launch("app-1-1/1", "app-1-2/2")
        registered.joined("driver:app-1-1")
        registered.end("app-1-1/1")
        registered.lose("driver:app-1-2")
        registered.advance(60)
        assert registered.made(RemoveApplication) == []

    def test_a_driver_that_returns_in_time_keeps_its_files(self, registered):
        registered.launch("app-1-1/1")
        registered.joined("driver:app-1-1")
        registered.end("app-1-1/1")
        registered.silent("driver:app-1-1")
        registered.advance(5)
        registered.joined("driver:app-1-1")
        registered.advance(60)
        assert registered.made(RemoveApplication) == []

    def test_a_timer_that_fires_late_sweeps_nothing_that_is_in_use(self, registered):
        registered.launch("app-1-1/1")
        registered.joined("driver:app-1-1")
        assert registered.do(TimerFired("orphan:app-1-1")) == []
        registered.end("app-1-1/1")
        assert registered.do(TimerFired("orphan:app-1-1")) == []

    def test_a_driver_that_was_never_reached_leaves_nothing(self, registered):
        registered.launch("app-1-1/1")
        registered.end("app-1-1/1")
        registered.advance(10)
        assert registered.made(RemoveApplication) == [RemoveApplication("app-1-1")]

    def test_a_launch_for_a_driver_that_moved_dials_anew(self, registered):
        registered.launch("app-1-1/1")
        registered.hear(messages.LaunchExecutors((spec("app-1-1/2", "tcp://moved"),)))
        assert [dial.endpoint for dial in registered.made(Dial)] == ["tcp://moved"]
        assert registered.core.running() == ("app-1-1/1", "app-1-1/2")

    def test_words_in_a_session_of_an_application_that_is_gone_are_ignored(self, registered):
        assert registered.hear(messages.RemoveFiles(("x",)), "driver:app-1-1") == []
        assert registered.joined("driver:app-1-1") == [Close("driver:app-1-1")]


class TestShutDown:
    def test_it_ends_what_runs_tells_and_leaves(self, registered):
        registered.launch("app-1-1/1", "app-1-1/2")
        registered.do(ShutDown("stop"))
        assert [stop.executor for stop in registered.made(StopExecutor)] == ["app-1-1/1", "app-1-1/2"]
        registered.end("app-1-1/1")
        assert registered.made(Leave) == []
        registered.end("app-1-1/2")
        assert isinstance(registered.effects[0], Send)
        assert registered.effects[-2:] == [Close("master"), Leave()]
        assert registered.made(RemoveApplication) == [RemoveApplication("app-1-1")]
        assert registered.core.phase is Phase.GONE

    def test_it_does_not_wait_longer_than_the_drain(self, registered):
        registered.launch("app-1-1/1")
        registered.do(ShutDown("stop"))
        registered.advance(8)
        assert registered.made(Leave) == [Leave()]

    def test_with_nothing_to_end_it_leaves_at_once(self, bench):
        assert bench.do(ShutDown("stop"))[-1] == Leave()

    def test_a_launch_that_comes_while_leaving_is_refused(self, registered):
        registered.launch("app-1-1/1")
        registered.do(ShutDown("stop"))
        registered.hear(messages.LaunchExecutors((spec("app-1-1/2"),)))
        (report,) = registered.sent(kind=messages.ExecutorsChanged)
        assert report.ended[0].text == "its worker leaves"

    def test_shutting_down_twice_is_harmless(self, registered):
        registered.do(ShutDown("stop"))
        assert registered.do(ShutDown("stop")) == []
