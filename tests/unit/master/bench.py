"""A master's core on a bench: a clock in hand, sessions by name, and every effect kept."""

from simspark.master.core import MasterCore, MasterSettings, Persist
from simspark.master.records import Known, fold
from simspark.publib.machine import CancelTimer, PeerJoined, PeerLost, Received, Send, SetTimer, TimerFired
from simspark.publib.wire import messages

MIB = 1 << 20


def worker_hello(name="a", slots=2, memory_mib=1024, worker="", incarnation=0, executors=(), **changes):
    hello = messages.RegisterWorker(
        name, "10.0.0.1", 100, slots, memory_mib * MIB, {}, "tcp://10.0.0.1:9", worker, incarnation, tuple(executors)
    )
    return hello._replace(**changes)


def driver_hello(application="", executors=(), **changes):
    hello = messages.RegisterApplication(
        "sum", "ada", application, "tcp://10.0.0.9:5", "D" * 40, "E" * 40, b"secret", b"nonces", 1, 100 * MIB, 0, {},
        "spread", tuple(executors),
    )  # fmt: skip
    return hello._replace(**changes)


def held(executor, application=None, memory_mib=100):
    return messages.HeldExecutor(executor, application or executor.partition("/")[0], 1, memory_mib * MIB)


def gone(executor, text="exited"):
    return messages.ExecutorExit(executor, 0, 0, 0, text)


class Bench:
    def __init__(self, settings=MasterSettings(trust_local=True), epoch=1, known=None):
        self.core = MasterCore(settings, epoch, known)
        self.now = 0.0
        self.timers = {}
        self.effects = []
        self.known = known or Known()
        self.take(self.core.start(0.0))

    def take(self, effects):
        for effect in effects:
            if isinstance(effect, SetTimer):
                self.timers[effect.name] = effect.when
            elif isinstance(effect, CancelTimer):
                del self.timers[effect.name]
            elif isinstance(effect, Persist):
                self.known = fold(self.known, effect.record)
        self.effects = effects
        return effects

    def do(self, event):
        return self.take(self.core.handle(self.now, event))

    def join(self, peer, hello, role="", key=""):
        return self.do(PeerJoined(peer, role, key, hello))

    def say(self, peer, message):
        return self.do(Received(peer, message))

    def lose(self, peer, reason="gave up waiting"):
        return self.do(PeerLost(peer, reason))

    def advance(self, seconds):
        """Let time pass; the effects of all timers that fire."""
        end = self.now + seconds
        effects = []
        while self.timers and min(self.timers.values()) <= end:
            name = min(self.timers, key=self.timers.get)
            self.now = max(self.now, self.timers.pop(name))
            effects += self.do(TimerFired(name))
        self.now = end
        self.effects = effects
        return effects

    def beat(self, peer, incarnation=1):
        return self.say(peer, messages.Heartbeat(incarnation, 0, 0.5, 0))

    def sent(self, peer, kind):
        """Messages of one type to one peer among the latest effects."""
        return [
            effect.message
            for effect in self.effects
            if isinstance(effect, Send) and effect.peer == peer and isinstance(effect.message, kind)
        ]

    def granted(self, peer):
        """(executor, worker) of the latest grants to a driver."""
        grants = [grant for message in self.sent(peer, messages.ExecutorsGranted) for grant in message.grants]
        return [(grant.executor, grant.worker) for grant in grants]

    def start_all(self, peer, worker, incarnation=1):
        """The worker says that all that it was asked for has started."""
        names = [entry.executor for entry in self.core.ledger.executors.on_worker(worker)]
        return self.say(peer, messages.ExecutorsChanged(incarnation, tuple(names), ()))

    def end_all(self, peer, worker, names, incarnation=1):
        return self.say(peer, messages.ExecutorsChanged(incarnation, (), tuple(gone(name) for name in names)))

    def tables(self):
        ledger = self.core.ledger
        return len(ledger.workers), len(ledger.applications), len(ledger.executors)
