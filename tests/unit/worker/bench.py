"""A worker's core on a bench: a clock in hand and every effect kept."""

from simspark.publib.machine import CancelTimer, PeerJoined, PeerLost, PeerSilent, Received, Send, SetTimer, TimerFired
from simspark.publib.wire import messages
from simspark.worker.core import ExecutorExited, ExecutorStarted, WorkerCore, WorkerSettings


def spec(executor, endpoint="tcp://driver"):
    application = executor.partition("/")[0]
    return messages.ExecutorSpec(executor, application, 1, 100, endpoint, "D", "E", b"s", b"n")


def welcome(worker="w1", incarnation=1, kill=()):
    return messages.WorkerRegistered(worker, incarnation, 1.0, tuple(kill))


class Bench:
    def __init__(self, settings=WorkerSettings(name="a", slots=2, master_endpoint="tcp://master")):
        self.core = WorkerCore(settings)
        self.now = 0.0
        self.timers = {}
        self.effects = []
        self.take(self.core.start(0.0))

    def take(self, effects):
        for effect in effects:
            if isinstance(effect, SetTimer):
                self.timers[effect.name] = effect.when
            elif isinstance(effect, CancelTimer):
                self.timers.pop(effect.name, None)
        self.effects = effects
        return effects

    def do(self, event):
        return self.take(self.core.handle(self.now, event))

    def register(self, **changes):
        self.do(PeerJoined("master", "", "", None))
        return self.do(Received("master", welcome(**changes)))

    def hear(self, message, peer="master"):
        return self.do(Received(peer, message))

    def lose(self, peer="master"):
        return self.do(PeerLost(peer, "gone"))

    def silent(self, peer):
        return self.do(PeerSilent(peer))

    def joined(self, peer):
        return self.do(PeerJoined(peer, "", "", None))

    def launch(self, *executors):
        effects = self.hear(messages.LaunchExecutors(tuple(map(spec, executors))))
        for executor in executors:
            self.do(ExecutorStarted(executor, 4711))
        self.effects = effects
        return effects

    def end(self, executor, status=0, text=""):
        return self.do(ExecutorExited(executor, status, 0, 0, text))

    def advance(self, seconds):
        end = self.now + seconds
        effects = []
        while self.timers and min(self.timers.values()) <= end:
            name = min(self.timers, key=self.timers.get)
            self.now = max(self.now, self.timers.pop(name))
            effects += self.do(TimerFired(name))
        self.now = end
        self.effects = effects
        return effects

    def sent(self, peer="master", kind=object):
        return [
            effect.message
            for effect in self.effects
            if isinstance(effect, Send) and effect.peer == peer and isinstance(effect.message, kind)
        ]

    def made(self, kind):
        return [effect for effect in self.effects if isinstance(effect, kind)]
