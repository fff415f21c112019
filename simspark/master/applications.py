"""The master's side of its applications: registration, wishes, and what happens when a driver is gone.

An application whose driver falls silent has a grace to come back. After it, or when the driver says so, its
executors are ended and its workers told to forget it. A driver that returns later registers under the same
id and learns that it has lost all that it held.
"""

from __future__ import annotations

import re
from typing import Any

from simspark.master.ledger import Ledger
from simspark.master.limits import application_fault
from simspark.master.records import ApplicationForgotten, ApplicationKnown, Persist
from simspark.master.registry import Application
from simspark.publib.machine import Accept, Close, PeerJoined, Refuse
from simspark.publib.wire import messages
from simspark.publib.wire.messages import RegisterApplication

APPLICATION_ID = re.compile(r"app-([1-9][0-9]{0,17})-([1-9][0-9]{0,17})")


class ApplicationDesk:
    """Answers drivers."""

    def __init__(self, ledger: Ledger, grace_s: float, return_grace_s: float) -> None:
        self._ledger = ledger
        self._out = ledger.outbox
        self._grace_s = grace_s
        self._return_grace_s = return_grace_s
        self._number = 0

    # ── registration ────────────────────────────────────────────────────────────────────────────────────────

    def expect(self, now: float, applications: dict[str, str]) -> None:
        """Wait for the applications that the journal knows, longer than for one that falls silent later."""
        for name, key in applications.items():
            application = self._ledger.applications.add(name, key, None)
            application.away_since = now + self._return_grace_s - self._grace_s

    def join(self, event: PeerJoined, *, recovering: bool) -> None:
        """A driver says hello."""
        hello: RegisterApplication = event.hello
        fault = application_fault(hello)
        if fault:
            self._out.add(Refuse(event.peer, "bad_hello", fault))
            return
        application = self._entry(hello, event.key)
        if application.peer:
            self._out.add(Close(application.peer))
        self._ledger.applications.attach(application, event.peer, hello)
        application.claimed = frozenset(hello.executors) if recovering else frozenset()
        application.asked_back, application.said = 0, None
        self._out.add(Accept(event.peer))
        lost = () if recovering else self._not_held(application, hello.executors)
        slots = sum(worker.slots for worker in self._ledger.workers if worker.takes_grants)
        registered = messages.ApplicationRegistered(application.application, self._ledger.epoch, lost, slots)
        self._out.send(event.peer, registered)
        unclaimed = {entry.executor for entry in self._ledger.executors.held(application.application)}
        self._ledger.kill(sorted(unclaimed.difference(hello.executors)), "its driver does not know it")

    def _entry(self, hello: RegisterApplication, key: str) -> Application:
        known = self._ledger.applications.get(hello.application)
        if known is not None and known.key == key:
            return known
        returns = known is None and self._was_given(hello.application)
        name = hello.application if returns else self._next_name()
        self._out.add(Persist(ApplicationKnown(name, key)))
        return self._ledger.applications.add(name, key, hello)

    def _was_given(self, name: str) -> bool:
        """Whether a master of this journal once gave this id."""
        form = APPLICATION_ID.fullmatch(name)
        if form is None:
            return False
        epoch, number = int(form[1]), int(form[2])
        return epoch < self._ledger.epoch or (epoch == self._ledger.epoch and number <= self._number)

    def _next_name(self) -> str:
        self._number += 1
        return f"app-{self._ledger.epoch}-{self._number}"

    def _not_held(self, application: Application, executors: tuple[str, ...]) -> tuple[str, ...]:
        held = {entry.executor for entry in self._ledger.executors.held(application.application)}
        return tuple(name for name in executors if name not in held)

    def recovered(self) -> None:
        """All workers were heard: what applications claimed and no worker has is gone."""
        for application in self._ledger.applications:
            lost = self._not_held(application, tuple(sorted(application.claimed)))
            application.claimed = frozenset()
            if lost:
                gone = tuple(messages.ExecutorExit(name, -1, 0, 0, "no worker has it") for name in lost)
                self._out.send(application.peer, messages.ExecutorsGone(gone))

    # ── what a driver says ──────────────────────────────────────────────────────────────────────────────────

    def received(self, now: float, application: Application, message: Any) -> None:
        """A message in the session of a driver."""
        match message:
            case messages.AskExecutors(total):
                application.wanted = max(0, total)
            case messages.ReleaseExecutors(executors):
                self._release(application, executors)
            case messages.FinishApplication():
                self._finish(application, "the application is over")
            case _:
                self._out.add(Close(application.peer))
                self.lost(now, application)

    def _release(self, application: Application, executors: tuple[str, ...]) -> None:
        mine = {entry.executor for entry in self._ledger.executors.held(application.application)}
        given = [name for name in executors if name in mine]
        application.asked_back = max(0, application.asked_back - len(given))
        self._ledger.kill(given, "released by its driver")

    def silent(self, now: float, application: Application) -> None:
        """The connection to the driver broke."""
        application.connected = False
        if application.away_since is None:
            application.away_since = now

    def returned(self, application: Application) -> None:
        """It is back in time."""
        application.connected, application.away_since = True, None

    def lost(self, now: float, application: Application) -> None:
        """The session is over; the driver may still come with a new one."""
        self._ledger.applications.detach(application)
        if application.away_since is None:
            application.away_since = now

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────

    def next_expiry(self) -> float | None:
        """When the first grace ends."""
        since = [entry.away_since for entry in self._ledger.applications if entry.away_since is not None]
        return min(since) + self._grace_s if since else None

    def expire(self, now: float) -> None:
        """End the applications whose drivers did not come back."""
        for application in self._ledger.applications:
            away = application.away_since
            if away is not None and now >= away + self._grace_s:
                if application.peer:
                    self._out.add(Close(application.peer))
                self._finish(application, "its driver did not come back")

    def _finish(self, application: Application, reason: str) -> None:
        name = application.application
        self._ledger.kill([entry.executor for entry in self._ledger.executors.of_application(name)], reason)
        for worker in self._ledger.hosts_of(application):
            self._out.send(worker.peer, messages.ForgetApplications((name,)))
        self._ledger.applications.remove(name)
        self._out.add(Persist(ApplicationForgotten(name)))
