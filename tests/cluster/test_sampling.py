"""Sampling profiles of real tasks: where users see that their time goes, from executors on all kinds of masters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from simspark import SparkConf, SparkContext

from .conftest import wait_until

pytestmark = pytest.mark.cluster

PROGRAM = """
import os, sys
from simspark import SparkContext

def hot(x):
    total = 0
    for number in range(x):
        total += number * number % 7
    return total

def main():
    with SparkContext(sys.argv[1]) as sc:
        rows = sc.parallelize([40_000] * 200, 2).barrier().mapPartitions(lambda rows: rows)  # at once on two executors
        print(rows.map(hot).filter(lambda x: x > 0).count(), os.getpid() > 0, sys.argv[2:])
    sys.exit(7)

if __name__ == "__main__":
    main()
"""


def samples_in(folded, function):
    """Samples of tasks in all, and with this function on their stack."""
    lines = [line.rpartition(" ") for line in folded.splitlines() if not line.startswith("driver")]
    assert all(samples.isdigit() for _, _, samples in lines)
    inside = [each for each in lines if f".{function} (" in each[0] or f";{function} (" in each[0]]
    return sum(int(each[2]) for each in lines), sum(int(each[2]) for each in inside)


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]", "local-cluster[1,2,512]"])
def test_most_samples_are_in_the_function_that_takes_the_time(master, scratch, tmp_path):
    out = tmp_path / "p.folded"
    conf = SparkConf(False).set("spark.simspark.profile.sample", 100).set("spark.simspark.profile.out", out)
    if master == "local-cluster[1,2,512]":
        conf.set("spark.executor.cores", 2)  # two task threads in one executor
    with SparkContext(master, "hot", conf=conf) as sc:

        def hot(x):  # here, so that executors need not import this file and with it pytest
            return sum([number * number % 7 for number in range(x)])

        assert sc.parallelize([20_000] * 800, 4).map(hot).count() == 800
    folded = out.read_text()
    tasks, in_hot = samples_in(folded, "hot")
    assert tasks >= 10
    assert in_hot > tasks / 2
    assert "stage 0 · map at test_sampling.py:" in folded
    assert "conftest" not in folded.partition("stage 0")[2]  # nothing of the driver below a stage


def test_functions_of_c_count_with_the_python_that_calls_them(scratch, tmp_path):
    out = tmp_path / "p.folded"
    conf = SparkConf(False).set("spark.simspark.profile.sample", 100).set("spark.simspark.profile.out", out)

    def sorts(rows):
        return [len(sorted(range(2_000_000), key=int.__neg__)) for _ in rows]

    with SparkContext("local[2]", "c", conf=conf) as sc:
        assert sc.parallelize(range(2), 2).mapPartitions(sorts).collect() == [2_000_000] * 2
    lines = [line for line in out.read_text().splitlines() if "sorts.<listcomp>" in line or ".sorts (" in line]
    assert sum(int(line.rpartition(" ")[2]) for line in lines) >= 20


def test_python_between_calls_that_give_up_the_interpreters_lock_is_seen(scratch, tmp_path):
    out = tmp_path / "p.folded"
    conf = SparkConf(False).set("spark.simspark.profile.sample", 100).set("spark.simspark.profile.out", out)

    def gives_up(data):
        import zlib

        return zlib.crc32(data)

    def keeps(x):
        return sum([number * number % 7 for number in range(20_000)])  # about 2 ms

    def both(x):
        return keeps(x) + gives_up(b"x" * 20_000)

    with SparkContext("local[2]", "lock", conf=conf) as sc:
        assert sc.range(600, numSlices=2).map(both).count() == 600
    tasks, in_keeps = samples_in(out.read_text(), "keeps")
    assert in_keeps > tasks / 2


def test_waiting_counts_where_the_task_waits(scratch, tmp_path):
    out = tmp_path / "p.folded"
    conf = SparkConf(False).set("spark.simspark.profile.sample", 100).set("spark.simspark.profile.out", out)

    def waits(x):
        import subprocess

        return subprocess.run(["sleep", "0.5"], check=True).returncode

    with SparkContext("local[2]", "waits", conf=conf) as sc:
        for _ in range(2):
            assert sc.range(2, numSlices=2).map(waits).sum() == 0
    tasks, in_waits = samples_in(out.read_text(), "waits")
    assert in_waits > tasks / 2
    assert in_waits >= 100  # of 200
    driver = [line.rpartition(" ") for line in out.read_text().splitlines() if line.startswith("driver")]
    assert sum(int(samples) for stack, _, samples in driver if ";simspark;" in stack) < in_waits  # it only waited


def test_what_was_seen_of_a_job_has_come_when_it_is_over(scratch, tmp_path):
    out = tmp_path / "p.folded"
    conf = SparkConf(False).set("spark.simspark.profile.sample", 100).set("spark.simspark.profile.out", out)

    def hot(rows):
        import gc
        import time

        from simspark.publib.service import Loop

        (loop,) = [each for each in gc.get_objects() if isinstance(each, Loop)]
        loop.post(lambda: time.sleep(30))  # what leaves by the loop comes too late
        return [sum([number % 7 for number in range(4_000_000)]) for _ in rows]

    with SparkContext("local[1]", "soon", conf=conf) as sc:
        assert sc.range(1, numSlices=1).mapPartitions(hot).count() == 1
    tasks, in_hot = samples_in(out.read_text(), "hot")
    assert in_hot > tasks / 2


def test_off_it_loads_nothing_anywhere(scratch):
    with SparkContext("local[1]", conf=SparkConf(False)) as sc:
        def loaded(_):
            import threading

            return [name for name in sys.modules if "sampl" in name and name.startswith("simspark.")], [
                thread.name for thread in threading.enumerate() if "sampler" in thread.name
            ]

        modules, threads = sc.parallelize([1], 1).map(loaded).first()
    assert set(modules) <= {"simspark.publib.lineage.sampling"} and not threads


@pytest.fixture
def command(scratch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(*words, **options):
        return subprocess.run(
            [sys.executable, "-m", "simspark.cli.simspark", "profile", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, **options,
        )  # fmt: skip

    return run


def test_the_command_runs_a_program_as_python_does_and_draws_one_picture(command, tmp_path):
    done = command("--folded", "program.py", "local[2]", "--out", "-q", "x")
    assert (done.returncode, done.stdout) == (7, "200 True ['--out', '-q', 'x']\n"), done.stderr
    assert done.stderr.startswith("profile.svg and profile.folded: ")
    assert " of tasks on 2 executors, " in done.stderr and "program.py:" in done.stderr.splitlines()[1]
    assert sorted(os.listdir(tmp_path)) == ["profile.folded", "profile.svg", "program.py"]
    tasks, in_hot = samples_in((tmp_path / "profile.folded").read_text(), "hot")
    assert in_hot > tasks / 2
    svg = ET.parse(tmp_path / "profile.svg")
    names = [group.get("data-name", "") for group in svg.iter("{http://www.w3.org/2000/svg}g")]
    assert "hot (program.py:5)" in names and "main (program.py:11)" in names
    assert any(name.startswith("stage 0 · ") and " at program.py:14" in name for name in names)
    assert not any(name.startswith("Runner") for name in names)


def test_the_engine_is_shown_when_asked_for_and_quiet_is_quiet(command, tmp_path):
    done = command("--engine", "-q", "--out", "p.folded", "program.py", "local[2]")
    assert (done.returncode, done.stderr) == (7, "")
    assert "Runner.run" in (tmp_path / "p.folded").read_text()


def test_contexts_of_one_program_are_in_one_picture(command, tmp_path):
    twice = PROGRAM.replace("    sys.exit(7)", "").replace("    main()", "    main(); main()")
    (tmp_path / "twice.py").write_text(twice)
    done = command("--out", "p.folded", "twice.py", "local[2]")
    assert done.returncode == 0, done.stderr
    assert "on 4 executors" in done.stderr
    assert "stages 0, 0 · filter at twice.py:14" in (tmp_path / "p.folded").read_text()


def test_a_program_without_a_context_has_no_profile_and_wrong_words_are_usage_errors(command, tmp_path):
    (tmp_path / "empty.py").write_text("print(__name__, __file__)")
    done = command("empty.py")
    assert (done.returncode, done.stdout) == (0, f"__main__ {tmp_path / 'empty.py'}\n")
    assert done.stderr == "No profile: empty.py ended without having stopped a SparkContext on simspark.\n"
    assert command("none.py").returncode == 2
    assert "must end in .svg or .folded" in command("--out", "p.png", "empty.py").stderr
    assert "There is no directory for none/p.svg" in command("--out", "none/p.svg", "empty.py").stderr


def test_a_picture_that_cannot_be_written_is_said(command, tmp_path):
    (tmp_path / "p.svg").mkdir()
    (tmp_path / "short.py").write_text("from simspark import SparkContext\nSparkContext('local[1]').stop()\n")
    done = command("--out", "p.svg", "short.py")
    assert done.returncode == 1
    assert done.stderr == "The profile could not be written to p.svg: Is a directory\n"


def test_ctrl_c_is_the_programs_and_what_was_seen_is_drawn(scratch, tmp_path):
    program = tmp_path / "long.py"
    program.write_text(
        "import time\nfrom simspark import SparkContext\nwith SparkContext('local[2]') as sc:\n"
        "    sc.range(2).map(lambda x: open(f'{x}', 'w').close()).count()\n"
        "    sc.range(2).map(lambda x: time.sleep(99)).count()\n"
    )
    command = [sys.executable, "-m", "simspark.cli.simspark", "profile", "long.py"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as running:
        wait_until(lambda: (tmp_path / "1").exists(), "the first job")
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode in {1, 130}
    assert "KeyboardInterrupt" in said and "profile.svg: " in said
    assert (tmp_path / "profile.svg").exists()
