"""What an RDD's tasks, and the executors that run them, need: the values behind ``simspark.resource``.

A profile is a wish, made of requests by name; what becomes of it is decided in the driver (``driver/needs.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import ClassVar

CPUS = "cpus"
CORES = "cores"
MEMORIES = ("memory", "memoryOverhead", "pyspark.memory", "offHeap")
_UNITS_MIB = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1 << 20}


class ExecutorResourceRequest:
    """One thing that an executor must have: ``amount`` of ``resourceName``; memory in MiB.

    >>> from simspark.resource import ExecutorResourceRequest
    >>> ExecutorResourceRequest("cores", 2).amount
    2
    """

    def __init__(self, resourceName: str, amount: int, discoveryScript: str = "", vendor: str = "") -> None:
        self._name = resourceName
        self._amount = amount
        self._discovery_script = discoveryScript
        self._vendor = vendor

    @property
    def resourceName(self) -> str:
        """What is asked for.

        >>> from simspark.resource import ExecutorResourceRequest
        >>> ExecutorResourceRequest("gpu", 1).resourceName
        'gpu'
        """
        return self._name

    @property
    def amount(self) -> int:
        """How much of it; memory in MiB.

        >>> from simspark.resource import ExecutorResourceRequest
        >>> ExecutorResourceRequest("memory", 512).amount
        512
        """
        return self._amount

    @property
    def discoveryScript(self) -> str:
        """The script that finds the resource on a machine; kept, and not run here.

        >>> from simspark.resource import ExecutorResourceRequest
        >>> ExecutorResourceRequest("gpu", 1, "/opt/gpus.sh").discoveryScript
        '/opt/gpus.sh'
        """
        return self._discovery_script

    @property
    def vendor(self) -> str:
        """Whose product it is; kept for programs written for Spark.

        >>> from simspark.resource import ExecutorResourceRequest
        >>> ExecutorResourceRequest("gpu", 1, vendor="nvidia.com").vendor
        'nvidia.com'
        """
        return self._vendor


class ExecutorResourceRequests:
    """What each executor must have: give the methods one after another.

    >>> from simspark.resource import ExecutorResourceRequests
    >>> wanted = ExecutorResourceRequests().cores(2).memory("1g")
    >>> {name: request.amount for name, request in wanted.requests.items()}
    {'cores': 2, 'memory': 1024}
    """

    def __init__(self, _jvm: object = None, _requests: dict[str, ExecutorResourceRequest] | None = None) -> None:
        self._executor_resources: dict[str, ExecutorResourceRequest] = dict(_requests or {})

    def memory(self, amount: str) -> ExecutorResourceRequests:
        """So much memory: a size such as "512m" or "2g". Raises ValueError for others.

        >>> from simspark.resource import ExecutorResourceRequests
        >>> ExecutorResourceRequests().memory("2g").requests["memory"].amount
        2048
        """
        return self._ask("memory", parse_memory(amount))

    def memoryOverhead(self, amount: str) -> ExecutorResourceRequests:
        """So much memory beside the rows.

        >>> from simspark.resource import ExecutorResourceRequests
        >>> ExecutorResourceRequests().memoryOverhead("512m").requests["memoryOverhead"].amount
        512
        """
        return self._ask("memoryOverhead", parse_memory(amount))

    def pysparkMemory(self, amount: str) -> ExecutorResourceRequests:
        """So much memory for Python; an executor here is Python, so it adds to the rest.

        >>> from simspark.resource import ExecutorResourceRequests
        >>> ExecutorResourceRequests().pysparkMemory("1g").requests["pyspark.memory"].amount
        1024
        """
        return self._ask("pyspark.memory", parse_memory(amount))

    def offheapMemory(self, amount: str) -> ExecutorResourceRequests:
        """So much memory outside a heap; there is none here, so it adds to the rest.

        >>> from simspark.resource import ExecutorResourceRequests
        >>> ExecutorResourceRequests().offheapMemory("1g").requests["offHeap"].amount
        1024
        """
        return self._ask("offHeap", parse_memory(amount))

    def cores(self, amount: int) -> ExecutorResourceRequests:
        """So many cores.

        >>> from simspark.resource import ExecutorResourceRequests
        >>> ExecutorResourceRequests().cores(4).requests["cores"].amount
        4
        """
        return self._ask(CORES, amount)

    def resource(self, resourceName: str, amount: int, discoveryScript: str = "",
                 vendor: str = "") -> ExecutorResourceRequests:
        """So much of something else, such as "gpu".

        >>> from simspark.resource import ExecutorResourceRequests
        >>> ExecutorResourceRequests().resource("gpu", 2).requests["gpu"].amount
        2
        """
        self._executor_resources[resourceName] = ExecutorResourceRequest(
            resourceName, amount, discoveryScript, vendor
        )
        return self

    @property
    def requests(self) -> dict[str, ExecutorResourceRequest]:
        """All that was asked for, by name.

        >>> from simspark.resource import ExecutorResourceRequests
        >>> sorted(ExecutorResourceRequests().cores(4).memory("1g").requests)
        ['cores', 'memory']
        """
        return self._executor_resources

    def _ask(self, name: str, amount: int) -> ExecutorResourceRequests:
        self._executor_resources[name] = ExecutorResourceRequest(name, amount)
        return self


class TaskResourceRequest:
    """One thing that a task takes of its executor: ``amount`` of ``resourceName``.

    >>> from simspark.resource import TaskResourceRequest
    >>> TaskResourceRequest("cpus", 2).amount
    2.0
    """

    def __init__(self, resourceName: str, amount: float) -> None:
        self._name = resourceName
        self._amount = float(amount)

    @property
    def resourceName(self) -> str:
        """What is asked for.

        >>> from simspark.resource import TaskResourceRequest
        >>> TaskResourceRequest("cpus", 1).resourceName
        'cpus'
        """
        return self._name

    @property
    def amount(self) -> float:
        """How much of it.

        >>> from simspark.resource import TaskResourceRequest
        >>> TaskResourceRequest("cpus", 0.5).amount
        0.5
        """
        return self._amount


class TaskResourceRequests:
    """What each task takes of its executor: give the methods one after another.

    >>> from simspark.resource import TaskResourceRequests
    >>> TaskResourceRequests().cpus(2).requests["cpus"].amount
    2.0
    """

    def __init__(self, _jvm: object = None, _requests: dict[str, TaskResourceRequest] | None = None) -> None:
        self._task_resources: dict[str, TaskResourceRequest] = dict(_requests or {})

    def cpus(self, amount: float) -> TaskResourceRequests:
        """So many cores. A task takes whole slots: 0.5 takes one, 1.5 takes two.

        >>> from simspark.resource import TaskResourceRequests
        >>> TaskResourceRequests().cpus(1).requests["cpus"].amount
        1.0
        """
        self._task_resources[CPUS] = TaskResourceRequest(CPUS, amount)
        return self

    def resource(self, resourceName: str, amount: float) -> TaskResourceRequests:
        """So much of something else, such as "gpu".

        >>> from simspark.resource import TaskResourceRequests
        >>> TaskResourceRequests().resource("gpu", 0.5).requests["gpu"].amount
        0.5
        """
        self._task_resources[resourceName] = TaskResourceRequest(resourceName, amount)
        return self

    @property
    def requests(self) -> dict[str, TaskResourceRequest]:
        """All that was asked for, by name.

        >>> from simspark.resource import TaskResourceRequests
        >>> list(TaskResourceRequests().cpus(2).requests)
        ['cpus']
        """
        return self._task_resources


class ResourceProfile:
    """What an RDD's tasks and their executors need, for ``RDD.withResources``. Made by ResourceProfileBuilder.

    >>> from simspark.resource import ResourceProfileBuilder, TaskResourceRequests
    >>> profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(1)).build
    >>> sorted(profile.taskResources), profile.executorResources
    (['cpus'], {})
    """

    _next_id: ClassVar[Callable[[], int]] = count(1).__next__
    _java_resource_profile: ClassVar[None] = None
    """Where PySpark looks for Spark's own profile; finding none, it makes one of the requests."""

    def __init__(self, _java_resource_profile: object = None,
                 _exec_req: dict[str, ExecutorResourceRequest] | None = None,
                 _task_req: dict[str, TaskResourceRequest] | None = None) -> None:
        self._id = ResourceProfile._next_id()
        self._executor_resource_requests = dict(_exec_req or {})
        self._task_resource_requests = dict(_task_req or {})

    @property
    def id(self) -> int:
        """A number that no other profile of this program has.

        >>> from simspark.resource import ResourceProfileBuilder
        >>> ResourceProfileBuilder().build.id < ResourceProfileBuilder().build.id
        True
        """
        return self._id

    @property
    def taskResources(self) -> dict[str, TaskResourceRequest]:
        """What each task takes, by name.

        >>> from simspark.resource import ResourceProfileBuilder, TaskResourceRequests
        >>> profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
        >>> profile.taskResources["cpus"].amount
        2.0
        """
        return self._task_resource_requests

    @property
    def executorResources(self) -> dict[str, ExecutorResourceRequest]:
        """What each executor must have, by name.

        >>> from simspark.resource import ExecutorResourceRequests, ResourceProfileBuilder
        >>> profile = ResourceProfileBuilder().require(ExecutorResourceRequests().cores(2)).build
        >>> profile.executorResources["cores"].amount
        2
        """
        return self._executor_resource_requests


class ResourceProfileBuilder:
    """Collects requests and makes a profile of them.

    >>> from simspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests
    >>> builder = ResourceProfileBuilder().require(ExecutorResourceRequests().cores(2))
    >>> sorted(builder.require(TaskResourceRequests().cpus(2)).build.executorResources)
    ['cores']
    """

    def __init__(self) -> None:
        self._executor_resource_requests: dict[str, ExecutorResourceRequest] = {}
        self._task_resource_requests: dict[str, TaskResourceRequest] = {}

    def require(self, resourceRequest: ExecutorResourceRequests | TaskResourceRequests) -> ResourceProfileBuilder:
        """Add requests; one of the same name replaces the one before.

        Raises ValueError for an amount of cores that cannot be.

        >>> from simspark.resource import ResourceProfileBuilder, TaskResourceRequests
        >>> builder = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2))
        >>> builder.require(TaskResourceRequests().cpus(3)).taskResources["cpus"].amount
        3.0
        """
        if isinstance(resourceRequest, TaskResourceRequests):
            for request in resourceRequest.requests.values():
                _check_amount(request)
            self._task_resource_requests.update(resourceRequest.requests)
        else:
            self._executor_resource_requests.update(resourceRequest.requests)
        return self

    def clearExecutorResourceRequests(self) -> None:
        """Begin anew with the requests for executors.

        >>> from simspark.resource import ExecutorResourceRequests, ResourceProfileBuilder
        >>> builder = ResourceProfileBuilder().require(ExecutorResourceRequests().cores(2))
        >>> builder.clearExecutorResourceRequests()
        >>> builder.executorResources
        {}
        """
        self._executor_resource_requests = {}

    def clearTaskResourceRequests(self) -> None:
        """Begin anew with the requests for tasks.

        >>> from simspark.resource import ResourceProfileBuilder, TaskResourceRequests
        >>> builder = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2))
        >>> builder.clearTaskResourceRequests()
        >>> builder.taskResources
        {}
        """
        self._task_resource_requests = {}

    @property
    def taskResources(self) -> dict[str, TaskResourceRequest]:
        """The requests for tasks so far.

        >>> from simspark.resource import ResourceProfileBuilder, TaskResourceRequests
        >>> list(ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).taskResources)
        ['cpus']
        """
        return self._task_resource_requests

    @property
    def executorResources(self) -> dict[str, ExecutorResourceRequest]:
        """The requests for executors so far.

        >>> from simspark.resource import ExecutorResourceRequests, ResourceProfileBuilder
        >>> list(ResourceProfileBuilder().require(ExecutorResourceRequests().cores(2)).executorResources)
        ['cores']
        """
        return self._executor_resource_requests

    @property
    def build(self) -> ResourceProfile:
        """The profile.

        >>> from simspark.resource import ResourceProfileBuilder
        >>> profile = ResourceProfileBuilder().build
        >>> profile.taskResources, profile.executorResources
        ({}, {})
        """
        return ResourceProfile(
            _exec_req=self._executor_resource_requests, _task_req=self._task_resource_requests
        )


class ResourceInformation:
    """A resource that a task or the driver was given: its name and the addresses, such as the numbers of GPUs.

    >>> from simspark.resource import ResourceInformation
    >>> ResourceInformation("gpu", ["0", "1"]).addresses
    ['0', '1']
    """

    def __init__(self, name: str, addresses: list[str]) -> None:
        self._name = name
        self._addresses = addresses

    @property
    def name(self) -> str:
        """The resource's name.

        >>> from simspark.resource import ResourceInformation
        >>> ResourceInformation("gpu", ["0"]).name
        'gpu'
        """
        return self._name

    @property
    def addresses(self) -> list[str]:
        """Where it is, as text.

        >>> from simspark.resource import ResourceInformation
        >>> ResourceInformation("gpu", ["0"]).addresses
        ['0']
        """
        return self._addresses


def parse_memory(text: str) -> int:
    """MiB in "512m", "2g", "1t" or "1024k". Raises ValueError for anything else."""
    unit = text[-1:].lower()
    if unit not in _UNITS_MIB:
        raise ValueError(f"invalid format: {text}")
    return int(float(text[:-1]) * _UNITS_MIB[unit])


def merged(profiles: Iterator[ResourceProfile]) -> ResourceProfile:
    """The most of everything that several profiles ask for."""
    executor: dict[str, ExecutorResourceRequest] = {}
    task: dict[str, TaskResourceRequest] = {}
    for profile in profiles:
        for name, request in profile.executorResources.items():
            if name not in executor or request.amount > executor[name].amount:
                executor[name] = request
        for name, wanted in profile.taskResources.items():
            if name not in task or wanted.amount > task[name].amount:
                task[name] = wanted
    return ResourceProfile(_exec_req=executor, _task_req=task)


def _check_amount(request: TaskResourceRequest) -> None:
    if request.resourceName == CPUS and not 1e-9 <= request.amount <= 0x7FFFFFFF:
        raise ValueError(f"The cpus amount {request.amount} must be at least 1e-9 and at most 2147483647.")
