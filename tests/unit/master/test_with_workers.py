"""Master and workers wired to each other, no sockets: what one sends the other receives, in order.

The story in ``stories/`` is what they say to each other; ``python -m tests.unit.master.test_with_workers`` writes it
anew, for the difference to be read.
"""

import os

from simspark.master.core import MasterCore, MasterSettings, Persist
from simspark.master.records import fold
from simspark.publib.machine import (
    Accept,
    CancelTimer,
    Close,
    Emit,
    PeerJoined,
    PeerLost,
    PeerSilent,
    Received,
    Send,
    SetTimer,
    TimerFired,
)
from simspark.publib.wire import messages
from simspark.worker.core import (
    Dial,
    ExecutorExited,
    ExecutorStarted,
    Leave,
    RemoveApplication,
    StartExecutors,
    StopExecutor,
    WorkerCore,
    WorkerSettings,
)
from tests.unit.master.bench import driver_hello

STORY = os.path.join(os.path.dirname(__file__), "stories", "grant_and_loss.txt")


class Wired:
    """One master, some workers, one driver that is not there but whose messages are said for it."""

    def __init__(self):
        self.now = 0.0
        self.timers = {}
        self.lines = []
        self.workers = {}
        self.stopped = set()
        self.sessions = {}
        self.dials = 0
        self.driver = []
        self.queue = []
        self.start_master(1, None)

    def start_master(self, epoch, known):
        self.master = MasterCore(MasterSettings(trust_local=True), epoch, known)
        self.known = self.master._known
        self.timers = {key: when for key, when in self.timers.items() if key[0] != "master"}
        self.perform("master", self.master.start(self.now))

    def add_worker(self, name, slots=2):
        self.workers[name] = WorkerCore(WorkerSettings(name=name, host=f"host-{name}", slots=slots))
        self.perform(name, self.workers[name].start(self.now))
        self.settle()

    def tell(self, who, event):
        core = self.master if who == "master" else self.workers[who]
        self.perform(who, core.handle(self.now, event))

    def settle(self):
        while self.queue:
            who, event = self.queue.pop(0)
            if who == "driver":
                self.driver.append(event)
            elif who not in self.stopped:
                self.tell(who, event)

    def perform(self, who, effects):
        for effect in effects:
            match effect:
                case SetTimer(name, when):
                    self.timers[who, name] = when
                case CancelTimer(name):
                    self.timers.pop((who, name), None)
                case Persist(record):
                    self.known = fold(self.known, record)
                case Emit() | Accept() | RemoveApplication():
                    pass
                case _ if who == "master":
                    self.perform_master(effect)
                case _:
                    self.perform_worker(who, effect)

    def perform_master(self, effect):
        match effect:
            case Send(peer, message) if peer == "driver":
                self.log("master -> driver", message)
                self.queue.append(("driver", message))
            case Send(peer, message):
                name = self.sessions[peer]
                self.log(f"master -> {name}", message)
                self.queue.append((name, Received("master", message)))
            case Close(peer):
                self.lines.append(f"{self.now:6.1f}  master closes {self.sessions.get(peer, peer)}")
                if peer in self.sessions:
                    self.queue.append((self.sessions.pop(peer), PeerLost("master", "closed")))

    def perform_worker(self, who, effect):
        match effect:
            case Dial("master", _, _, hello):
                self.dials += 1
                peer = f"{who}#{self.dials}"
                self.sessions[peer] = who
                self.log(f"{who} -> master", hello)
                self.queue.append((who, PeerJoined("master", "", "", None)))
                self.queue.append(("master", PeerJoined(peer, "", "", hello)))
            case Send("master", message):
                peers = [peer for peer, name in self.sessions.items() if name == who]
                self.log(f"{who} -> master", message)
                self.queue += [("master", Received(peer, message)) for peer in peers[-1:]]
            case StartExecutors(specs):
                self.queue += [(who, ExecutorStarted(spec.executor, 1)) for spec in specs]
            case StopExecutor(executor):
                self.queue.append((who, ExecutorExited(executor, -1, 15, 0, "stopped")))
            case Leave() | Dial() | Send() | Close():
                pass

    def log(self, arrow, message):
        if not isinstance(message, messages.Heartbeat):
            self.lines.append(f"{self.now:6.1f}  {arrow:<16} {brief(message)}")

    def say(self, message):
        self.log("driver -> master", message)
        self.tell("master", Received("driver", message))
        self.settle()

    def join(self, hello):
        self.log("driver -> master", hello)
        self.tell("master", PeerJoined("driver", "", "", hello))
        self.settle()

    def advance(self, seconds):
        end = self.now + seconds
        while True:
            running = {key: when for key, when in self.timers.items() if key[0] not in self.stopped}
            if not running or min(running.values()) > end:
                break
            key = min(running, key=lambda each: (running[each], each))
            self.now = max(self.now, self.timers.pop(key))
            self.tell(key[0], TimerFired(key[1]))
            self.settle()
        self.now = end

    def lose_sessions(self, name):
        for peer in [peer for peer, worker in self.sessions.items() if worker == name]:
            del self.sessions[peer]
            self.tell("master", PeerSilent(peer))

    def running(self):
        return {name: core.running() for name, core in self.workers.items()}


def brief(message):
    """A message in one line, secrets and sizes left out."""
    match message:
        case messages.RegisterWorker():
            claim = f", was {message.worker}.{message.incarnation}" if message.worker else ""
            held = f", holds {' '.join(entry.executor for entry in message.executors)}" if message.executors else ""
            return f"RegisterWorker {message.name} with {message.slots} slots{claim}{held}"
        case messages.RegisterApplication():
            return f"RegisterApplication {message.name} {message.application} {' '.join(message.executors)}".rstrip()
        case messages.WorkerRegistered():
            kill = f", kill {' '.join(message.kill)}" if message.kill else ""
            return f"WorkerRegistered as {message.worker}.{message.incarnation}{kill}"
        case messages.LaunchExecutors(specs):
            return "LaunchExecutors " + " ".join(spec.executor for spec in specs)
        case messages.ExecutorsGranted(grants):
            return "ExecutorsGranted " + " ".join(
                f"{grant.executor}@{grant.worker}.{grant.incarnation}" for grant in grants
            )
        case messages.ExecutorsChanged(incarnation, started, ended):
            ends = " ".join(one.executor for one in ended)
            return f"ExecutorsChanged of .{incarnation}: started [{' '.join(started)}] ended [{ends}]"
        case messages.ExecutorsGone(ended):
            return "ExecutorsGone " + ", ".join(f"{one.executor} ({one.text})" for one in ended)
        case messages.WorkersChanged(workers):
            return "WorkersChanged " + " ".join(f"{one.worker}.{one.incarnation}={one.state}" for one in workers)
        case messages.QueueState():
            return f"QueueState {message.text!r}"
        case _:
            fields = " ".join(f"{name}={value!r}" for name, value in message._asdict().items())
            return f"{type(message).__name__} {fields}".rstrip()


def tell_story():
    wired = Wired()
    wired.join(driver_hello())
    wired.say(messages.AskExecutors(4))
    wired.add_worker("a")
    wired.now = 0.5
    wired.add_worker("b")
    wired.advance(1)
    wired.lines.append("        -- b is stopped for 20 seconds --")
    wired.stopped.add("b")
    wired.advance(20)
    wired.lines.append("        -- b goes on --")
    wired.stopped.clear()
    wired.tell("b", PeerLost("master", "unknown session"))
    wired.advance(2)
    wired.lines.append("        -- the program ends --")
    wired.say(messages.FinishApplication())
    wired.advance(1)
    return wired


def test_the_story_of_grant_and_loss_is_the_golden_one():
    wired = tell_story()
    with open(STORY, encoding="utf-8") as file:
        assert "\n".join(wired.lines) + "\n" == file.read()


def test_after_the_story_all_tables_are_empty():
    wired = tell_story()
    ledger = wired.master.ledger
    assert (len(ledger.workers), len(ledger.applications), len(ledger.executors)) == (2, 0, 0)
    assert wired.running() == {"a": (), "b": ()}
    assert all(core.applications() == () for core in wired.workers.values())
    assert wired.known.applications == {}


def test_a_master_that_restarts_finds_everything_again_and_running_executors_go_on():
    wired = Wired()
    wired.add_worker("a")
    wired.add_worker("b")
    wired.join(driver_hello())
    wired.say(messages.AskExecutors(3))
    before = wired.running()
    wired.sessions.clear()
    wired.start_master(2, wired.known)
    for name in ("a", "b"):
        wired.tell(name, PeerLost("master", "connection refused"))
    wired.join(driver_hello("app-1-1", ["app-1-1/1", "app-1-1/2", "app-1-1/3"]))
    wired.say(messages.AskExecutors(4))
    wired.advance(1)
    after = wired.running()
    assert {name: set(before[name]) - set(after[name]) for name in before} == {"a": set(), "b": set()}
    assert sum(map(len, after.values())) == 4
    assert not wired.master.recovering
    assert len(wired.master.ledger.executors) == 4


def test_a_worker_that_shuts_down_takes_its_executors_with_it_and_all_is_granted_elsewhere():
    from simspark.worker.core import ShutDown

    wired = Wired()
    wired.add_worker("a", slots=4)
    wired.add_worker("b")
    wired.join(driver_hello())
    wired.say(messages.AskExecutors(4))
    wired.tell("b", ShutDown("stop"))
    wired.settle()
    (peer,) = [peer for peer, name in wired.sessions.items() if name == "b"]
    wired.tell("master", PeerLost(peer, "closed"))
    wired.settle()
    assert len(wired.workers["a"].running()) == 4
    assert wired.workers["b"].running() == ()


if __name__ == "__main__":
    os.makedirs(os.path.dirname(STORY), exist_ok=True)
    with open(STORY, "w", encoding="utf-8") as story:
        story.write("\n".join(tell_story().lines) + "\n")
