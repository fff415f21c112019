"""The smallest driver: a template, a listener on ipc, and whatever a test wants to say to executors."""

from __future__ import annotations

import os
import sys
import threading
import time
from queue import Empty, SimpleQueue

import cloudpickle
import zmq

from simspark.publib import machine
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.clock import SystemClock
from simspark.publib.lineage.program import Program
from simspark.publib.service import Loop
from simspark.publib.template_client import ExecutorStart, Exited, Printed, Stopped, TemplateClient, TemplateEnded
from simspark.publib.wire import messages
from simspark.publib.wire.messages import Owner
from simspark.publib.wire.transport import Listener, local_identity

WAIT_S = 60.0


class MiniDriver:
    """Starts executors and keeps what they say, in queues."""

    def __init__(self, root, executors=1, cores=1, memory_bytes=0):
        self.directory = AppDirectory.create(str(root), "app")
        self.template = TemplateClient()
        self.template.start(self.directory.path)
        self.context = zmq.Context()
        self.loop = Loop(SystemClock())
        self.listener = Listener(
            self.context, f"ipc://{self.directory.path}/d", local_identity("driver"), None, None
        )
        self.loop.add(self.listener, self._handle)
        self.loop.add_fd(self.template.fileno(), self._template_says)
        self.hellos = SimpleQueue()
        self.said = SimpleQueue()
        self.exits = SimpleQueue()
        self.lost = SimpleQueue()
        self.joined = threading.Condition()
        self.printed = []
        self.stops = []
        self.peers = {}
        self.tasks = 0
        self.settings = {"inline_result_bytes": 64 << 10}
        for number in range(executors):
            self.start(f"e{number}", cores, memory_bytes)
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def start(self, name, cores=1, memory_bytes=0):
        self.template.fork(ExecutorStart(
            name, "app", "w1", self.listener.endpoint, "", "", b"", b"nonce-" + name.encode(), self.directory.path,
            cores, memory_bytes, self.directory.file(f"log-{name}"), True,
        ))  # fmt: skip

    def _template_says(self):
        fd = self.template.fileno()
        for event in self.template.on_readable():
            if isinstance(event, Exited):
                self.exits.put(event)
            elif isinstance(event, Printed):
                self.printed.append(event.text)
            elif isinstance(event, Stopped):
                self.stops.append(event.is_stopped)
            elif isinstance(event, TemplateEnded):
                self.loop.remove_fd(fd)

    def _handle(self, event):
        match event:
            case machine.PeerJoined(peer, _, _, hello):
                self.listener.accept(peer)
                self.peers[hello.executor] = peer
                own = Owner("w1", self.directory.path, self.directory.token, "", "")
                self.listener.send(peer, messages.ExecutorSettings(
                    "app", tuple(sys.path), os.getcwd(), 64 << 20, 1000, self.settings["inline_result_bytes"], {}, own
                ))  # fmt: skip
                self.listener.send(peer, messages.Owners((own._replace(owner="driver"),)))
                self.hellos.put(hello)
                with self.joined:
                    self.joined.notify_all()
            case machine.Received(_, message):
                self.said.put(message)
            case machine.PeerLost(peer, reason):
                self.lost.put((peer, reason))

    def send(self, message, executor="e0"):
        """Send once the executor is there."""
        with self.joined:
            assert self.joined.wait_for(lambda: executor in self.peers, WAIT_S)
        self.loop.post(lambda: self.listener.send(self.peers[executor], message))

    def launch(self, program, splits, executor="e0", known=False, job=1):
        """Send a program and its tasks; returns the tasks' numbers."""
        pickled = program if isinstance(program, bytes) else cloudpickle.dumps(program)
        digest = str(hash(pickled)).encode()
        if not known:
            self.send(messages.StageProgram(digest, pickled, ""), executor)
        first = self.tasks
        self.tasks += len(splits)
        tasks = tuple(
            messages.TaskLaunch(first + index, index, 0, cloudpickle.dumps(split))
            for index, split in enumerate(splits)
        )
        self.send(messages.LaunchTasks(job, 0, 0, digest, {}, tasks), executor)
        return list(range(first, self.tasks))

    def reports(self, count):
        """The next reports, by task."""
        found = {}
        while len(found) < count:
            message = self.said.get(timeout=WAIT_S)
            if isinstance(message, messages.TaskReports):
                found.update((report.task, report) for report in message.reports)
        return found

    def run(self, function, splits=(0,), **more):
        """Run ``function(split)`` as tasks; their reports in order."""
        tasks = self.launch(Program(Call(function), Give()), list(splits), **more)
        reports = self.reports(len(tasks))
        return [reports[task] for task in tasks]

    def launch_only(self, function, split=0, **more):
        """Start one task and do not wait for it; its number."""
        return self.launch(Program(Call(function), Give()), [split], **more)[0]

    def template_kill(self, executor):
        self.loop.post(lambda: self.template.kill(executor, "the test wants it"))

    def nothing_said(self):
        try:
            return self.said.get(timeout=0.2)
        except Empty:
            return None

    def close(self):
        self.loop.stop()
        self.thread.join(WAIT_S)
        self.template.close()
        self.context.term()
        deadline = time.monotonic() + WAIT_S
        while os.path.exists(self.directory.path):
            assert time.monotonic() < deadline, "the template left files"
            time.sleep(0.01)


class Call:
    """A source with one row: what a function makes of the split."""

    def __init__(self, function):
        self.function = function

    def rows(self, split, task):
        yield self.function(split)


class Give:
    """A sink whose result is the first row."""

    def run(self, rows, task):
        from simspark.publib.lineage.task import ResultValue

        return ResultValue(next(rows))


cloudpickle.register_pickle_by_value(sys.modules[__name__])
