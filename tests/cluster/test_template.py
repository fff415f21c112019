"""The template process itself: forks, reports of ends, and that nothing is ever left."""

from __future__ import annotations

import os
import platform
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import cloudpickle
import pytest

from simspark.publib.template_client import Exited, Started, TemplateClient, TemplateEnded
from simspark.publib.wire import messages
from tests.cluster.mini_driver import MiniDriver

cloudpickle.register_pickle_by_value(sys.modules[__name__])
WAIT_S = 60.0


def alive(process):
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def wait_until(condition, timeout_s=WAIT_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def driver(tmp_path):
    made = []

    def make(**settings):
        made.append(MiniDriver(tmp_path / f"r{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def process_of(driver):
    return driver.hellos.get(timeout=WAIT_S).process


def spawn_orphan(_):
    """A double fork with sessions of its own; returns the numbers of what stays behind."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            os.write(writes, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    os.wait()
    execed = subprocess.Popen(["sleep", "600"], start_new_session=True)
    return int(os.read(reads, 20)), execed.pid


def pid_result(report):
    from simspark.publib.blocks.segments import decode_inline

    return decode_inline(report.payload)


def test_an_executor_forks_and_its_end_is_reported_with_its_signal(driver):
    here = driver()
    process = process_of(here)
    os.kill(process, signal.SIGKILL)
    ended = here.exits.get(timeout=WAIT_S)
    assert (ended.executor, ended.status, ended.signal) == ("e0", -1, signal.SIGKILL)
    assert ended.peak_memory_bytes > 1 << 20
    assert not alive(process)


def test_an_executor_that_a_signal_stops_is_reported_and_again_when_it_goes_on(driver):
    one = driver()
    process = process_of(one)
    os.kill(process, signal.SIGSTOP)
    wait_until(lambda: one.stops == [True])
    os.kill(process, signal.SIGCONT)
    wait_until(lambda: one.stops == [True, False])


def test_an_exit_status_and_the_last_lines_are_reported(driver):
    here = driver()

    def leave(_):
        print("one")
        sys.stderr.write("last words\n")
        os._exit(7)

    here.launch_only(leave)
    ended = here.exits.get(timeout=WAIT_S)
    assert (ended.status, ended.signal) == (7, 0)
    assert ended.text.endswith("last words")


def test_what_an_executor_left_running_ends_with_it_and_others_go_on(driver):
    here = driver(executors=2)
    left = pid_result(here.run(spawn_orphan)[0])
    assert all(map(alive, left))
    here.template_kill("e0")
    assert here.exits.get(timeout=WAIT_S).executor == "e0"
    wait_until(lambda: not any(map(alive, left)))
    assert here.run(lambda x: x, executor="e1")[0].outcome == "ok"


def test_a_kill_is_polite_first_and_then_not(driver, tmp_path):
    here = driver(executors=2)
    wait_until(lambda: len(here.peers) == 2)
    here.template_kill("e0")
    polite = here.exits.get(timeout=WAIT_S)
    assert (polite.executor, polite.status) == ("e0", 143)

    def stubborn(path):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(path, "w").close()
        while True:
            pass

    here.launch_only(stubborn, str(tmp_path / "runs"), executor="e1")
    wait_until((tmp_path / "runs").exists)
    here.template_kill("e1")
    killed = here.exits.get(timeout=WAIT_S)
    assert (killed.executor, killed.signal) == ("e1", signal.SIGKILL)


def test_a_forked_executor_has_no_descriptor_of_the_template(driver):
    here = driver(executors=3)
    wait_until(lambda: len(here.peers) == 3)

    def descriptors(_):
        return len(os.listdir("/proc/self/fd"))

    counts = [pid_result(here.run(descriptors, executor=f"e{n}")[0]) for n in range(3)]
    assert len(set(counts)) == 1, counts


def test_executors_have_a_fixed_hash_seed_and_no_module_of_the_driver(driver):
    here = driver()

    def look(_):
        return hash("simspark"), [name for name in sys.modules if name.startswith("simspark.driver")], os.getsid(0)

    seeded = subprocess.run(
        [sys.executable, "-c", "print(hash('simspark'))"], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
    )
    value, driver_modules, session = pid_result(here.run(look)[0])
    assert value == int(seeded.stdout)
    assert driver_modules == []
    assert session != os.getsid(0)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_memory_that_a_task_has_freed_costs_the_next_no_page_faults_and_what_it_starts_does_not_hear_of_it(driver):
    here = driver()

    def look(_):
        from resource import RUSAGE_SELF, getrusage

        for _ in range(3):
            before = getrusage(RUSAGE_SELF).ru_minflt
            blocks = [bytes([1]) * (1 << 20) for _ in range(8)]
            del blocks
        return getrusage(RUSAGE_SELF).ru_minflt - before, os.environ.get("GLIBC_TUNABLES")

    faults, said = pid_result(here.run(look)[0])
    assert faults < (8 << 20) // 4096 // 8
    assert said == os.environ.get("GLIBC_TUNABLES")


def test_a_flood_of_output_is_kept_in_bounds_and_does_not_stall(driver):
    here = driver()

    def flood(_):
        sys.stdout.write("the beginning\n")
        for _ in range(300):
            sys.stdout.write("x" * 100_000)
        sys.stdout.buffer.write(b"\xff\0" * 1000)
        sys.stdout.write("\nthe end\n")
        sys.stdout.flush()
        return "done"

    assert here.run(flood)[0].outcome == "ok"
    wait_until(lambda: "the end" in logged(here))
    text = logged(here)
    assert "the beginning" in text
    assert "bytes left out" in text
    assert len(text) < 5 << 20


def logged(here):
    """The log in its order. It turns over while it is read, so any of its files may not be there at the moment."""
    text = ""
    for name in ("log-e0.head", "log-e0.1", "log-e0"):
        with suppress(FileNotFoundError):
            text += Path(here.directory.file(name)).read_text(encoding="utf-8", errors="replace")
    return text


def test_the_end_of_the_parent_ends_everything_also_by_kill_9(tmp_path):
    """The parent is a process of its own that is killed while an executor has left orphans about."""
    code = f"""
import sys, os
sys.path.insert(0, {os.getcwd()!r})
from tests.cluster.mini_driver import MiniDriver
from tests.cluster.test_template import spawn_orphan, pid_result
here = MiniDriver({str(tmp_path / "r")!r}, executors=2)
left = pid_result(here.run(spawn_orphan)[0])
hellos = [here.hellos.get(timeout=60).process for _ in range(2)]
if os.fork() == 0:  # a child that holds a copy of every pipe
    import time
    time.sleep(60)
print(here.template.process, *hellos, *left, flush=True)
import time
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        processes = [int(word) for word in parent.stdout.readline().split()]
        assert len(processes) == 5 and all(map(alive, processes))
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, processes)))
        wait_until(lambda: not os.path.exists(tmp_path / "r" / "app"))
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()


def test_when_the_template_dies_its_executors_are_reported_and_end(tmp_path):
    here = MiniDriver(tmp_path / "r", executors=2)
    processes = [process_of(here) for _ in range(2)]
    os.kill(here.template.process, signal.SIGKILL)
    ended = {here.exits.get(timeout=WAIT_S).executor for _ in range(2)}
    assert ended == {"e0", "e1"}
    wait_until(lambda: not any(map(alive, processes)))
    here.directory.remove()
    here.close()


def test_a_template_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("simspark.publib.interpreters._BOOT", "raise SystemExit('cannot: {roots} {arguments}')")
    client = TemplateClient()
    client.start(None)
    client.fork(start("e0"))
    events = []
    while not events:
        select.select([client], [], [], WAIT_S)
        events = client.on_readable()
    assert isinstance(events[0], Exited) and "cannot" in events[0].text
    assert isinstance(events[-1], TemplateEnded)
    client.close()


def test_a_fork_takes_milliseconds_and_closing_leaves_no_process(tmp_path):
    client = TemplateClient()
    client.start(None)
    processes = []
    for number in range(3):
        client.fork(start(f"e{number}"))
    while len(processes) < 3:
        select.select([client], [], [], WAIT_S)
        processes += [event.process for event in client.on_readable() if isinstance(event, Started)]
    template = client.process
    client.close()
    client.close()
    wait_until(lambda: not any(map(alive, [template, *processes])))


def start(name):
    from simspark.publib.template_client import ExecutorStart

    return ExecutorStart(name, "app", "w1", "ipc:///nowhere/x", "", "", b"", b"n", "/tmp")


def test_user_code_that_ends_its_process_is_a_loss_with_a_cause(driver):
    here = driver(executors=3)
    wait_until(lambda: len(here.peers) == 3)
    here.launch_only(lambda _: sys.exit(3), executor="e0")
    ended = here.exits.get(timeout=WAIT_S)
    assert (ended.executor, ended.status) == ("e0", 3)
    assert "called sys.exit(3)" in ended.text
    here.launch_only(lambda _: os.kill(os.getpid(), signal.SIGSEGV), executor="e1")
    assert here.exits.get(timeout=WAIT_S).signal == signal.SIGSEGV
    here.send(messages.Shutdown("over"), "e2")
    assert here.exits.get(timeout=WAIT_S).status == 0
