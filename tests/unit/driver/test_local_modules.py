from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import pytest

from simspark.driver import local_modules
from simspark.driver.local_modules import LocalModules, is_installed, script_folder
from simspark.driver.missing_modules import explained

pytestmark = pytest.mark.unit

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A script's folder, imported from and made known as such; its modules are forgotten at the end."""
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    main = ModuleType("__main__")
    main.__file__ = str(folder / "main.py")
    (folder / "main.py").write_text("")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


class Shared:
    def __init__(self):
        self.calls = []

    def __call__(self, entries, modules, problem):
        self.calls.append((entries, modules, problem))

    names = property(lambda self: sorted(name for name, _ in self.calls[-1][0]))
    modules = property(lambda self: [module.partition("=")[0] for module in self.calls[-1][1]])


def modules_of(max_bytes=MIB, travels=True):
    shared = Shared()
    return LocalModules(shared, max_bytes, travels), shared


def make(folder, name, text=""):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(*names):
    importlib.invalidate_caches()
    for name in names:
        importlib.import_module(name)


def test_a_program_of_one_file_shares_nothing(folder):
    local, shared = modules_of()
    local.refresh()
    assert shared.calls == []


def test_only_what_was_imported_travels_but_packages_whole(folder):
    for name in ("own_tools.py", "own_unused.py", "own_engine/__init__.py", "own_engine/deep/__init__.py",
                 "own_engine/deep/valves.py", "own_engine/table.csv", "own_engine/.secret"):
        make(folder, name)
    load("own_tools", "own_engine")
    local, shared = modules_of()
    local.refresh()
    assert shared.names == ["own_engine/__init__.py", "own_engine/deep/__init__.py", "own_engine/deep/valves.py",
                            "own_engine/table.csv", "own_tools.py"]
    assert sorted(shared.modules) == ["own_engine", "own_tools"]


def test_of_a_folder_that_is_no_package_only_the_imported_module_travels(folder):
    make(folder, "own_space/one.py")
    make(folder, "own_space/huge.bin", "x" * 1000)
    load("own_space.one")
    local, shared = modules_of(max_bytes=500)
    local.refresh()
    assert shared.names == ["own_space/one.py"]
    assert shared.calls[-1][2] == ""


def test_a_module_found_through_another_path_travels_under_its_own_name(folder, monkeypatch):
    make(folder, "src/own_deep.py")
    monkeypatch.syspath_prepend(str(folder / "src"))
    load("own_deep")
    local, shared = modules_of()
    local.refresh()
    assert shared.names == ["own_deep.py"]


def test_installed_modules_never_travel(folder, monkeypatch):
    for place in ("env/lib/python3/site-packages", ".venv/lib"):
        name = f"own_installed_{place[1]}"
        make(folder, f"{place}/{name}.py")
        monkeypatch.syspath_prepend(str(folder / place))
        load(name)
    local, shared = modules_of()
    local.refresh()
    assert shared.calls == []
    assert is_installed(os.__file__)
    assert is_installed(pytest.__file__)
    assert is_installed(local_modules.__file__)
    assert not is_installed(str(folder / "x.py"))


def test_nothing_is_shared_again_until_something_has_changed(folder):
    tools = make(folder, "own_tools.py")
    make(folder, "own_other.py")
    load("own_tools", "own_other")
    local, shared = modules_of()
    local.refresh()
    local.refresh()
    assert len(shared.calls) == 1
    before = set(shared.calls[0][1])
    tools.write_text("X = 1  # changed")
    local.refresh()
    changed = set(shared.calls[1][1]) - before
    assert [module.partition("=")[0] for module in changed] == ["own_tools"]
    make(folder, "own_third.py")
    load("own_third")
    local.refresh()
    assert shared.names == ["own_other.py", "own_third.py", "own_tools.py"]


def test_where_all_see_the_files_nothing_is_packed_and_changes_are_told(folder):
    tools = make(folder, "own_tools.py")
    load("own_tools")
    local, shared = modules_of(max_bytes=0, travels=False)
    local.refresh()
    tools.write_text("X = 1  # changed")
    local.refresh()
    assert [(entries, problem) for entries, _, problem in shared.calls] == [([], "")] * 2
    assert shared.calls[0][1] != shared.calls[1][1]


def test_too_much_names_the_largest_files_and_the_settings(folder):
    make(folder, "own_engine/__init__.py")
    make(folder, "own_engine/big.bin", "x" * 3 * MIB)
    make(folder, "own_engine/small.txt", "x")
    load("own_engine")
    local, shared = modules_of(max_bytes=2 * MIB)
    local.refresh()
    _, _, problem = shared.calls[0]
    assert problem.startswith(
        "The modules beside the script are 3.0 MiB, more than spark.simspark.ship.maxSize=2.0 MiB; the largest files: "
        "own_engine/big.bin (3.0 MiB), "
    )
    assert "spark.simspark.ship.localModules=false" in problem
    assert len(problem.splitlines()) <= 4


def test_the_folder_is_the_scripts_the_packages_or_the_working_directory(folder, monkeypatch, tmp_path):
    assert script_folder() == str(folder)
    main = sys.modules["__main__"]
    main.__spec__ = importlib.machinery.ModuleSpec("own_package.deep.__main__", None)
    main.__file__ = str(make(folder, "own_package/deep/__main__.py"))
    assert script_folder() == str(folder)
    main.__file__ = pytest.__file__
    monkeypatch.chdir(tmp_path)
    assert script_folder() == os.getcwd()
    del main.__file__
    assert script_folder() == os.getcwd()


def missing(name):
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_module_that_a_worker_lacks_is_told_with_where_it_is_and_what_to_type(folder, monkeypatch):
    make(folder, "own_engine/__init__.py")
    make(folder, "own_tools.py")
    load("own_engine", "own_tools")
    monkeypatch.chdir(folder)
    error = explained(missing("own_engine.valves"), "w2")
    assert str(error) == (
        "Worker w2 has no module 'own_engine.valves' (your script has it at ./own_engine). "
        'Ship it: sc.add_path("own_engine")'
    )
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "own_engine.valves"
    assert str(explained(missing("own_tools"), "local")) == (
        'An executor has no module \'own_tools\' (your script has it at ./own_tools.py). Ship it: '
        'sc.add_path("own_tools.py")'
    )


def test_a_module_from_elsewhere_is_named_by_its_path(folder, monkeypatch, tmp_path):
    make(tmp_path.resolve(), "lib/own_far.py")
    monkeypatch.syspath_prepend(str(tmp_path.resolve() / "lib"))
    importlib.invalidate_caches()
    path = tmp_path.resolve() / "lib" / "own_far.py"
    text = str(explained(missing("own_far"), "w2"))
    assert f'(your program has it at {path}). Ship it: sc.add_path("{path}")' in text


def test_an_installed_module_is_to_be_installed_and_an_unknown_one_stays_as_it_is(folder):
    text = str(explained(missing("pytest"), "w2"))
    assert text.startswith("Worker w2 has no module 'pytest', which is installed here. Install it there")
    assert text.endswith("pip install pytest")
    unknown = missing("own_nowhere_at_all")
    assert explained(unknown, "w2") is unknown
