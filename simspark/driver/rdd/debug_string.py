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
    stack: list[tuple[Node, int, bool]] = [(root, 0, True)]
    while stack:
        node, depth, opens = stack.pop()
        if fused and node not in marks:
            _mark_loops(node, marks)
        loop = f" *({marks[node]})" if marks.get(node) else ""
        lines.append(_margin(depth, opens) + (f"({node.partitions}) " if opens else " |  ") + _line(node) + loop)
        if node in drawn:
            lines[-1] += " (see above)"
            continue
        drawn.add(node)
        for dependency in reversed(node.dependencies):
            behind = isinstance(dependency, ShuffleDependency)
            stack.append((dependency.node, depth + behind, behind))
    return "\n".join(lines)


def _mark_loops(last: Node, marks: dict[Node, int]) -> None:
    """Number the loops among the row-by-row steps that end in a node; other steps are 0."""
    from simspark.publib.lineage.fusion import loops

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
    for number, loop in enumerate(loops([each.step for each in run]), known + 1):
        marks.update(dict.fromkeys(run[loop.start : loop.stop], number))


def _margin(depth: int, opens: bool) -> str:
    if not depth:
        return ""
    return " |  " * (depth - 1) + (" +-" if opens else " |  ")


def _line(node: Node) -> str:
    name = f"{node.name} " if node.name else ""
    level = str(node.level) if node.level is not None else ""
    return f"{name}{node.operation}[{node.id}] at {node.site} [{level}]"
