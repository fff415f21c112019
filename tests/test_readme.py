"""What README.md shows runs as it stands there: its program, and its shell commands on a cluster of the test's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)(?:(?:^    .*|^)\n)*", re.MULTILINE)
SUM = sum(x * x for x in range(1_000_000) if x % 3 == 0)


def section(title):
    return re.split(r"^## ", README.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def fenced(language):
    return [text for found, text in FENCED.findall(README) if found == language]


def commands(title):
    """The lines of a section's first block of shell commands."""
    found = INDENTED.search(section(title))
    return [line.strip() for line in found.group().splitlines() if line.strip()] if found else []


@pytest.fixture
def newcomer(tmp_path_factory):
    """A person with a home of their own, and with the three commands on their path."""
    tmp_path = tmp_path_factory.mktemp("n")
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    for name, module in (("simspark", "simspark"), ("simspark-master", "master"), ("simspark-worker", "worker")):
        script = bin_directory / name
        script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m simspark.cli.{module} \"$@\"\n")
        script.chmod(0o755)
    (bin_directory / "python").symlink_to(sys.executable)
    (tmp_path / "first.py").write_text(fenced("python")[0])
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith(("SIMSPARK_", "XDG_"))},
        "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT),
        "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}", "SIMSPARK_MASTER_PORT": "0",
    }  # fmt: skip

    def type_in(line):
        return subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    yield type_in
    type_in("simspark-worker stop --all; simspark-master stop")


@pytest.mark.cluster
def test_the_first_program_prints_its_sum(newcomer):
    assert commands("A first program")[0] == "pip install simspark"
    assert "\n    python first.py\n" in section("A first program")
    done = newcomer(f"'{sys.executable}' first.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SUM}\n", "")


@pytest.mark.cluster
def test_the_commands_of_a_cluster_run_one_after_the_other(newcomer):
    lines = commands("A cluster")
    assert [line.split()[0] for line in lines] == [
        "simspark-master", "simspark-worker", "simspark", "simspark", "simspark-worker", "simspark-master",
    ]  # fmt: skip
    for line in lines:
        done = newcomer(line)
        assert (done.returncode, done.stderr) == (0, ""), f"{line}: {done.stdout}"
    assert newcomer("simspark-master status").returncode == 3


@pytest.mark.unit
def test_the_settings_shown_are_settings(tmp_path, monkeypatch):
    from simspark.publib import config

    (tmp_path / "simspark.toml").write_text(fenced("toml")[0])
    monkeypatch.chdir(tmp_path)
    settings = config.load()
    shown = tomllib.loads(fenced("toml")[0])
    assert {settings.source(f"{table}.{name}") for table in shown for name in shown[table]} != {"default"}
    assert settings.worker().cores == shown["worker"]["cores"]
    assert settings.worker().labels == shown["worker"]["labels"]


@pytest.mark.unit
def test_every_flag_and_verb_shown_exists():
    import click

    from simspark.cli import master, simspark, worker

    groups = {"simspark-master": master.group, "simspark-worker": worker.group, "simspark": simspark.group}
    shown = re.findall(r"(?:^    |`)(simspark(?:-master|-worker)?) ([^`#\n]+)", README, re.MULTILINE)
    assert len(shown) > 10
    for program, words in shown:
        command = groups[program]
        for word in words.split():
            if isinstance(command, click.Group):
                assert word in command.commands, f"{program} {words}"
                command = command.commands[word]
            elif word.startswith("--"):
                assert any(word in parameter.opts for parameter in command.params), f"{program} {words}"


def test_where_the_time_goes_is_drawn_as_it_stands_there(newcomer):
    (command,) = commands("Where the time goes")
    done = newcomer(command)
    assert (done.returncode, done.stdout) == (0, f"{SUM}\n"), done.stderr
    assert done.stderr.startswith("profile.svg: ")
    (program,) = (text for text in fenced("python") if "profile.sample" in text)
    done = newcomer(f"cat > asks.py <<X\n{program}\nX\n'{sys.executable}' asks.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert newcomer("grep -c 'the time of asks.py went' slow.svg").stdout == "2\n"
