"""Lineage compiled to stages, at an action.

A stage is everything between shuffles: its source is built from the nodes below it, with runs of narrow steps merged
into one, so that neither a lineage ten thousand steps deep nor a union of unions nests. Walks keep their own stack: no
lineage meets Python's recursion limit here. A shuffle's stage has its number for life; its program is pickled once,
and again only when what is cached or checkpointed on its way has changed. A node whose rows are saved is them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from simspark.driver.closures import pickle_program
from simspark.driver.dependency import OneToOne, ShuffleDependency
from simspark.driver.needs import is_gang, profiles_of
from simspark.driver.node import LINEAGE, DataNode, Node, Splits, StepsNode, UnionNode
from simspark.driver.scheduling import StageSpec
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.sources import CachedSource
from simspark.publib.lineage.task import Sink, Source
from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from simspark.publib.resource_profiles import ResourceProfile

NO_SHUFFLE = -1
_SAVED = -1
Pickle = Callable[[Program], bytes]
Made = Callable[[Program, int], bytes]
Finish = Callable[[Program, int], Program]
"""Takes a stage's program and the number of the RDD whose rows it makes; gives the program that runs."""


class Operation(Protocol):
    """One function of the user's in a stage, and how and where it was called: a step, an aggregator, an ordering."""

    @property
    def function(self) -> Any:
        """The function."""

    @property
    def label(self) -> str:
        """The RDD's method."""

    @property
    def site(self) -> str:
        """file:line."""


class CompiledJob(NamedTuple):
    """A job as the scheduler and the executors need it.

    ``stages``: parents first, the one that gives the results last. ``programs``: by stage, pickles the program when
    called, at most once; NotSerializable says what cannot travel. ``splits``: by stage, a partition's split is small
    and picklable.
    ``operations``: by stage, for messages. ``shuffles`` are alive while this is. ``profiles`` are those of the RDDs
    of each stage, in the order of ``stages``.
    """

    stages: tuple[StageSpec, ...]
    programs: dict[int, Callable[[], bytes]]
    splits: dict[int, Splits]
    operations: dict[int, tuple[Operation, ...]]
    shuffles: tuple[ShuffleDependency, ...]
    profiles: tuple[tuple[ResourceProfile, ...], ...]


class _Body(NamedTuple):
    """A node's rows within its stage."""

    source: Source
    splits: Splits


class _Stage(NamedTuple):
    """A stage before it is pickled. ``kept``: the nodes whose rows are cached or saved."""

    body: _Body
    parents: tuple[ShuffleDependency, ...]
    kept: tuple[tuple[int, int], ...]
    operations: tuple[Operation, ...]


def compile_job(node: Node, sink: Sink, *, next_stage: Callable[[], int], name: str = "",
                finish: Finish | None = None, pickle: Pickle = pickle_program) -> CompiledJob:
    """Cut the lineage of an action on ``node`` into stages; ``sink`` takes its rows. ``name`` is the action's.

    ``finish`` may change a stage's program before ``pickle`` makes bytes of it. Raises BarrierError for stages that
    cannot be gangs.
    """
    def made(program: Program, rdd: int) -> bytes:
        return pickle(program if finish is None else finish(program, rdd))

    with LINEAGE:
        last = _stage(node)
        shuffles, stages = _shuffles_below(last) if last.parents else ([], {})
    specs: list[StageSpec] = []
    programs: dict[int, Callable[[], bytes]] = {}
    splits: dict[int, Splits] = {}
    operations: dict[int, tuple[Operation, ...]] = {}
    profiles: list[tuple[ResourceProfile, ...]] = []
    for shuffle in shuffles:
        stage = stages[shuffle]
        specs.append(_spec(shuffle.stage, shuffle, stage, shuffle.node))
        programs[shuffle.stage] = _shuffle_program(shuffle, stage, made)
        splits[shuffle.stage] = stage.body.splits
        operations[shuffle.stage] = (*stage.operations, *_operations(shuffle.sink))
        profiles.append(profiles_of(shuffle.node))
    number = next_stage()
    specs.append(_spec(number, None, last, node, name))
    programs[number] = _result_program(Program(last.body.source, sink), node.id, made)
    splits[number] = last.body.splits
    operations[number] = (*last.operations, *_operations(sink))
    profiles.append(profiles_of(node))
    return CompiledJob(tuple(specs), programs, splits, operations, tuple(shuffles), tuple(profiles))


def _spec(number: int, shuffle: ShuffleDependency | None, stage: _Stage, node: Node, action: str = "") -> StageSpec:
    return StageSpec(
        stage=number,
        shuffle=NO_SHUFFLE if shuffle is None else shuffle.shuffle,
        partitions=node.partitions,
        parents=tuple([parent.shuffle for parent in stage.parents]),
        rdds=tuple([each.id for each in _in_place(node) if each.is_kept]),
        places=_places(node),
        gang=is_gang(node),
        name=node.operation or action,
        site=str(node.site),
    )


def _shuffle_program(shuffle: ShuffleDependency, stage: _Stage, made: Made) -> Callable[[], bytes]:
    def pickled() -> bytes:
        if shuffle.program is None or shuffle.program[0] != stage.kept:
            program = Program(stage.body.source, shuffle.sink)
            shuffle.program = (stage.kept, made(program, shuffle.node.id))
        return shuffle.program[1]

    return pickled


def _result_program(program: Program, rdd: int, made: Made) -> Callable[[], bytes]:
    done: list[bytes] = []

    def pickled() -> bytes:
        if not done:
            done.append(made(program, rdd))
        return done[0]

    return pickled


def _shuffles_below(last: _Stage) -> tuple[list[ShuffleDependency], dict[ShuffleDependency, _Stage]]:
    """The shuffles that a stage stands on, parents first, and the stages that write them."""
    ordered: list[ShuffleDependency] = []
    stages: dict[ShuffleDependency, _Stage] = {}
    placed: set[ShuffleDependency] = set()
    stack = list(reversed(last.parents))
    while stack:
        shuffle = stack[-1]
        if shuffle not in stages:
            stages[shuffle] = _stage(shuffle.node)
            stack.extend(parent for parent in reversed(stages[shuffle].parents) if parent not in placed)
            continue
        stack.pop()
        if shuffle not in placed:
            placed.add(shuffle)
            ordered.append(shuffle)
    return ordered, stages


# ── one stage ────────────────────────────────────────────────────────────────────────────────────────────────────


def _stage(root: Node) -> _Stage:
    if not root.dependencies and isinstance(root, DataNode) and root.level is None:
        return _Stage(_Body(root.source(()), root.split_alone), (), (), ())
    bodies: dict[Node, _Body] = {}
    parents: dict[ShuffleDependency, None] = {}
    kept: list[tuple[int, int]] = []
    operations: list[Operation] = []
    stack = [root]
    while stack:
        node = stack[-1]
        if node in bodies:
            stack.pop()
            continue
        view = _View(node)
        waiting = [below for below in view.below() if below not in bodies]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        bodies[node] = view.body(bodies)
        parents.update(dict.fromkeys(view.shuffles()))
        operations.extend(view.operations())
        if node.level is not None:
            kept.append((node.id, node.level.code))
        if node.saved is not None:
            kept.append((node.id, _SAVED))
    return _Stage(bodies[root], tuple(parents), tuple(kept), tuple(operations))


class _View:
    """A node as its stage sees it: with the steps below it merged, and unions of unions flat."""

    __slots__ = ("_bottom", "_leaves", "_node", "_steps")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._steps, self._bottom = _steps_down(node)
        self._leaves = _leaves(node) if isinstance(node, UnionNode) and node.saved is None else None

    def below(self) -> list[Node]:
        """The nodes whose rows this one is made of, in the same stage."""
        if self._steps:
            return [self._bottom]
        if self._leaves is not None:
            return self._leaves
        return [
            dependency.node
            for dependency in self._node.dependencies
            if not isinstance(dependency, ShuffleDependency)
        ]

    def shuffles(self) -> Iterator[ShuffleDependency]:
        """The shuffles that it reads."""
        return (below for below in self._node.dependencies if isinstance(below, ShuffleDependency))

    def operations(self) -> Iterator[Operation]:
        """The user's functions in it."""
        yield from self._steps
        for shuffle in self.shuffles():
            yield from _operations(shuffle.read)

    def body(self, bodies: dict[Node, _Body]) -> _Body:
        """Its rows, given those of the nodes below."""
        node = self._node
        if self._steps:
            inner = bodies[self._bottom]
            source: Source = Steps(inner.source, self._steps)
            splits = inner.splits
        elif self._leaves is not None:
            source, splits = _flat_union(self._leaves, bodies)
        else:
            inputs = [_input(dependency, bodies) for dependency in node.dependencies]
            source, splits = inputs[0] if node.saved is not None else _computed(node, inputs)
        if node.level is not None:
            source = CachedSource(node.id, node.level.code, source)
        return _Body(source, splits)


def _computed(node: Node, inputs: list[_Body]) -> _Body:
    return _Body(node.source([each.source for each in inputs]), _splits(node, [each.splits for each in inputs]))


def _steps_down(node: Node) -> tuple[tuple[Any, ...], Node]:
    """The steps from the node down to the first that is no step, or is cached or saved, in the order of their doing."""
    steps = []
    bottom = node
    while isinstance(bottom, StepsNode) and bottom.saved is None and (bottom is node or bottom.level is None):
        steps.append(bottom.step)
        bottom = bottom.parent
    steps.reverse()
    return tuple(steps), bottom


def _leaves(union: UnionNode) -> list[Node]:
    """What a union of unions is made of, without those in between that are neither cached nor saved."""
    leaves: list[Node] = []
    stack: list[Node] = [union]
    while stack:
        node = stack.pop()
        if isinstance(node, UnionNode) and node.saved is None and (node is union or node.level is None):
            stack.extend(dependency.node for dependency in reversed(node.dependencies))
        else:
            leaves.append(node)
    return leaves


def _flat_union(leaves: list[Node], bodies: dict[Node, _Body]) -> tuple[Source, Splits]:
    from simspark.publib.lineage.sources import UnionSource

    distinct = {node: branch for branch, node in enumerate(dict.fromkeys(leaves))}
    places = [(node, index) for node in leaves for index in range(node.partitions)]
    source = UnionSource(tuple(bodies[node].source for node in distinct))

    def split(partition: int) -> Any:
        node, index = places[partition]
        return distinct[node], index, bodies[node].splits(index)

    return source, split


def _input(dependency: Any, bodies: dict[Node, _Body]) -> _Body:
    if isinstance(dependency, ShuffleDependency):
        return _Body(dependency.read, _itself)
    return bodies[dependency.node]


def _itself(partition: int) -> int:
    return partition


def _splits(node: Node, inputs: list[Splits]) -> Splits:
    return lambda partition: node.split(partition, inputs)


# ── where tasks go, and whose functions they run ─────────────────────────────────────────────────────────────────


def _in_place(root: Node) -> Iterable[Node]:
    """The node, and those below it in the stage whose partition i is part of its partition i, nearest first."""
    return _down_in_place(root) if root.dependencies else (root,)


def _down_in_place(root: Node) -> Iterator[Node]:
    seen = {root}
    level = [root]
    while level:
        yield from level
        below = [
            dependency.node
            for node in level
            for dependency in node.dependencies
            if isinstance(dependency, OneToOne) and dependency.node not in seen
        ]
        level = list(dict.fromkeys(below))
        seen.update(level)


def _places(root: Node) -> dict[int, tuple[str, ...]]:
    """Where the partitions' rows come from, if the data on the way has preferences."""
    for node in _in_place(root):
        if isinstance(node, DataNode) and node.places:
            return dict(enumerate(node.places))
    return {}


def _operations(part: Any) -> list[Operation]:
    """The user's functions that a sink or a shuffle's read holds."""
    inside: tuple[Any, ...] = part, getattr(part, "aggregator", None), getattr(part, "ordering", None)
    return [each for each in inside if callable(getattr(each, "function", None))]
