"""Daemons as children of the program that started them: for tests, demonstrations and ``local-cluster``.

The parent writes a daemon's configuration as one line of JSON, reads one line back (where the daemon answers, or the
error that kept it from starting), and keeps the daemon's standard input open: when that ends, however the parent ended,
so does the daemon. ``python -m simspark.cli.child master|worker`` is one of them.

For several ``main`` is a nursery: a process that imports what all need, forks each of them, says their process ids,
and outlives them and the parent to remove their directory. It imports nothing of master or worker, because the workers'
templates are forked, too, and executors from these.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simspark.publib import config, interpreters
from simspark.publib.blocks.app_directory import remove_tree
from simspark.publib.clock import SystemClock
from simspark.publib.errors import SimsparkError

if TYPE_CHECKING:
    from simspark.publib.daemon import Ready
    from simspark.publib.template_client import TemplateClient

PIDS_FD = 1
FIRST_FD = 3
LEAVE_S = 12.0
READ_BYTES = 1 << 16


def main(parent: int, *kinds: str) -> None:
    """Fork a daemon of each kind; the n-th has the n-th pair of descriptors from FIRST_FD on.

    Standard input says which directory to remove; its end, or the parent's, is everybody's. Masters come first: they
    have less to import, and workers wait for them.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    daemons = []
    for number, kind in enumerate(kinds):
        for module in _needed(kind):
            import_module(module)
        gc.freeze()
        reads = FIRST_FD + 2 * number
        daemons.append(interpreters.forked(partial(_be, kind), {0: reads, 1: reads + 1}))
    os.write(PIDS_FD, json.dumps(daemons).encode() + b"\n")
    os.closerange(FIRST_FD, FIRST_FD + 2 * len(kinds))
    os.dup2(2, PIDS_FD)
    directory = _told_until_left(parent, daemons)
    _end(daemons)
    if directory:
        remove_tree(directory)


def _needed(kind: str) -> tuple[str, ...]:
    """What is imported before a daemon is forked: for a worker what its executors need, for a master a part of it."""
    if kind == "master":
        return ("simspark.publib.wire.transport",)
    from simspark.publib.template_client import ANYWHERE
    from simspark.worker.template import MODULES

    return MODULES[ANYWHERE]


def _told_until_left(parent: int, daemons: list[int]) -> str:
    """What standard input says until it ends. Meanwhile daemons that end are reaped."""
    wake_fd, woken_fd = os.pipe()
    for fd in (wake_fd, woken_fd):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(woken_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    parent_fd = interpreters.watched(parent)
    poll = select.poll()
    for fd in (0, wake_fd, parent_fd):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    told = b""
    while True:
        _reap(daemons)
        ready = {fd for fd, _ in poll.poll()}
        if wake_fd in ready:
            os.read(wake_fd, READ_BYTES)
        if 0 in ready:
            data = os.read(0, READ_BYTES)
            told += data
            if not data:
                return told.decode()
        elif parent_fd in ready:  # a fork of it holds our input, and the daemons'
            for process in daemons:
                os.kill(process, signal.SIGTERM)
            return told.decode()


def _reap(daemons: list[int]) -> None:
    try:
        while ended := os.waitpid(-1, os.WNOHANG)[0]:
            daemons.remove(ended)
    except ChildProcessError:
        return


def _end(daemons: list[int]) -> None:
    """Wait for daemons that leave with the parent; bounded."""
    clock = SystemClock()
    deadline = clock.now() + LEAVE_S
    for process in daemons:
        interpreters.wait_for(process, max(0.0, deadline - clock.now()))


def _be(kind: str) -> None:
    """Be a daemon in a process of its own, just forked."""
    os.setsid()
    template = None
    if kind == "worker":
        from simspark.publib.template_client import TemplateClient
        from simspark.worker.template import main as be_template

        template = TemplateClient()
        template.fork_off(be_template)
    gc.enable()
    _name(f"simspark-{kind}")
    run(kind, template)


def _name(name: str) -> None:
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(name)
    except OSError:
        return


def run(kind: str, template: TemplateClient | None = None) -> int:
    """Run one daemon until standard input ends."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve = _service(kind, template)
    with open(0, encoding="utf-8", closefd=False) as told:
        line = told.readline()
    if not line:
        return 1
    settings = config.load(json.loads(line))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ready(info: Any) -> None:
        answer.write(json.dumps({"url": info.url}) + "\n")
        answer.close()

    try:
        serve(settings, ready)
    except SimsparkError as error:
        if not answer.closed:
            answer.write(json.dumps({"error": str(error), "type": type(error).__name__}) + "\n")
            answer.close()
        return 1
    return 0


def _service(kind: str, template: TemplateClient | None) -> Callable[[config.Settings, Ready], None]:
    """What runs the daemon, imported: nobody has to wait for its settings with that."""
    if kind == "master":
        from simspark.master.service import run as run_master

        return lambda settings, ready: run_master(settings.master(), ready, lasting=False)
    from simspark.worker.service import run as run_worker

    return lambda settings, ready: run_worker(settings.worker(), ready, template)


def _leave_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
