"""Starts and ends executors for the worker daemon, and keeps the directories that their files are in.

All of it lies below one directory of this worker process, ``<work_dir>/worker-<pid>``, which the template removes when
the worker ends, however that comes; what a crash of both leaves, the next start sweeps. Logs are elsewhere, and the
newest of them stay. The secrets of an executor travel through the template's pipe and by fork: no argument list,
environment or file has them.

The template may have been started before; whenever it has ended, the next executor has another one started.

The loop's alone: all calls come from its thread, and ``on_event`` is called there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from simspark.publib.blocks.app_directory import AppDirectory, sweep_dead
from simspark.publib.errors import ProtocolError, StorageFault
from simspark.publib.service import Loop
from simspark.publib.template_client import ExecutorStart, Started, Stopped, TemplateClient, TemplateEnded
from simspark.publib.wire.messages import ExecutorExit, ExecutorSpec
from simspark.worker.supervision import ExecutorExited, ExecutorPaused, ExecutorStarted

LOGS_KEPT = 200


class Launcher:
    """This worker's executors and their directories. Each executor that is started ends in one ExecutorExited."""

    def __init__(self, loop: Loop, work_dir: str, log_dir: str,
                 on_event: Callable[[ExecutorStarted | ExecutorPaused | ExecutorExited], None],
                 template: TemplateClient | None = None) -> None:
        self._loop = loop
        self._on_event = on_event
        self._work_dir = work_dir
        os.makedirs(work_dir, 0o700, exist_ok=True)
        sweep_dead(work_dir)
        self._root = AppDirectory.create(work_dir, f"worker-{os.getpid()}")
        self._log_dir = log_dir
        os.makedirs(log_dir, 0o700, exist_ok=True)
        self._directories: dict[str, AppDirectory] = {}
        self._template = template or TemplateClient()
        self._fd = -1
        self._start_template()

    def start(self, specs: Iterable[ExecutorSpec]) -> None:
        """Start executors; what cannot be started has ended."""
        for spec in specs:
            try:
                self._start_one(spec)
            except (OSError, ProtocolError) as error:  # no room, no processes, or a name that is none
                self._on_event(ExecutorExited(spec.executor, -1, 0, 0, f"it could not be started: {error}"))

    def stop(self, executor: str, reason: str) -> None:
        """End an executor: TERM, and KILL a second later. Harmless when it has ended."""
        self._template.kill(executor, reason)

    def directory(self, application: str) -> AppDirectory:
        """Where this application's files are on this machine; made when first asked for. Raises StorageFault."""
        made = self._directories.get(application)
        if made is None:
            made = self._directories[application] = AppDirectory.create(self._root.path, application)
        return made

    def directory_path(self, application: str) -> str | None:
        """The same as a path, if there is one: what a block server asks."""
        made = self._directories.get(application)
        return None if made is None else made.path

    def forget(self, application: str) -> None:
        """Remove an application's files. Its executors have ended."""
        made = self._directories.pop(application, None)
        if made is not None:
            made.remove()

    def close(self) -> None:
        """End all executors and remove all files but the logs. Bounded by some seconds."""
        if self._fd >= 0:
            self._loop.remove_fd(self._fd)
            self._fd = -1
        self._template.close()
        self._root.remove()
        try:
            os.rmdir(self._work_dir)
        except OSError:
            return  # somebody else's files are in it, or it is a mount

    def _start_one(self, spec: ExecutorSpec) -> None:
        directory = self.directory(spec.application).path
        if self._fd < 0:
            self._start_template()
        self._template.fork(ExecutorStart(
            executor=spec.executor, application=spec.application, worker="", driver_endpoint=spec.driver_endpoint,
            driver_key=spec.driver_key, executor_public=spec.executor_public,
            executor_secret=spec.executor_secret, nonce=spec.nonce, directory=directory, cores=spec.cores,
            memory_bytes=spec.memory_bytes, log_path=self._log_path(spec.executor),
            driver_socket=spec.driver_socket,
        ))  # fmt: skip

    def _start_template(self) -> None:
        try:
            if not self._template.is_running:
                self._template.start(None)
            self._template.own(self._root.path)
        except OSError as error:
            raise StorageFault(error.errno, f"the template process cannot start: {error.strerror}") from error
        self._fd = self._template.fileno()
        self._loop.add_fd(self._fd, self._handle_readable)

    def _handle_readable(self) -> None:
        for event in self._template.on_readable():
            match event:
                case Started(executor, process):
                    self._on_event(ExecutorStarted(executor, process))
                case ExecutorExit():
                    self._on_event(ExecutorExited(*event))
                case Stopped(executor, is_stopped):
                    self._on_event(ExecutorPaused(executor, is_stopped))
                case TemplateEnded():
                    self._loop.remove_fd(self._fd)
                    self._fd = -1  # the next executor starts a new one

    def _log_path(self, executor: str) -> str:
        self._drop_old_logs()
        name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in executor)
        return os.path.join(self._log_dir, f"{name[:100]}.log")

    def _drop_old_logs(self) -> None:
        names = sorted(os.listdir(self._log_dir), key=self._written_at)
        for name in names[:-LOGS_KEPT]:
            os.unlink(os.path.join(self._log_dir, name))

    def _written_at(self, name: str) -> float:
        try:
            return os.stat(os.path.join(self._log_dir, name)).st_mtime
        except OSError:
            return 0.0
