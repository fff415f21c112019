"""What a user function may ask about the task that runs it, and how tasks of a barrier stage meet.

A context is plain values, so it can be returned from a task; the place in a gang stays behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from simspark.publib.errors import BarrierError
from simspark.publib.lineage.shared import current_task
from simspark.publib.spark_tasks import spark_task_context

if TYPE_CHECKING:
    from decimal import Decimal

    from simspark.publib.lineage.task import Gang, TaskRun
    from simspark.publib.resource_profiles import ResourceInformation


class TaskContext:
    """What a user function may ask about the task that runs it.

    >>> from simspark import TaskContext
    >>> sc.parallelize([1, 2], 2).map(lambda _: TaskContext.get().partitionId()).collect()
    [0, 1]
    """

    _attemptNumber: int | None = None
    _partitionId: int | None = None
    _stageId: int | None = None
    _taskAttemptId: int | None = None
    _localProperties: dict[str, str] | None = None
    _cpus: int | None = None
    _cpuAmount: Decimal | None = None
    _resources: dict[str, ResourceInformation] | None = None

    def __new__(cls, **kwargs: Any) -> Self:
        """A context of these values; without any, that of the task that runs here, if one does."""
        known = None if kwargs else _here()
        return known if isinstance(known, cls) else object.__new__(cls)

    def __init__(self, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            if not hasattr(type(self), f"_{name}"):
                raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}")
            if value is not None:
                setattr(self, f"_{name}", value)

    @classmethod
    def get(cls) -> TaskContext | None:
        """Return the context of the task that runs in this thread; None in the driver.

        In a task of a barrier stage it is a BarrierTaskContext; in a worker of Spark's, Spark's own.

        >>> from simspark import TaskContext
        >>> TaskContext.get() is None
        True
        """
        known = _here()
        if known is None:
            known = spark_task_context()
        return known

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return a context of these values, by PySpark's names for them.

        >>> from simspark import TaskContext
        >>> TaskContext.from_json({"stageId": 3, "partitionId": 1, "attemptNumber": 0, "taskAttemptId": 7,
        ...                        "cpus": 1, "resources": {}, "localProperties": {}}).taskAttemptId()
        7
        """
        from decimal import Decimal

        from simspark.publib.resource_profiles import ResourceInformation

        return cls(
            stageId=json["stageId"], partitionId=json["partitionId"], attemptNumber=json["attemptNumber"],
            taskAttemptId=json["taskAttemptId"], cpus=json["cpus"],
            cpuAmount=Decimal(json["cpuAmount"]) if "cpuAmount" in json else None,
            resources={
                key: ResourceInformation(value["name"], value["addresses"])
                for key, value in json["resources"].items()
            },
            localProperties=json["localProperties"],
        )  # fmt: skip

    def stageId(self) -> int:
        """Return which stage the task belongs to.

        >>> from simspark import TaskContext
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().stageId() >= 0).first()
        True
        """
        return self._stageId  # type: ignore[return-value]

    def partitionId(self) -> int:
        """Return which partition of the stage this task computes.

        >>> from simspark import TaskContext
        >>> sc.parallelize("ab", 2).map(lambda letter: (letter, TaskContext.get().partitionId())).collect()
        [('a', 0), ('b', 1)]
        """
        return self._partitionId  # type: ignore[return-value]

    def attemptNumber(self) -> int:
        """Return how many times this task was tried before: 0 at the first attempt.

        All tasks of a barrier stage have the same number: how often the stage began anew.

        >>> from simspark import TaskContext
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().attemptNumber()).first()
        0
        """
        return self._attemptNumber  # type: ignore[return-value]

    def taskAttemptId(self) -> int:
        """Return a number that no other attempt of the application has.

        >>> from simspark import TaskContext
        >>> ids = sc.parallelize([1, 2], 2).map(lambda _: TaskContext.get().taskAttemptId()).collect()
        >>> ids[0] != ids[1]
        True
        """
        return self._taskAttemptId  # type: ignore[return-value]

    def getLocalProperty(self, key: str) -> str | None:
        """Return a property that the thread of the driver which started the job had set, or None.

        >>> from simspark import TaskContext
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().getLocalProperty("no such")).first() is None
        True
        """
        return (self._localProperties or {}).get(key)

    def cpus(self) -> int:
        """Return how many cores the task has: spark.task.cpus, or what its resource profile asks for, rounded up.

        >>> from simspark import TaskContext
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().cpus()).first()
        1
        """
        return self._cpus  # type: ignore[return-value]

    def cpuAmount(self) -> Decimal:
        """Return how many cores were asked for, exactly.

        >>> from simspark import TaskContext
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().cpuAmount()).first()
        Decimal('1')
        """
        return self._cpuAmount  # type: ignore[return-value]

    def resources(self) -> dict[str, ResourceInformation]:
        """Return the task's resources beside cores, by name; no worker offers any.

        >>> from simspark import TaskContext
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().resources()).first()
        {}
        """
        return self._resources  # type: ignore[return-value]

    def __reduce__(self) -> Any:
        state = {name: value for name, value in vars(self).items() if name != "_gang"}
        return _arrived, (type(self), state)


class BarrierTaskContext(TaskContext):
    """The context of a task in a barrier stage: the tasks that run at the same time can wait for each other.

    Each task must make the same calls of ``barrier`` and ``allGather``, in the same order. BarrierError tells when
    they cannot meet: a task ended without coming, some called the one and some the other, or the time of
    spark.barrier.sync.timeout was up. When a task fails, all begin anew.

    >>> from simspark import BarrierTaskContext
    >>> def meet(rows):
    ...     BarrierTaskContext.get().barrier()
    ...     return rows
    >>> sc.parallelize([1, 2], 2).barrier().mapPartitions(meet).collect()
    [1, 2]
    """

    _gang: Gang | None = None

    @classmethod
    def get(cls) -> BarrierTaskContext:
        """Return the context of the task that runs in this thread. Raises BarrierError where no barrier task runs.

        >>> from simspark import BarrierTaskContext
        >>> BarrierTaskContext.get()
        Traceback (most recent call last):
        simspark.publib.errors.BarrierError: [NOT_IN_BARRIER_STAGE] It is not in a barrier stage. (SS107)
        """
        known = _here()
        if isinstance(known, BarrierTaskContext):
            return known
        if known is None:
            spark: BarrierTaskContext | None = spark_task_context("BarrierTaskContext")
            if spark is not None:
                return spark
        raise BarrierError("[NOT_IN_BARRIER_STAGE] It is not in a barrier stage. (SS107)")

    def barrier(self) -> None:
        """Wait until all tasks of the stage have come here.

        >>> from simspark import BarrierTaskContext
        >>> def wait(rows):
        ...     BarrierTaskContext.get().barrier()
        ...     return ["all were there"]
        >>> sc.range(2, numSlices=2).barrier().mapPartitions(wait).collect()
        ['all were there', 'all were there']
        """
        self._place("barrier").meet("barrier", "")

    def allGather(self, message: str = "") -> list[str]:
        """Wait until all tasks have come here, and return what each has said, by partition.

        A long text travels as a file. Raises TypeError for anything but text.

        >>> from simspark import BarrierTaskContext
        >>> def say(index, rows):
        ...     return [BarrierTaskContext.get().allGather(f"{index} is here")]
        >>> sc.range(2, numSlices=2).barrier().mapPartitionsWithIndex(say).first()
        Traceback (most recent call last):
        simspark.publib.errors.BarrierError: ...
        >>> sc.range(2, numSlices=2).barrier().mapPartitionsWithIndex(say).collect()[0]
        ['0 is here', '1 is here']
        """
        if not isinstance(message, str):
            raise TypeError("Argument `message` must be of type `str`")
        return self._place("allGather").meet("allGather", message)

    def getTaskInfos(self) -> list[BarrierTaskInfo]:
        """Return where each task of the stage runs, by partition.

        >>> from simspark import BarrierTaskContext
        >>> def hosts(rows):
        ...     return [info.address.split(":")[0] for info in BarrierTaskContext.get().getTaskInfos()]
        >>> len(sc.range(2, numSlices=1).barrier().mapPartitions(hosts).collect())
        1
        """
        return [BarrierTaskInfo(address) for address in self._place("getTaskInfos").addresses]

    def _place(self, call: str) -> Gang:
        if self._gang is None:
            raise BarrierError(
                f"[CALL_BEFORE_INITIALIZE] Not supported to call `{call}` before initializing BarrierTaskContext: use "
                "BarrierTaskContext.get() in a task of a barrier stage. (SS107)"
            )
        return self._gang


class BarrierTaskInfo:
    """Where a task of a barrier stage runs: ``address`` is host:port of its machine's data, port 0 in local mode.

    >>> from simspark import BarrierTaskInfo
    >>> BarrierTaskInfo("10.0.0.12:40123").address
    '10.0.0.12:40123'
    """

    def __init__(self, address: str) -> None:
        self.address = address


def _here() -> TaskContext | None:
    """The context of the task that runs in this thread, one and the same as long as it runs."""
    task = current_task()
    if task is None:
        return None
    if task.context is None:
        task.context = _context_of(task)
    known: TaskContext = task.context
    return known


def _context_of(task: TaskRun) -> TaskContext:
    from decimal import Decimal

    kind = TaskContext if task.gang is None else BarrierTaskContext
    context = object.__new__(kind)
    context.__init__(  # type: ignore[misc]
        stageId=task.stage_id, partitionId=task.partition, attemptNumber=task.attempt, taskAttemptId=task.task_id,
        cpus=task.cores, cpuAmount=Decimal(task.cpu_amount), resources={}, localProperties=task.properties,
    )  # fmt: skip
    if isinstance(context, BarrierTaskContext):
        context._gang = task.gang
    return context


def _arrived(kind: type[TaskContext], state: dict[str, Any]) -> TaskContext:
    context = object.__new__(kind)
    vars(context).update(state)
    return context
