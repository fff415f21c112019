"""Executors on this machine for one driver, without master or worker.

The template process starts them, reaps them and, when this driver ends in whatever way, kills them and removes the
run directory. An executor that ends is replaced, unless several in a row end before they say hello.
"""

from __future__ import annotations

from simspark.driver.backend import ExecutorNews
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.service import Loop
from simspark.publib.template_client import ExecutorStart, Printed, Stopped, TemplateClient, TemplateEnded
from simspark.publib.wire.messages import ExecutorExit
from simspark.publib.wire.nonce import executor_nonce

WORKER = "local"
HOST = "localhost"
STILLBORN_LIMIT = 5


class LocalBackend:
    """A fixed number of executors, forked from this machine's template, which was started before all else."""

    def __init__(self, application: str, executors: int, directory: AppDirectory, memory_bytes: int,
                 nonce_secret: bytes, template: TemplateClient, cores: int = 1) -> None:
        self._application = application
        self._executors = executors
        self._cores = cores
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._nonce_secret = nonce_secret
        self._template = template
        template.own(directory.path)
        self._news: ExecutorNews | None = None
        self._loop: Loop | None = None
        self._fd = -1
        self._endpoint = ""
        self._started = 0
        self._alive: set[str] = set()
        self._stillborn = 0
        self._stopping = False

    def attach(self, loop: Loop, news: ExecutorNews, endpoint: str) -> None:
        """Start the executors; they will say hello at the endpoint."""
        self._loop, self._news, self._endpoint = loop, news, endpoint
        self._watch_template()
        for _ in range(self._executors):
            self._start_one()

    def want(self, total: int) -> None:
        """Local executors are as many as the master URL says, always."""

    def end(self, executors: tuple[str, ...], reason: str) -> None:
        """Kill executors that hang; idle ones stay."""
        for executor in executors:
            if reason and executor in self._alive:
                self._template.kill(executor, reason)

    def remove_files(self, worker: str, prefixes: tuple[str, ...]) -> None:
        """Remove files of the application by the start of their name."""
        self._directory.remove_matching(prefixes)

    def finish(self) -> None:
        """The template's end is everybody's; see ``stop``."""
        self._stopping = True

    def stop(self) -> None:
        """End the template and with it the executors and the run directory. After the loop has ended."""
        self._stopping = True
        self._template.close()
        self._directory.remove()

    def joined(self, executor: str) -> None:
        """An executor works: start-up is not what fails."""
        self._stillborn = 0

    def _start_one(self) -> None:
        executor = f"{self._application}/{self._started}"
        self._started += 1
        assert self._news is not None
        self._news.expect(executor, WORKER, HOST)
        self._alive.add(executor)
        self._template.fork(ExecutorStart(
            executor=executor, application=self._application, worker=WORKER, driver_endpoint=self._endpoint,
            driver_key="", executor_public="", executor_secret=b"",
            nonce=executor_nonce(self._nonce_secret, executor), directory=self._directory.path, forward=True,
            cores=self._cores, memory_bytes=self._memory_bytes,
        ))  # fmt: skip

    def _watch_template(self) -> None:
        assert self._loop is not None
        self._fd = self._template.fileno()
        self._loop.add_fd(self._fd, self._on_readable)

    def _on_readable(self) -> None:
        assert self._news is not None
        ended = False
        exits: list[ExecutorExit] = []
        for event in self._template.on_readable():
            match event:
                case ExecutorExit(executor):
                    self._alive.discard(executor)
                    self._stillborn += 1
                    self._news.gone(event)
                    exits.append(event)
                case Printed(executor, text):
                    self._news.printed(executor, text)
                case Stopped(executor, is_stopped):
                    self._news.stopped(executor, is_stopped)
                case TemplateEnded():
                    ended = True
        if ended:
            self._restart_template()
        else:
            for exit_ in exits:
                self._replace(exit_)

    def _replace(self, ended: ExecutorExit) -> None:
        if self._stopping:
            return
        if self._stillborn > STILLBORN_LIMIT * self._executors:
            assert self._news is not None
            self._news.queue_changed(f"executors end before they can work: {ended.text or ended.status}", True)
            return
        self._start_one()

    def _restart_template(self) -> None:
        assert self._loop is not None
        if self._stopping:
            return
        self._loop.remove_fd(self._fd)
        self._template.start(self._directory.path)
        self._watch_template()
        for _ in range(self._executors - len(self._alive)):
            self._start_one()
