"""A sampling profile of an application: what its samplers saw, by stage, and the forms that it is kept and read in.

The folded form is one line a stack, "root;outermost;...;innermost 12", which many tools read. In it and in pictures
the engine's own frames are left out where the user's come below them; where none do, one frame stands for them all,
with one below it for the part of the engine that was at work. Stages of the same call of the program, as in a loop,
have one root.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from simspark.publib.named_tuple import NamedTuple
from simspark.publib.stack_sampler import ENGINE, LIBRARY, USER
from simspark.publib.wire.messages import TaskSamples

DRIVER_STAGE = -1
MOST_STACKS = 20_000
NUMBERS_SHOWN = 3
LOOP = "simspark's loop"
_IMPORTS = "<frozen importlib"
_OF_THE_ENGINE = ("<frozen ", "/threading.py", "/contextlib.py", "/typing.py", "/collections/__init__.py", "/enum.py",
                  "/functools.py", "/dataclasses.py", "/cloudpickle/", "/zmq/", "/msgpack/")  # fmt: skip


class CodeFrame(NamedTuple):
    """A line of a function that was on a stack. ``kind`` is "user", "library" or "engine"."""

    file: str
    function: str
    first_line: int
    line: int
    kind: str


class Place(NamedTuple):
    """A function, or a root: what one frame of a picture is. ``kind`` may be "stage" or "driver", too."""

    name: str
    file: str
    first_line: int
    kind: str

    def __str__(self) -> str:
        where = f" ({os.path.basename(self.file)}:{self.first_line})" if self.file else ""
        return self.name + where


class Step(NamedTuple):
    """A frame of a shown stack: the function, and the line that it was at (0: unknown)."""

    place: Place
    line: int


class Folded(NamedTuple):
    """A shown stack, root first, and how many samples had it."""

    steps: tuple[Step, ...]
    samples: int


IMPORTING = Step(Place("import", "", 0, LIBRARY), 0)
OTHERS = Step(Place("…", "", 0, LIBRARY), 0)


class Profile:
    """What was seen. Not for several threads at once."""

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name = name
        self.rate_hz = rate_hz
        self.executors: set[str] = set()
        self.stages: dict[tuple[int, int], str] = {}
        self.stacks: Counter[tuple[tuple[int, int], tuple[int, ...]]] = Counter()
        self.frames: dict[CodeFrame, int] = {}

    def add(self, samples: TaskSamples, application: int = 0) -> None:
        """Count what a sampler has sent; of more than so many different stacks, only how many samples they were."""
        known = [CodeFrame(*row) for row in samples.frames]
        for stage, times, positions in samples.stacks:
            numbers = tuple([self.frames.setdefault(known[at], len(self.frames)) for at in positions])
            key = ((application, stage), numbers)
            if len(self.stacks) >= MOST_STACKS and key not in self.stacks:
                key = ((application, stage), ())
            self.stacks[key] += times

    def total(self, *, driver: bool = False) -> int:
        """How many samples there are of tasks, or of the driver."""
        return sum(times for ((_, stage), _), times in self.stacks.items() if (stage == DRIVER_STAGE) == driver)

    def merge(self, other: Profile) -> None:
        """Count another application of the same program, too."""
        number = 1 + max((application for application, _ in {*self.stages, *(key for key, _ in self.stacks)}),
                         default=-1)
        self.executors |= {f"{number}/{executor}" for executor in other.executors}
        self.stages.update({(number, stage): label for (_, stage), label in other.stages.items()})
        stacks = tuple((stage, times, numbers) for ((_, stage), numbers), times in other.stacks.items())
        self.add(TaskSamples(tuple(other.frames), stacks), number)

    # ── as it is shown ───────────────────────────────────────────────────────────────────────────────────────────

    def folded(self, *, engine: bool = False) -> list[Folded]:
        """The shown stacks, stages in their order; with all frames of simspark's own if ``engine``."""
        frames = list(self.frames)
        roots = self._roots()
        merged: Counter[tuple[Step, ...]] = Counter()
        for (stage, numbers), times in sorted(self.stacks.items()):
            stack = [frames[number] for number in numbers]
            steps = _shown(stack) if engine else _without_engine(stack, stage[1] == DRIVER_STAGE)
            merged[roots[stage], *(steps if numbers else (OTHERS,))] += times
        return [Folded(steps, times) for steps, times in merged.items()]

    def _roots(self) -> dict[tuple[int, int], Step]:
        by_label: dict[str, list[int]] = {}
        for key in sorted({*(key for key, _ in self.stacks)}):
            by_label.setdefault(self._label(key), []).append(key[1])
        made = {}
        for key in {key for key, _ in self.stacks}:
            label = self._label(key)
            kind = "driver" if key[1] == DRIVER_STAGE else "stage"
            made[key] = Step(Place(_root(label, by_label[label]), "", 0, kind), 0)
        return made

    def _label(self, key: tuple[int, int]) -> str:
        return "driver" if key[1] == DRIVER_STAGE else self.stages.get(key, "")

    # ── as it is kept ────────────────────────────────────────────────────────────────────────────────────────────

    def to_json(self) -> str:
        """All of it, as text."""
        import json

        return json.dumps({
            "name": self.name, "rate_hz": self.rate_hz, "executors": sorted(self.executors),
            "stages": [[*key, label] for key, label in self.stages.items()],
            "frames": list(self.frames),
            "stacks": [[*key, times, numbers] for (key, numbers), times in self.stacks.items()],
        })  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """What ``to_json`` wrote."""
        import json

        read: dict[str, Any] = json.loads(text)
        made = cls(read["name"], read["rate_hz"])
        made.executors = set(read["executors"])
        made.stages = {(application, stage): label for application, stage, label in read["stages"]}
        made.frames = {CodeFrame(*row): number for number, row in enumerate(read["frames"])}
        for application, stage, times, numbers in read["stacks"]:
            made.stacks[(application, stage), tuple(numbers)] = times
        return made


def folded_text(stacks: Iterable[Folded]) -> str:
    """Lines of the standard folded form."""
    names = ((map(_folded_name, each.steps), each.samples) for each in _by_place(stacks))
    return "".join(f"{';'.join(stack)} {samples}\n" for stack, samples in names)


def _folded_name(step: Step) -> str:
    return str(step.place).replace(";", ",").replace("\n", " ")


def _by_place(stacks: Iterable[Folded]) -> Iterator[Folded]:
    """Stacks that differ in lines alone are one."""
    merged: Counter[tuple[Step, ...]] = Counter()
    for each in stacks:
        merged[tuple(Step(step.place, 0) for step in each.steps)] += each.samples
    return (Folded(steps, times) for steps, times in merged.items())


class BusyLine(NamedTuple):
    """A line of the user's that was the innermost of the user's own in so many samples."""

    place: Place
    line: int
    samples: int


def busiest_lines(stacks: Iterable[Folded], most: int) -> list[BusyLine]:
    """The user's lines where the time went, with what they call of libraries and of simspark, the busiest first."""
    seen: Counter[Step] = Counter()
    for each in stacks:
        own = [step for step in each.steps if step.place.kind == USER]
        if own:
            seen[own[-1]] += each.samples
    return [BusyLine(step.place, step.line, times) for step, times in seen.most_common(most)]


def _root(label: str, stages: Sequence[int]) -> str:
    if stages[0] == DRIVER_STAGE:
        return label
    numbers = ", ".join(map(str, stages))
    text = f"stage {numbers}" if len(stages) == 1 else f"stages {numbers}"
    if len(stages) > NUMBERS_SHOWN:
        text = f"{len(stages)} stages"
    return f"{text} · {label}" if label else text


def _without_engine(stack: Sequence[CodeFrame], in_driver: bool) -> list[Step]:
    """The user's frames and those of libraries that they call; if simspark is innermost, one frame that says so.

    A library that simspark calls is simspark at work; but a task may be given a library's function to call.
    """
    shown: list[CodeFrame] = []
    innermost = USER if in_driver else ENGINE
    for frame in stack:
        own = frame.kind == ENGINE or (innermost == ENGINE and _serves(frame, in_driver))
        innermost = ENGINE if own else frame.kind
        if not own:
            shown.append(frame)
    if innermost != ENGINE:
        return _shown(shown)
    part = next((frame.file for frame in reversed(stack) if frame.kind == ENGINE), "")
    return _shown(shown) + [Step(Place(name, "", 0, ENGINE), 0) for name in ("simspark", _words(part)) if name]


def _shown(stack: Sequence[CodeFrame]) -> list[Step]:
    """Each frame, but of the machinery of imports what it imports, or one that stands for it."""
    steps = [_step(frame) for frame in stack if not frame.file.startswith(_IMPORTS)]
    return [*steps, IMPORTING] if stack and stack[-1].file.startswith(_IMPORTS) else steps


def _serves(frame: CodeFrame, in_driver: bool) -> bool:
    """Whether a function that simspark calls is a library's that it has use for itself, or imports."""
    compiled = frame.file == "<string>" and frame.function == "<module>"  # as libraries do when they make classes
    if frame.kind != LIBRARY or in_driver:
        return frame.kind == LIBRARY or compiled
    return frame.function == "<module>" or any(name in frame.file for name in _OF_THE_ENGINE)


def _words(file: str) -> str:
    return os.path.basename(file).removesuffix(".py").replace("_", " ")


def _step(frame: CodeFrame) -> Step:
    """A frame as it is shown. Functions that simspark has built into one loop are told apart by their lines."""
    if frame.function == LOOP and frame.kind == USER:
        return Step(Place("loop", frame.file, frame.line, frame.kind), frame.line)
    name = frame.function.replace("<locals>.", "").replace("<lambda>", "lambda").replace("<module>", "top level")
    return Step(Place(name, frame.file, frame.first_line, frame.kind), frame.line)
