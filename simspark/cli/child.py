"""Daemons as children of the program that started them: for tests, demonstrations and ``local-cluster``.

The parent writes a daemon's configuration as one line of JSON, reads one line back (where the daemon answers, or the
error that kept it from starting), and keeps the daemon's standard input open: when that ends, however the parent ended,
so does the daemon. ``python -m simspark.cli.child master|worker`` is one of them.

For several ``main`` is a nursery: a process that imports what all need, forks each of them, says their process ids,
and ends when they have ended. It imports nothing of master or worker, because the workers' templates are forked, too,
and executors from these.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simspark.publib import config, interpreters
from simspark.publib.errors import SimsparkError

if TYPE_CHECKING:
    from simspark.publib.template_client import TemplateClient

PIDS_FD = 1
FIRST_FD = 3


def main(*kinds: str) -> None:
    """Fork a daemon of each kind and wait for their ends; the n-th has the n-th pair of descriptors from FIRST_FD on.

    Masters are first: they have less to import, and workers wait for them.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pids = []
    for number, kind in enumerate(kinds):
        for module in _needed(kind):
            import_module(module)
        gc.freeze()
        reads = FIRST_FD + 2 * number
        pids.append(interpreters.forked(partial(_be, kind), {0: reads, 1: reads + 1}))
    os.write(PIDS_FD, json.dumps(pids).encode() + b"\n")
    os.closerange(FIRST_FD, FIRST_FD + 2 * len(kinds))
    os.close(PIDS_FD)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _needed(kind: str) -> tuple[str, ...]:
    """What is imported before a daemon is forked: for a worker what its executors need, for a master a part of it."""
    from simspark.publib.template_client import ANYWHERE
    from simspark.worker.template import MODULES

    return MODULES[ANYWHERE] if kind == "worker" else ("simspark.publib.wire.transport",)


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
        if kind == "master":
            from simspark.master.service import run as run_master

            run_master(settings.master(), ready)
        else:
            from simspark.worker.service import run as run_worker

            run_worker(settings.worker(), ready, template)
    except SimsparkError as error:
        if not answer.closed:
            answer.write(json.dumps({"error": str(error), "type": type(error).__name__}) + "\n")
            answer.close()
        return 1
    return 0


def _leave_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
