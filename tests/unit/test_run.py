"""run.py: the order of its means, what it says, and that a finished set-up is not repeated."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit
PATH = os.path.join(os.path.dirname(__file__), "..", "..", "run.py")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The script as a module whose checkout is an empty directory."""
    spec = importlib.util.spec_from_file_location("run_script", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in module.DEFINITIONS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    venv = tmp_path / ".venv"
    monkeypatch.setattr(module, "HERE", str(tmp_path))
    monkeypatch.setattr(module, "VENV", str(venv))
    monkeypatch.setattr(module, "PYTHON", str(venv / "bin" / "python"))
    return module


def finish_set_up(run, extra):
    os.makedirs(os.path.dirname(run.PYTHON))
    for path, text in ((run.PYTHON, ""), (run.stamp(extra), run.definition(extra))):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)


def test_the_order_of_means(run):
    assert [means.__name__ for means in run.MEANS] == [
        "with_ensurepip", "with_uv", "with_virtualenv", "with_system_pip", "with_apt",
    ]  # fmt: skip


def test_a_finished_set_up_calls_nothing(run, monkeypatch):
    finish_set_up(run, "test")
    monkeypatch.setattr(run, "call", lambda *_, **__: pytest.fail("called something"))
    run.set_up("test")


@pytest.mark.parametrize("name", ["setup.py", "pyproject.toml", "simspark/_version.py"])
def test_a_changed_definition_is_set_up_anew(run, tmp_path, name):
    finish_set_up(run, "")
    assert run.is_set_up("")
    (tmp_path / name).write_text("changed")
    assert not run.is_set_up("")


def test_one_extra_does_not_stand_for_another(run):
    finish_set_up(run, "")
    assert not run.is_set_up("test")


def test_means_are_tried_until_one_works(run, monkeypatch):
    tried = []

    def fails():
        tried.append("fails")
        raise run.NotPossible("not here")

    monkeypatch.setattr(run, "MEANS", (fails, lambda: tried.append("works"), lambda: tried.append("too many")))
    monkeypatch.setattr(run, "call", lambda *_, **__: "")
    run.make_environment()
    assert tried == ["fails", "works"]


def test_when_nothing_works_it_says_what_to_do_and_what_was_tried(run, monkeypatch, capsys):
    def with_magic():
        raise run.NotPossible("no wand")

    monkeypatch.setattr(run, "MEANS", (with_magic,))
    with pytest.raises(SystemExit) as ended:
        run.make_environment()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "apt-get install python3-venv" in said
    assert "with magic: no wand" in said


def test_an_old_pip_is_upgraded_in_the_environment(run, monkeypatch):
    calls = []
    monkeypatch.setattr(run, "call", lambda *command, **_: calls.append(command) or "pip 20.3.4 from x (python 3.11)")
    run.upgrade_old_pip()
    assert calls[-1][-2:] == ("--upgrade", "pip")
    monkeypatch.setattr(run, "call", lambda *command, **_: calls.append(command) or "pip 23.0 from x (python 3.11)")
    run.upgrade_old_pip()
    assert calls[-1][-1] == "--version"


def test_without_root_or_sudo_apt_is_not_tried(run, monkeypatch):
    monkeypatch.setattr(run.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(run.os, "geteuid", lambda: 1000)
    with pytest.raises(run.NotPossible, match="neither root nor sudo"):
        run.with_apt()


def test_an_unknown_word_shows_the_help(tmp_path):
    done = subprocess.run([sys.executable, PATH, "what"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "python3 run.py test" in done.stderr


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        ([], "bench,spark"),
        (["join", "--against", "floor"], "bench"),
        (["join", "--against=floor,pyspark"], "bench,spark"),
        (["--pyspark-python", "/opt/spark/bin/python"], "bench"),
        (["--pyspark-python=/opt/spark/bin/python"], "bench"),
    ],
)
def test_a_benchmark_installs_pyspark_only_when_it_has_to(run, words, extras):
    assert run.bench_extras(words) == extras


def test_extras_that_were_installed_together_stand_for_each(run, monkeypatch):
    finish_set_up(run, "")
    monkeypatch.setattr(run, "has_pip", lambda: True)
    monkeypatch.setattr(run, "call", lambda *_, **__: "pip 23.0 from x (python 3.11)")
    run.set_up("bench,spark")
    assert run.is_set_up("bench")
    assert run.is_set_up("bench,spark")
    assert not run.is_set_up("test")


def test_benchmarks_have_an_environment_of_their_own(run, tmp_path):
    run.use_environment(".venv-bench")
    assert run.PYTHON == str(tmp_path / ".venv-bench" / "bin" / "python")
