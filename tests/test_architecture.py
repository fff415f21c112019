"""The lines that the code holds, read off its source: see CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "simspark"
PURE_CORES = [
    "driver/core.py",
    "driver/scheduling.py",
    "driver/dag_scheduler.py",
    "driver/task_scheduler.py",
    "driver/task_set.py",
    "driver/block_directory.py",
    "master/core.py",
    "master/registry.py",
    "master/placement.py",
    "worker/core.py",
    "publib/liveness.py",
    "publib/wire/session.py",
]
IMPURE = {
    "socket", "time", "threading", "os", "random", "pathlib", "subprocess", "zmq", "select", "signal", "datetime",
    "tempfile", "shutil", "secrets", "uuid", "asyncio", "multiprocessing", "psutil",
}  # fmt: skip
ALLOWED_LAYERS = {
    "publib": {"publib"},
    "driver": {"driver", "publib"},
    "master": {"master", "publib"},
    "worker": {"worker", "publib"},
    # Spark instead of our engine: it takes the driver's settings and errors, and stands where the driver stands.
    "spark_engine": {"spark_engine", "driver", "publib"},
}
# The choice between the two engines is made in one file, which opens the other's door.
DOORS = {"driver/engine_choice.py": "simspark.spark_engine.door"}
PYSPARK_AT_THE_TOP = {"spark_engine/context.py", "spark_engine/edge.py", "spark_engine/rdd.py",
                      "spark_engine/session.py", "spark_engine/values.py"}
# Modules at the top that have PySpark's names: they only pass on what the layers below make.
MIRRORS_IMPORT = {"driver", "publib", "_version"}
NOT_MIRRORS = {"testing.py", "__init__.py", "_version.py"}
PYSPARKS_NAMES = {"util.py"}  # a program's import line says so
UNPICKLES = "publib/wire/payload.py"
PRINTS = "cli/"
MAX_FILE_LINES = 500
ONE_LIST = {"publib/wire/messages.py": 600}  # all messages in one file is worth more than its length
MAX_FUNCTION_LINES = 60
P90_FUNCTION_LINES = 30
MEDIAN_FUNCTION_LINES = 7
OTHER_PEOPLES_BUSINESS = re.compile(r"\.\./shared|\bshared/(DESIGN|STYLE|FAULTS|SPEED|UX)|\bissue #?\d+", re.IGNORECASE)
REGISTRY_HOST = re.compile("py" + r"pi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org", re.IGNORECASE)
TEXT_FILES = {".py", ".md", ".toml", ".in", ".cfg", ".txt", ".yml", ".yaml", ""}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def sources():
    return sorted(PACKAGE.rglob("*.py"))


def name(path):
    return path.relative_to(PACKAGE).as_posix()


def project_files():
    skipped = {".git", ".venv", ".venv-bench", "build", "dist", "__pycache__"}
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part in skipped or part.endswith((".egg-info", "_cache")) for part in parts)
        if path.is_file() and not hidden and path.suffix in TEXT_FILES:
            yield path


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(path):
    """Every module that a file imports when it runs, at its top or in a function."""
    waiting = [tree(path)]
    while waiting:
        node = waiting.pop()
        if is_type_checking(node):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def calls(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_layers_import_only_what_is_below_them():
    wrong = [
        f"{name(path)} imports {module}"
        for path in sources()
        if (layer := name(path).partition("/")[0]) in ALLOWED_LAYERS
        for module in imports(path)
        if module.startswith("simspark.")
        and module.split(".")[1] in {*ALLOWED_LAYERS, "cli", "testing"}
        and module.split(".")[1] not in ALLOWED_LAYERS[layer]
        and not module.startswith(DOORS.get(name(path), module + "-"))
    ]
    assert not wrong


@cache
def mirrors():
    return {name(path): path for path in sources() if "/" not in name(path)} | {
        name(path): path for path in sources() if name(path).startswith(("core/", "sql/"))
    }


def test_modules_with_pysparks_names_stand_on_driver_and_publib_and_nothing_stands_on_them():
    names = {f"simspark.{path.partition('/')[0].removesuffix('.py')}" for path in set(mirrors()) - NOT_MIRRORS}
    wrong = [
        f"{name(path)} imports {module}"
        for path in sources()
        for module in imports(path)
        if module.startswith("simspark.")
        and (
            (name(path) in mirrors() and name(path) not in NOT_MIRRORS and module.split(".")[1] not in MIRRORS_IMPORT)
            or (name(path) not in mirrors() and ".".join(module.split(".")[:2]) in names)
        )
    ]
    assert not wrong


def test_only_the_spark_engine_knows_pyspark_and_its_door_does_without():
    found = {name(path) for path in sources() if any(module.startswith("pyspark") for module in imports(path))}
    assert found <= PYSPARK_AT_THE_TOP
    assert not modules_after("import simspark.spark_engine.door") & {"pyspark", "py4j"}


@pytest.mark.parametrize("core", PURE_CORES)
def test_cores_are_pure(core):
    path = PACKAGE / core
    if path.exists():
        assert not {module.partition(".")[0] for module in imports(path)} & IMPURE


def test_only_the_clock_asks_the_time():
    asks = {"time.time", "time.monotonic", "time.perf_counter", "time.time_ns", "time.monotonic_ns", "datetime.now"}
    wrong = [
        f"{name(path)}:{line} {call}"
        for path in sources()
        if name(path) != "publib/clock.py"
        for line, call in calls(path)
        if call in asks
    ]
    assert not wrong


def test_one_place_unpickles():
    pattern = re.compile(r"(pickle\.|^)(loads?|Unpickler)$")
    modules = {"pickle", "cloudpickle", "_pickle", "marshal", "shelve", "dill"}
    wrong = []
    for path in sources():
        if name(path) == UNPICKLES or not {module.partition(".")[0] for module in imports(path)} & modules:
            continue
        wrong += [f"{name(path)}:{line} {call}" for line, call in calls(path) if pattern.search(call)]
    assert not wrong


def test_daemons_never_load_payloads():
    for path in sources():
        if name(path).startswith("master/") or re.fullmatch(r"worker/[^/]+\.py", name(path)):
            found = [call for _, call in calls(path) if call in {"payload.load", "load"}]
            assert not found, name(path)


MESSAGES = PACKAGE / "publib" / "wire" / "messages.py"
SIDES = {
    "master": (r"master/.*", "master/service.py"),
    "worker": (r"worker/[^/]+\.py", "worker/service.py"),
    "executor": (r"worker/executor/.*", "worker/executor/service.py"),
    "driver": (r"driver/.*", "driver/cluster.py"),
    "block server": (r"publib/.*", "publib/blocks/server.py"),
}
ASKED_FROM_PUBLIB = {"StatusReport"}


def receivers():
    """Each message with the side that its section in messages.py says it goes to."""
    from simspark.publib.wire import messages

    tagged = {kind.__name__ for kind in messages.REGISTRY.values()}
    side = ""
    for line in MESSAGES.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"# ── (.+?) ─", line):
            side = heading.group(1).rpartition(" to ")[2]
        elif (found := re.match(r"class (\w+)\(", line)) and found.group(1) in tagged:
            yield found.group(1), "block server" if found.group(1) in ASKED_FROM_PUBLIB else side


@cache
def handles(path):
    """The messages that a file tells apart as they come: by a pattern or a table of handlers; hellos by isinstance."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.MatchClass):
            found.add(ast.unparse(node.cls))
        elif isinstance(node, ast.Dict):
            found |= {ast.unparse(key) for key in node.keys if key is not None}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            found |= {text for text in map(ast.unparse, node.args[1:]) if text.endswith("Hello")}
    module = "simspark.publib.wire.messages."
    imported = {name.removeprefix(module) for name in imports(path) if name.startswith(module)}
    return {text.removeprefix("messages.") for text in found if text.startswith("messages.") or text in imported}


def test_every_message_goes_to_a_known_side():
    assert {side for _, side in receivers()} <= set(SIDES)


@pytest.mark.parametrize(("message", "side"), list(receivers()))
def test_each_message_is_handled_in_one_place(message, side):
    pattern, shell = SIDES[side]
    handlers = [
        name(path)
        for path in sources()
        if re.fullmatch(pattern, name(path)) and path != MESSAGES and message in handles(path)
    ]
    least = 1 if (PACKAGE / shell).exists() else 0
    assert least <= len(handlers) <= 1, f"{message} is handled in {handlers}"


def test_tags_are_unique_and_every_message_has_one():
    from simspark.publib.wire import messages

    tagged = list(messages.REGISTRY.values())
    assert len(set(tagged)) == len(tagged)
    assert set(tagged) >= messages.HELLOS
    assert set(messages.LIMITS_BYTES) <= set(tagged)


def test_every_file_is_short_enough_to_read():
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert not {path: lines for path, lines in lengths.items() if lines > ONE_LIST.get(path, MAX_FILE_LINES)}


def function_lengths():
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                yield f"{name(path)}:{node.lineno} {node.name}", body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_every_function_is_short_enough_to_read():
    lengths = dict(function_lengths())
    assert not {place: lines for place, lines in lengths.items() if lines > MAX_FUNCTION_LINES}
    assert statistics.median(lengths.values()) <= MEDIAN_FUNCTION_LINES
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= P90_FUNCTION_LINES


def test_only_the_command_line_prints_or_exits():
    speaks = {"print", "sys.exit", "exit", "quit", "sys.stdout.write"}
    wrong = [
        f"{name(path)}:{line} {call}"
        for path in sources()
        if not name(path).startswith(PRINTS)
        for line, call in calls(path)
        if call in speaks
    ]
    assert not wrong


def test_names_say_something():
    vague = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
    vaguely_named = {name(path) for path in sources() if vague & set(path.stem.split("_"))}
    assert not vaguely_named - PYSPARKS_NAMES


def test_every_module_annotates_lazily():
    late = [name(path) for path in sources() if ast.unparse(tree(path)).strip() and not has_future(path)]
    assert not late


def test_named_tuples_are_those_that_load_fast():
    slow = {name(path) for path in sources() if {"typing.NamedTuple", "collections.namedtuple"} & set(imports(path))}
    assert not slow  # see publib/named_tuple.py, which names the other for type checkers only


def has_future(path):
    nodes = [
        node for node in tree(path).body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    simple = all(isinstance(node, ast.Assign) for node in nodes)
    return simple or any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in nodes)


@pytest.mark.parametrize("pattern", [OTHER_PEOPLES_BUSINESS, REGISTRY_HOST], ids=["elsewhere", "registry hosts"])
def test_files_speak_of_the_project_alone(pattern):
    here = Path(__file__).resolve()
    wrong = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in project_files()
        if path != here and (found := pattern.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert not wrong


HEAVY = {
    "logging", "inspect", "asyncio", "subprocess", "argparse", "psutil", "click", "tempfile", "shutil", "random",
    "importlib.metadata", "dataclasses", "email", "http", "numpy",
}  # fmt: skip
START_UP_PATHS = ["simspark", "simspark.driver.context", "simspark.worker.executor.service"]


def modules_after(statement):
    """What a fresh interpreter has imported after a statement."""
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", START_UP_PATHS)
def test_what_starts_often_imports_little(module):
    path = PACKAGE.parent / module.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").exists():
        assert not (modules_after(f"import {module}") - modules_after("import zmq")) & HEAVY


def test_executors_do_not_know_the_driver():
    if (PACKAGE / "worker" / "executor" / "service.py").exists():
        loaded = modules_after("import simspark.worker.executor.service")
        assert not [module for module in loaded if module.startswith(("simspark.driver", "simspark.master"))]


def test_the_commands_import_only_click_to_show_help():
    loaded = modules_after("import simspark.cli.master, simspark.cli.worker, simspark.cli.simspark")
    assert not loaded & {"zmq", "psutil", "msgpack", "cloudpickle", "asyncio", "simspark.driver.context"}
