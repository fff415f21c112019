"""A driver that only registers and asks: for tests of master and workers on real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import zmq

from simspark.publib import machine
from simspark.publib.clock import SystemClock
from simspark.publib.config import FAST, private
from simspark.publib.service import Loop
from simspark.publib.wire import messages
from simspark.publib.wire.ask import ask_status
from simspark.publib.wire.keys import client_keys, new_pair
from simspark.publib.wire.transport import Dialer, Listener, local_identity

MIB = 1 << 20
WAIT_S = 60.0


class Daemons:
    """Masters and workers as children, in one directory."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.children = {}
        self.url = ""

    def start(self, kind, name, **settings):
        code = {**FAST, **private(self.directory), **settings}
        child = subprocess.Popen(
            [sys.executable, "-m", "simspark.cli.child", kind],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.children[name] = child
        child.stdin.write(json.dumps(code) + "\n")
        child.stdin.flush()
        return json.loads(child.stdout.readline())

    def start_master(self, port=0):
        said = self.start("master", "master", **{"master.port": str(port)})
        self.url = said["url"]
        return self.url

    def start_worker(self, name, cores=2):
        settings = {"worker.master": self.url, "worker.name": name, "worker.cores": str(cores), "worker.memory": "2g"}
        return self.start("worker", name, **settings)

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    def keys(self, role):
        return client_keys(os.path.join(self.directory, "state", "keys"), "", role)

    def status(self):
        return ask_status(self.url, self.keys("driver"), WAIT_S)

    def signal(self, name, number):
        self.children[name].send_signal(number)

    def kill(self, name):
        child = self.children.pop(name)
        child.kill()
        child.wait(WAIT_S)
        child.stdin.close()
        child.stdout.close()

    def close(self):
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            child.wait(WAIT_S)
            child.stdin.close()
            child.stdout.close()

    def files(self):
        """Paths below the scratch directory, logs left out."""
        found = []
        for root, _, names in os.walk(os.path.join(self.directory, "scratch")):
            found += [os.path.join(root, name) for name in names if not name.endswith(".log")]
        return found


class StubDriver:
    """Registers, asks, and keeps what it hears. Its fields are written by its loop's thread and only grow."""

    def __init__(self, daemons):
        self._daemons = daemons
        self._context = zmq.Context()
        self.loop = Loop(SystemClock())
        self._server, self._executor = new_pair(), new_pair()
        self.grants = {}
        self.processes = {}
        self.gone = {}
        self.exited = {}
        self.states = []
        self.heard = []
        self.workers = set()
        self.application = ""
        self.registrations = 0
        self._listener = Listener(
            self._context, "tcp://127.0.0.1:*", local_identity("driver"), self._server, self
        )
        self.loop.add(self._listener, self._handle_peer)
        self._dial()
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def role_of(self, key):
        if key == self._executor.public:
            return f"executor:{self.application}"
        return "worker" if any(grant.worker_key == key for grant in list(self.grants.values())) else None

    def _dial(self):
        hello = messages.RegisterApplication(
            "stub", "ada", self.application, self._listener.endpoint, self._server.public, self._executor.public,
            self._executor.secret.encode(), b"nonces", 1, 100 * MIB, 0, {}, "spread", tuple(self.processes),
        )  # fmt: skip
        endpoint = self._daemons.url.replace("simspark", "tcp")
        keys = self._daemons.keys("driver")
        self._master = Dialer(self._context, endpoint, local_identity("driver"), hello, keys, WAIT_S)
        self.loop.add(self._master, self._handle_master)

    def ask(self, total):
        self.loop.post(lambda: self._master.send(messages.AskExecutors(total)))

    def say(self, message):
        self.loop.post(lambda: self._master.send(message))

    def _handle_master(self, event):
        if isinstance(event, machine.PeerLost):
            self.heard.append(event)
            self.loop.call_at("redial", self.loop.clock.now() + 0.1, self._dial)
        if not isinstance(event, machine.Received):
            return
        self.heard.append(event.message)
        match event.message:
            case messages.ApplicationRegistered(application):
                self.application = application
                self.registrations += 1
            case messages.ExecutorsGranted(grants):
                self.grants.update((grant.executor, grant) for grant in grants)
            case messages.ExecutorsGone(ended):
                self.gone.update((one.executor, one) for one in ended)
                for one in ended:
                    self.processes.pop(one.executor, None)
            case messages.WorkersChanged(workers):
                self.states += workers

    def _handle_peer(self, event):
        match event:
            case machine.PeerJoined(peer, _, _, messages.ExecutorHello() as hello):
                self._listener.accept(peer)
                self.processes[hello.executor] = hello.process
            case machine.PeerJoined(peer, _, _, messages.WorkerHello() as hello):
                self._listener.accept(peer)
                self.workers.add(hello.worker)
            case machine.PeerJoined(peer):
                self._listener.refuse(peer, "role", "nobody")
            case machine.Received(_, messages.ExecutorsExited(ended)):
                self.exited.update((one.executor, one) for one in ended)

    def close(self):
        self.loop.stop()
        self._thread.join(WAIT_S)
        self._context.term()
