"""What a stage needs beside slots as they come free: all of them at once, or several for each task.

A stage is a gang when an RDD in it came from ``barrier()``. All its tasks then run together, so it cannot be asked
for a part of its partitions, nor have RDDs in it with others than the action's, nor two barrier RDDs side by side.
A resource profile is a wish for a stage; an application has executors of one kind, so a wish that they do not meet is
refused with the arithmetic, before any task runs. Nothing that is asked for is left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simspark.driver.dependency import ShuffleDependency
from simspark.driver.node import Node
from simspark.driver.scheduling import StageSpec
from simspark.publib.errors import BarrierError, NotEnoughResources, UserError
from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from simspark.publib.resource_profiles import ResourceProfile

GANG_MOST = 4096
"""Tasks of one gang: each is told where all are and what all say."""
MIB = 1 << 20


class Offer(NamedTuple):
    """What the application has. 0 stands for "not known" or "no limit"; ``task_cpus`` is spark.task.cpus."""

    master: str
    task_cpus: str
    slots_per_executor: int
    most_slots: int
    executor_memory_bytes: int
    merges_profiles: bool


def is_gang(root: Node) -> bool:
    """Whether the stage that ends with this node is a gang; BarrierError when it is one that cannot be."""
    stage = _within(root)
    for node in stage:
        if node.barrier:
            break
    else:
        return False
    tasks = root.partitions
    for node in stage:
        if node.partitions != tasks:
            raise BarrierError(
                f"{root.operation} at {root.site} and {node.operation} at {node.site} are in one barrier stage and "
                f"have {tasks} and {node.partitions} partitions: its tasks run together, one for each partition of "
                "both. Use repartition() for coalesce(), and put it before a union(). (SS107)"
            )
        if len(node.dependencies) > 1 and sum(map(is_made_together, _narrow(node))) > 1:
            raise BarrierError(
                f"{node.operation} at {node.site} brings two barrier RDDs into one stage, which can wait for one "
                "barrier only. Put a shuffle between them, such as repartition(). (SS107)"
            )
    if tasks > GANG_MOST:
        raise BarrierError(f"A barrier stage has {GANG_MOST} tasks at most, {root.operation} has {tasks}. (SS107)")
    return True


def check_wanted(spec: StageSpec, partitions: int) -> None:
    """Raise BarrierError if an action wants a part of a gang."""
    if spec.gang and partitions != spec.partitions:
        raise BarrierError(
            f"The action wants {partitions} of the {spec.partitions} partitions of {spec.name} at {spec.site}, which "
            "is in a barrier stage: all its tasks run together. Use collect()[0] for first(), collect() for take(). "
            "(SS107)"
        )


def profiles_of(root: Node) -> tuple[ResourceProfile, ...]:
    """The resource profiles of the RDDs in the stage that ends with this node."""
    return tuple(dict.fromkeys([node.profile for node in _within(root) if node.profile is not None]))


def is_made_together(root: Node) -> bool:
    """Whether the tasks of the stage that ends with this node run all at once."""
    return any(node.barrier for node in _within(root))


def _narrow(node: Node) -> Iterator[Node]:
    return (below.node for below in node.dependencies if not isinstance(below, ShuffleDependency))


def _within(root: Node) -> list[Node]:
    """The nodes of the stage, each once."""
    nodes: list[Node] = []
    seen = {root}
    stack = [root]
    while stack:
        node = stack.pop()
        nodes.append(node)
        if node.dependencies:
            below = [each for each in _narrow(node) if each not in seen]
            seen.update(below)
            stack.extend(dict.fromkeys(below))
    return nodes


def fitted(spec: StageSpec, profiles: tuple[ResourceProfile, ...], offer: Offer) -> StageSpec:
    """The stage with the slots that each of its tasks takes; NotEnoughResources when they can never be had."""
    profile = _one(spec, profiles, offer)
    amount = offer.task_cpus
    if profile is not None:
        _check_profile(spec, profile, offer)
        wanted = profile.taskResources.get("cpus")
        amount = amount if wanted is None else f"{wanted.amount:g}"
    cpus = 1 if amount == "1" else _whole(amount)
    where = f"Stage {spec.stage} ({spec.name} at {spec.site})"
    if cpus > offer.slots_per_executor:
        raise NotEnoughResources(
            f"{where} needs {amount} cpus for each task, an executor of {offer.master} has {offer.slots_per_executor}. "
            f"{_more_cores(offer, cpus)} (SS204)"
        )
    room = offer.most_slots // offer.slots_per_executor * (offer.slots_per_executor // cpus)
    if spec.gang and offer.most_slots and spec.partitions > room:
        raise NotEnoughResources(
            f"{where} is a barrier stage and needs {spec.partitions * cpus} slots at once, {offer.master} has "
            f"{offer.most_slots}. Use fewer partitions (repartition before barrier()) or more cores. (SS204)"
        )
    return spec if amount == "1" else spec._replace(cpus=cpus, cpu_amount=amount)


def _more_cores(offer: Offer, cpus: int) -> str:
    if offer.master.startswith("local["):
        return f"Set spark.task.cpus={cpus}, for all tasks, and have as many cores."
    return f"Set spark.executor.cores={cpus}."


def _whole(amount: str) -> int:
    return -int(-float(amount) // 1)


def _one(spec: StageSpec, profiles: tuple[ResourceProfile, ...], offer: Offer) -> ResourceProfile | None:
    if len(profiles) < 2:
        return profiles[0] if profiles else None
    if not offer.merges_profiles:
        raise UserError(
            f"Stage {spec.stage} ({spec.name} at {spec.site}) has RDDs with {len(profiles)} resource profiles. Give "
            "them one, or set spark.scheduler.resource.profileMergeConflicts=true: the most of each counts. (SS100)"
        )
    from simspark.publib.resource_profiles import merged

    return merged(iter(profiles))


def _check_profile(spec: StageSpec, profile: ResourceProfile, offer: Offer) -> None:
    """The application's executors must have what the profile wants; they are all alike."""
    from simspark.publib.resource_profiles import CORES, CPUS, MEMORIES

    where = f"The resource profile of stage {spec.stage} ({spec.name} at {spec.site})"
    amounts = {name: request.amount for name, request in profile.executorResources.items()}
    for name, amount in [*amounts.items(), *((name, each.amount) for name, each in profile.taskResources.items())]:
        if name not in (CORES, CPUS, *MEMORIES):
            raise NotEnoughResources(
                f"{where} asks for {amount:g} {name}, which no worker offers: simspark schedules cores and "
                "memory. (SS204)"
            )
    cores = amounts.get(CORES, 0)
    if cores > offer.slots_per_executor:
        raise NotEnoughResources(
            f"{where} asks for executors with {cores} cores, those of {offer.master} have "
            f"{offer.slots_per_executor}. {_more_cores(offer, cores)} (SS204)"
        )
    memory = sum(amount for name, amount in amounts.items() if name in MEMORIES)
    if offer.executor_memory_bytes and memory * MIB > offer.executor_memory_bytes:
        raise NotEnoughResources(
            f"{where} asks for executors with {memory} MiB, those of {offer.master} have "
            f"{offer.executor_memory_bytes // MIB} MiB. Set spark.executor.memory={memory}m. (SS204)"
        )
