"""Lineage as text, as RDD.toDebugString shows it."""

from __future__ import annotations

from simspark.driver.dependency import ShuffleDependency
from simspark.driver.node import Node, StepsNode
from simspark.publib.lineage.steps import ROW_BY_ROW


def debug_string(root: Node, fused: bool = True) -> str:
    """One line for each RDD: those of one stage below each other, a deeper block behind each shuffle.

    What several RDDs stand on is drawn below the first of them only. ``*(1)`` ends the lines of steps that one loop
    does, with their functions built in; not ``fused``: there are none.
    """
    lines: list[str] = []
    drawn: set[Node] = set()
    marks: dict[Node, int] = {}
    stack: list[tuple[Node, int, ShuffleDependency | None]] = [(root, 0, None)]
    while stack:
        node, depth, behind = stack.pop()
        opens = behind is not None or node is root
        if fused and node not in marks:
            _mark_loops(node, marks, behind)
        loop = f" *({marks[node]})" if marks.get(node) else ""
        lines.append(_margin(depth, opens) + (f"({node.partitions}) " if opens else " |  ") + _line(node) + loop)
        if node in drawn:
            lines[-1] += " (see above)"
            continue
        drawn.add(node)
        for dependency in reversed(node.dependencies):
            shuffle = dependency if isinstance(dependency, ShuffleDependency) else None
            stack.append((dependency.node, depth + (shuffle is not None), shuffle))
    return "\n".join(lines)


def _mark_loops(last: Node, marks: dict[Node, int], behind: ShuffleDependency | None) -> None:
    """Number the loops among the row-by-row steps that end in a node, perhaps behind a shuffle; other steps are 0."""
    from simspark.publib.lineage.fusion import loops
    from simspark.publib.lineage.sinks import ShuffleWrite

    run: list[StepsNode] = []
    node = last
    while isinstance(node, StepsNode) and hasattr(node, "step") and isinstance(node.step, ROW_BY_ROW):
        if run and node.level is not None:
            break
        run.append(node)
        node = node.parent
    run.reverse()
    marks.update(dict.fromkeys(run, 0))
    known = max(marks.values(), default=0)
    steps = [each.step for each in run]
    aggregator = behind.sink.aggregator if behind is not None and isinstance(behind.sink, ShuffleWrite) else None
    whole = aggregator is not None and aggregator.is_one_loop(steps)
    for number, loop in enumerate([range(len(run))] if whole else loops(steps), known + 1):
        marks.update(dict.fromkeys(run[loop.start : loop.stop], number))


def _margin(depth: int, opens: bool) -> str:
    if not depth:
        return ""
    return " |  " * (depth - 1) + (" +-" if opens else " |  ")


def _line(node: Node) -> str:
    name = f"{node.name} " if node.name else ""
    level = str(node.level) if node.level is not None else ""
    return f"{name}{node.operation}[{node.id}] at {node.site} [{level}]"
