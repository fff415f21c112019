"""The commands as a newcomer types them, on real daemons in a private state directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.cluster
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUM = """
import sys
from simspark import SparkContext
with SparkContext() as sc:
    print(sc.parallelize(range(int(sys.argv[1])), 4).map(lambda x: x * 2).sum())
"""


class Shell:
    """Runs simspark's commands in an environment of its own."""

    def __init__(self, directory, **variables):
        self.state = directory / "state"
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SIMSPARK_")},
            "PYTHONPATH": ROOT,
            "SIMSPARK_PATHS_STATE": str(self.state),
            "SIMSPARK_LOCAL_DIR": str(directory / "l"),
            "SIMSPARK_MASTER_PORT": "0",
            **variables,
        }

    def __call__(self, command, *words):
        return subprocess.run(
            [sys.executable, "-m", f"simspark.cli.{command}", *words],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def url(self):
        return json.loads((self.state / "master.json").read_text())["url"]


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    shell("worker", "stop", "--all")
    shell("master", "stop")


@pytest.fixture
def cluster(shell):
    assert shell("master", "start").returncode == 0
    assert shell("worker", "start", shell.url(), "--cores", "2").returncode == 0
    return shell


def test_a_cluster_from_start_to_stop(shell, tmp_path):
    up = shell("master", "start")
    assert up.returncode == 0, up.stderr
    assert up.stdout.startswith("Master up in ")
    assert f"simspark-worker start {shell.url()}" in up.stdout
    assert len(up.stdout.splitlines()) <= 12

    joined = shell("worker", "start", shell.url(), "--name", "one", "--cores", "1", "--memory", "1g")
    assert joined.stdout.startswith(f"Worker w1 joined {shell.url()} (1 core, 1.0 GiB) in "), joined.stderr
    shell("worker", "start", shell.url(), "--name", "two", "--cores", "1", "--label", "zone=a", "--label", "disk=ssd")
    table = json.loads(shell("master", "status", "--json").stdout)
    assert [worker["state"] for worker in table["workers"]] == ["alive", "alive"]
    assert table["workers"][1]["labels"] == {"zone": "a", "disk": "ssd"}

    program = tmp_path / "sum.py"
    program.write_text(SUM)
    done = shell("simspark", "submit", str(program), "1000")
    assert (done.returncode, done.stdout) == (0, "999000\n"), done.stderr

    again = shell("master", "start")
    assert (again.returncode, again.stdout.endswith("nothing done.\n")) == (0, True)
    assert shell("worker", "stop", "--all").stdout.count("stopped") == 2
    assert shell("worker", "status").returncode == 3
    assert shell("master", "stop").stdout.startswith("Master stopped (pid ")
    assert shell("master", "status").returncode == 3


def test_a_restarted_master_has_its_address_and_its_workers(cluster):
    url = cluster.url()
    done = cluster("master", "restart")
    assert done.returncode == 0, done.stderr
    assert "Master stopped" in done.stdout
    assert cluster.url() == url
    shown = cluster("worker", "restart")
    assert f"joined {url} (2 cores" in shown.stdout, shown.stderr


def test_a_program_keeps_its_exit_code_and_its_arguments(cluster, tmp_path):
    program = tmp_path / "exits.py"
    program.write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    done = cluster("simspark", "submit", str(program), "--master", "x", "-v")
    assert (done.returncode, done.stdout) == (7, "['--master', 'x', '-v']\n")


def test_nobody_to_join_is_said_soon_with_what_to_do(shell):
    done = shell("worker", "start", "simspark://127.0.0.1:1")
    assert done.returncode == 1
    expected = "No simspark master at simspark://127.0.0.1:1 ({}).\nStart one: simspark-master start --port 1 (SS201)\n"
    assert done.stderr == expected.format("none was ever started here")
    shell("simspark", "keys", "issue", "--role", "worker")
    done = shell("worker", "start", "simspark://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (1, expected.format("connection refused"))
    assert shell("worker", "status").returncode == 3


def test_a_taken_port_names_who_has_it(shell):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = shell("master", "start", "--port", str(port))
        here = shell("master", "start", "--port", str(port), "--foreground")
        assert shell("master", "start").returncode == 0
        joining = shell("worker", "start", "--name", "w", "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is used by " in done.stderr
    named = f"(pid {os.getpid()}). Choose another: simspark-"
    assert f"{named}master start --port {port + 1} (SS206)\n" in done.stderr
    assert (here.returncode, here.stderr.endswith(done.stderr)) == (1, True)
    assert joining.returncode == 1
    assert f"{named}worker start --name w --port {port + 1} (SS206)\n" in joining.stderr


def test_a_worker_joins_the_master_of_its_machine_and_outlives_it(shell):
    shell("master", "start")
    url = shell.url()
    assert f"joined {url} (1 core" in shell("worker", "start", "--cores", "1").stdout
    again = shell("worker", "start", "--cores", "2")
    assert again.stdout.splitlines()[1:] == [f"To run it with these settings: simspark-worker restart {url} --cores 2"]
    assert shell("master", "stop").stdout.startswith("Worker w1 goes on and waits for a master at the same address.\n")
    assert shell("worker", "status").stdout.endswith(f"No master at {url} now: its workers wait for it to return.\n")
    refused = shell("worker", "restart")
    assert refused.returncode == 1
    assert "The worker was left as it is.\nStart one: simspark-master start --port " in refused.stderr
    assert shell("worker", "status").returncode == 0


def test_a_worker_in_the_foreground_waits_for_a_master_when_asked_to(shell):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"simspark://127.0.0.1:{port}"
    command = [sys.executable, "-m", "simspark.cli.worker", "start", url, "--wait", "--foreground", "--cores", "1"]
    with subprocess.Popen(command, env=shell.environment, stderr=subprocess.PIPE, text=True) as worker:
        try:
            assert any(line.startswith(f"No master at {url} yet.") for line in worker.stderr)
            assert shell("master", "start", "--port", str(port)).returncode == 0
            assert any(line.startswith(f"Worker w1 joined {url} (1 core") for line in worker.stderr)
        finally:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0


def test_a_key_of_another_cluster_is_refused(cluster, tmp_path):
    stranger = Shell(tmp_path / "other")
    token = stranger("simspark", "keys", "issue", "--role", "worker").stdout.strip()
    stranger = Shell(tmp_path / "other", SIMSPARK_TOKEN=token)
    done = stranger("worker", "start", cluster.url())
    assert done.returncode == 4, done
    assert token
    assert token not in done.stderr


def test_a_token_is_all_that_another_machine_needs(cluster, tmp_path):
    token = cluster("simspark", "keys", "issue", "--role", "worker", "--name", "there").stdout.strip()
    there = Shell(tmp_path / "there", SIMSPARK_TOKEN=token)
    try:
        done = there("worker", "start", cluster.url(), "--name", "there")
        assert done.returncode == 0, done.stderr
    finally:
        there("worker", "stop", "--all")


def test_in_the_foreground_a_master_ends_on_request(shell):
    command = [sys.executable, "-m", "simspark.cli.master", "start", "--foreground"]
    with subprocess.Popen(command, env=shell.environment, stderr=subprocess.PIPE, text=True) as master:
        assert any(line.startswith("Master up at simspark://127.0.0.1:") for line in master.stderr)
        master.send_signal(signal.SIGTERM)
        assert master.wait(60) == 0
    assert shell("master", "status").returncode == 3
