"""Programs that end while asynchronous actions go on: soon, and with nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import leftovers, simspark_processes, wait_until

pytestmark = pytest.mark.cluster

PROGRAM = """
import os, signal, sys, threading, time, traceback
from pathlib import Path
from simspark import JobCancelled, SparkContext

def wait(mark):
    Path(mark).touch()
    time.sleep(600)

def begun(sc, name):
    mark = sys.argv[2] + name
    future = sc.parallelize([mark], 1).foreachAsync(wait)
    while not Path(mark).exists():
        time.sleep(0.01)
    return future

def forget():
    begun(SparkContext(sys.argv[1], "forgets"), "a")

def leave():
    with SparkContext(sys.argv[1], "leaves") as sc:
        future = begun(sc, "a")
    try:
        future.result()
    except JobCancelled as error:
        print(error)

def waits(main):
    return "_wait" in [frame.name for frame in traceback.extract_stack(sys._current_frames()[main])]

def press_ctrl_c():
    while not waits(threading.main_thread().ident):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

def ask():
    sc = SparkContext(sys.argv[1], "asks")
    future = begun(sc, "a")
    threading.Thread(target=press_ctrl_c).start()
    try:
        future.result()
    except KeyboardInterrupt as interrupt:
        print(interrupt)
    print(sc.parallelize(range(4), 2).sum())

if __name__ == "__main__":
    globals()[sys.argv[3]]()
"""


def start(tmp_path: Path, master: str, function: str) -> subprocess.Popen[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    # Ctrl-C as in a terminal: who runs the tests in the background has it ignored
    command = [sys.executable, str(program), master, str(tmp_path / "mark-"), function]
    environment = {**os.environ, "SIMSPARK_PROGRESS": "off"}  # a slow machine's would say what its job waits for
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))


def nothing_is_left(scratch: Path) -> None:
    wait_until(lambda: not simspark_processes(scratch), "all processes to end")
    wait_until(lambda: not leftovers(scratch), "all files to be removed")


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_a_program_that_forgets_its_future_ends_and_says_nothing(master: str, scratch: Path, tmp_path: Path) -> None:
    with start(tmp_path, master, "forget") as program:
        assert program.communicate(timeout=60) == ("", "")
    assert program.returncode == 0
    nothing_is_left(scratch)


def test_leaving_the_context_ends_its_futures(scratch: Path, tmp_path: Path) -> None:
    with start(tmp_path, "local[2]", "leave") as program:
        assert program.communicate(timeout=60) == ("Job 0 was cancelled: the context was stopped. (SS302)\n", "")
    assert program.returncode == 0
    nothing_is_left(scratch)


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_ctrl_c_ends_the_wait_and_the_context_goes_on(master: str, scratch: Path, tmp_path: Path) -> None:
    with start(tmp_path, master, "ask") as program:
        out, err = program.communicate(timeout=60)
        assert (out, err) == ("job 0 cancelled: 0 of 1 tasks were done\n6\n", "")
    assert program.returncode == 0
    nothing_is_left(scratch)
