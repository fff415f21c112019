"""A daemon of the tests' own: ``python tiny_daemon.py STATE_DIR start|stop HOW`` prints the outcome as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from simspark.publib import daemon
from simspark.publib.errors import PortTaken


def body(how):
    def run(ready):
        if how == "refuse":
            raise PortTaken("Port 7077 is used by postgres (pid 913).")
        if how == "die":
            os._exit(9)
        if how == "break":
            raise ZeroDivisionError("one over nothing")
        ended = threading.Event()
        signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "deaf" else lambda *_: ended.set())
        if how != "mute":
            ready(daemon.ReadyInfo("simspark://here:1", os.getpid()))
        ended.wait(60)

    return run


def main():
    state, verb, how = sys.argv[1:]
    place = daemon.Place("tiny", state, os.path.join(state, "logs"))
    if verb == "start":
        outcome = daemon.start(place, body(how), timeout_s=1.0 if how == "mute" else 20.0)
    elif verb == "foreground":
        outcome = daemon.run_foreground(place, body(how), lambda info: print(info.url, flush=True))
    else:
        outcome = daemon.stop(place, drain_s=0.5 if how == "deaf" else 10.0)
    print(json.dumps([type(outcome).__name__, outcome]))


main()
