"""What PySpark's RDD API consists of: its classes, their public members and parameters, and its modules' names.

``python tests/api/pyspark_names.py`` writes ``pyspark_names.json`` from the PySpark that is installed.
"""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_suffix(".json")
CLASSES = {
    "rdd": ["RDD", "RDDBarrier"],
    "context": ["SparkContext"],
    "conf": ["SparkConf"],
    "broadcast": ["Broadcast"],
    "accumulators": ["Accumulator", "AccumulatorParam", "AddingAccumulatorParam"],
    "taskcontext": ["TaskContext", "BarrierTaskContext", "BarrierTaskInfo"],
    "statcounter": ["StatCounter"],
    "storagelevel": ["StorageLevel"],
    "files": ["SparkFiles"],
    "status": ["StatusTracker", "SparkJobInfo", "SparkStageInfo", "SparkExecutorInfo"],
    "resultiterable": ["ResultIterable"],
    "profiler": [
        "BasicProfiler", "MemUsageParam", "MemoryProfiler", "PStatsParam", "Profiler", "ProfilerCollector",
        "UDFBasicProfiler",
    ],
    "serializers": [
        "AutoBatchedSerializer", "AutoSerializer", "BatchedSerializer", "CPickleSerializer", "CartesianDeserializer",
        "CloudPickleSerializer", "CompressedSerializer", "FlattenedValuesSerializer", "FramedSerializer",
        "MarshalSerializer", "NoOpSerializer", "PairDeserializer", "PickleSerializer", "Serializer",
        "UTF8Deserializer",
    ],
    "util": ["InheritableThread"],
    "resource": [
        "ExecutorResourceRequest", "ExecutorResourceRequests", "ResourceInformation", "ResourceProfile",
        "ResourceProfileBuilder", "TaskResourceRequest", "TaskResourceRequests",
    ],
}  # fmt: skip
FUNCTIONS = {
    "rdd": ["portable_hash"],
    "util": ["inheritable_thread_target", "fail_on_stopiteration"],
    "serializers": ["read_int", "write_int", "read_long", "write_long", "pack_long", "write_with_length"],
    "join": [
        "python_cogroup", "python_full_outer_join", "python_join", "python_left_outer_join", "python_right_outer_join",
    ],
}  # fmt: skip
MODULES = [module for module in CLASSES if module != "util"]  # whose public names must all be there
OPERATORS = {"__init__", "__add__", "__iadd__"}


def described(package: str) -> dict[str, Any]:
    """The API of a package that is laid out as PySpark is; of what is absent there is nothing."""
    found: dict[str, Any] = {"classes": {}, "functions": {}, "modules": {}}
    for module, names in CLASSES.items():
        for name in names:
            kind = attribute(package, module, name)
            if kind is not None:
                found["classes"][f"{module}.{name}"] = members(kind)
    for module, names in FUNCTIONS.items():
        for name in names:
            function = attribute(package, module, name)
            if function is not None:
                found["functions"][f"{module}.{name}"] = parameters(function)
    found["modules"][""] = sorted(import_module(package).__all__)
    for module in MODULES:
        found["modules"][module] = public_names(package, module)
    return found


def attribute(package: str, module: str, name: str) -> Any:
    """Something of a module's; None where there is no such thing."""
    try:
        return getattr(import_module(f"{package}.{module}"), name, None)
    except ModuleNotFoundError:
        return None


def public_names(package: str, module: str) -> list[str]:
    """What ``from module import *`` gives, or else what it defines."""
    try:
        whole = import_module(f"{package}.{module}")
    except ModuleNotFoundError:
        return []
    listed = getattr(whole, "__all__", None)
    if listed is not None:
        return sorted(listed)
    names = (name for name, value in vars(whole).items() if getattr(value, "__module__", "") == whole.__name__)
    return sorted(name for name in names if not name.startswith("_") and len(name) > 1)


def members(kind: type) -> dict[str, str]:
    """The public members of a class, each as its kind and parameters; without those of Python's own classes."""
    found = {}
    for name in dir(kind):
        if name.startswith("_") and name not in OPERATORS:
            continue
        owner = next(base for base in kind.__mro__ if name in vars(base))
        if owner.__module__ in {"builtins", "threading", "typing", "collections.abc"}:
            continue
        found[name] = member(inspect.getattr_static(kind, name))
    return found


def member(value: Any) -> str:
    """A member in words: its kind, and its parameters where it has some."""
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__} {parameters(value.__func__)}"
    return f"method {parameters(value)}" if inspect.isfunction(value) else "attribute"


def parameters(function: Any) -> str:
    """The parameters of a function with their defaults, as they are written."""
    return f"({', '.join(written(each) for each in inspect.signature(function).parameters.values())})"


def written(parameter: inspect.Parameter) -> str:
    """One parameter; those that have a name only, or a place only, are marked so."""
    mark = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**", "KEYWORD_ONLY": "named ", "POSITIONAL_ONLY": "placed "}
    text = mark.get(parameter.kind.name, "") + parameter.name
    return text if parameter.default is inspect.Parameter.empty else f"{text}={shown(parameter.default)}"


def shown(default: Any) -> str:
    """A default's text, without addresses and modules."""
    if inspect.isfunction(default) or isinstance(default, type):
        return str(default.__name__)
    return repr(default)


def stored() -> dict[str, Any]:
    """The list that is kept beside this file."""
    kept: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return kept


if __name__ == "__main__":
    import pyspark

    text = json.dumps({"version": pyspark.__version__, **described("pyspark")}, indent=1, sort_keys=True)
    STORED.write_text(text + "\n", encoding="utf-8")
