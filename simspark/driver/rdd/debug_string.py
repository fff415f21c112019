"""Lineage as text, as RDD.toDebugString shows it."""

from __future__ import annotations

from simspark.driver.dependency import ShuffleDependency
from simspark.driver.node import Node


def debug_string(root: Node) -> str:
    """One line for each RDD: those of one stage below each other, a deeper block behind each shuffle.

    What several RDDs stand on is drawn below the first of them only.
    """
    lines: list[str] = []
    drawn: set[Node] = set()
    stack: list[tuple[Node, int, bool]] = [(root, 0, True)]
    while stack:
        node, depth, opens = stack.pop()
        lines.append(_margin(depth, opens) + (f"({node.partitions}) " if opens else " |  ") + _line(node))
        if node in drawn:
            lines[-1] += " (see above)"
            continue
        drawn.add(node)
        for dependency in reversed(node.dependencies):
            behind = isinstance(dependency, ShuffleDependency)
            stack.append((dependency.node, depth + behind, behind))
    return "\n".join(lines)


def _margin(depth: int, opens: bool) -> str:
    if not depth:
        return ""
    return " |  " * (depth - 1) + (" +-" if opens else " |  ")


def _line(node: Node) -> str:
    name = f"{node.name} " if node.name else ""
    level = str(node.level) if node.level is not None else ""
    return f"{name}{node.operation}[{node.id}] at {node.site} [{level}]"
