"""A daemon's body as a child of the program that started it: ``python -m simspark.cli.child master|worker``.

The parent writes the configuration as one line of JSON, reads one line back (where the daemon answers, or the error
that kept it from starting), and keeps the child's standard input open: when that ends, however the parent ended, so
does the daemon. A whole cluster in child processes, for tests and demonstrations, is made of these.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from simspark.publib import config
from simspark.publib.errors import SimsparkError


def main() -> int:
    """Run one daemon until standard input ends."""
    kind = sys.argv[1]
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = config.load(json.loads(sys.stdin.readline()))
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

            run_worker(settings.worker(), ready)
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
    sys.exit(main())
