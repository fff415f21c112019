"""What user functions share with the driver and with the engine: broadcasts and accumulators.

A task runs in one thread from its start to its end, so "the task that runs here" is a thread's own variable;
``swap_task`` sets it. A thread that a user function starts has no task.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import IO, Any, Generic, Protocol, TypeVar

from simspark.publib.errors import UserError
from simspark.publib.lineage.task import TaskRun
from simspark.publib.wire import payload

T = TypeVar("T")
U = TypeVar("U")


class _Running(threading.local):
    task: TaskRun | None = None


_RUNNING = _Running()


def current_task() -> TaskRun | None:
    """The task that runs in this thread, if one does."""
    return _RUNNING.task


def swap_task(task: TaskRun | None) -> TaskRun | None:
    """Make ``task`` the one that runs in this thread; returns the one before."""
    before, _RUNNING.task = _RUNNING.task, task
    return before


class BroadcastOwner(Protocol):
    """The driver's side of broadcasts. Called by user threads; ``blocking`` waits for the executors."""

    def unpersist_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        """Drop the executors' copies."""
        ...

    def destroy_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        """Drop everything of it."""
        ...


class BroadcastValues:
    """The values of broadcasts that this process has read; any task thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # unpickling a value may read another broadcast
        self._values: dict[int, Any] = {}
        self._reader: Callable[[int, int], Any] | None = None

    def install(self, reader: Callable[[int, int], Any] | None) -> None:
        """Say how to read one: ``reader(broadcast id, number of pieces) -> value``. Forgets all values."""
        with self._lock:
            self._reader = reader
            self._values.clear()

    def get(self, broadcast_id: int, pieces: int) -> Any:
        """The value, read at most once. Raises what the reader raises."""
        with self._lock:
            if broadcast_id not in self._values:
                self._values[broadcast_id] = self.read(broadcast_id, pieces)
            return self._values[broadcast_id]

    def read(self, broadcast_id: int, pieces: int) -> Any:
        """The value, read for the caller alone."""
        with self._lock:
            reader = self._reader
        if reader is None:
            raise UserError(f"broadcast {broadcast_id} cannot be read in this process")
        return reader(broadcast_id, pieces)

    def forget(self, broadcast_id: int) -> None:
        """Drop a value; it is read anew when asked for again."""
        with self._lock:
            self._values.pop(broadcast_id, None)


BROADCAST_VALUES = BroadcastValues()


class _Pickled(threading.local):
    lifelines: list[object] | None = None


_PICKLED = _Pickled()


class PickledBroadcasts:
    """The lifelines of the broadcasts that this thread pickles meanwhile: what holds the pickle must hold them."""

    __slots__ = ("_before",)

    def __enter__(self) -> list[object]:
        lifelines: list[object] = []
        self._before, _PICKLED.lifelines = _PICKLED.lifelines, lifelines
        return lifelines

    def __exit__(self, *_: object) -> None:
        _PICKLED.lifelines = self._before


class Broadcast(Generic[T]):
    """A read-only value that every task can see and each machine holds once. Made by SparkContext.broadcast.

    It travels as its number; ``value`` is read when a task first asks. When nothing of the program refers to it any
    more, the copies are dropped as by ``destroy``.

    >>> prices = sc.broadcast({"tea": 2, "cake": 3})
    >>> sc.parallelize(["cake", "tea", "cake"]).map(lambda order: prices.value[order]).collect()
    [3, 2, 3]
    """

    def __init__(self, broadcast_id: int, pieces: int, value: T, owner: BroadcastOwner,
                 lifeline: object = None) -> None:
        self.id = broadcast_id
        self._pieces = pieces
        self._value: T | None = value
        self._owner: BroadcastOwner | None = owner
        self._lifeline = lifeline
        self._destroyed = False

    @property
    def value(self) -> T:
        """The value. Raises UserError once the broadcast is destroyed.

        >>> sc.broadcast([1, 2]).value
        [1, 2]
        """
        self._refuse_if_destroyed("read")
        if self._owner is not None:
            return self._value  # type: ignore[return-value]
        value: T = BROADCAST_VALUES.get(self.id, self._pieces)
        return value

    def unpersist(self, blocking: bool = False) -> None:
        """Drop the copies on executors; a task that needs the value again fetches it again. Driver only.

        >>> table = sc.broadcast([1, 2])
        >>> table.unpersist()
        >>> sc.parallelize([0, 1]).map(lambda index: table.value[index]).collect()
        [1, 2]
        """
        self._refuse_if_destroyed("unpersisted")
        self._driver_side("unpersisted").unpersist_broadcast(self.id, blocking)

    def destroy(self, blocking: bool = False) -> None:
        """Drop the value everywhere, for good. Driver only.

        >>> table = sc.broadcast([1, 2])
        >>> table.destroy()
        >>> table.value
        Traceback (most recent call last):
        simspark.publib.errors.UserError: broadcast ... was destroyed and cannot be read
        """
        self._refuse_if_destroyed("destroyed again")
        self._driver_side("destroyed").destroy_broadcast(self.id, blocking)
        self._destroyed = True
        self._value = None

    def dump(self, value: T, f: IO[bytes]) -> None:
        """Pickle a value into a file, which it closes.

        >>> import os, tempfile
        >>> table = sc.broadcast({})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = os.path.join(directory, "table")
        ...     table.dump({"a": 1}, open(path, "wb"))
        ...     table.load_from_path(path)
        {'a': 1}
        """
        with f:
            f.write(payload.dump(value))

    def load(self, file: IO[bytes]) -> T:
        """Unpickle the value that ``dump`` wrote.

        >>> import io, pickle
        >>> sc.broadcast([]).load(io.BytesIO(pickle.dumps([1, 2])))
        [1, 2]
        """
        value: T = payload.load(file.read())
        return value

    def load_from_path(self, path: str) -> T:
        """Unpickle the value that ``dump`` wrote into the file of this path.

        >>> import pickle, tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(pickle.dumps("x"))
        ...     file.flush()
        ...     sc.broadcast("").load_from_path(file.name)
        'x'
        """
        with open(path, "rb") as file:
            return self.load(file)

    def _driver_side(self, operation: str) -> BroadcastOwner:
        if self._owner is None:
            raise RuntimeError(f"Broadcast can only be {operation} in driver.")
        return self._owner

    def _refuse_if_destroyed(self, use: str) -> None:
        if self._destroyed:
            raise UserError(f"broadcast {self.id} was destroyed and cannot be {use}")

    def __reduce__(self) -> Any:
        self._refuse_if_destroyed("used in a task")
        if _PICKLED.lifelines is not None:
            _PICKLED.lifelines.append(self._lifeline)
        return _arrived_broadcast, (self.id, self._pieces)

    def __repr__(self) -> str:
        return f"Broadcast({self.id})"


def _arrived_broadcast(broadcast_id: int, pieces: int) -> Broadcast[Any]:
    broadcast: Broadcast[Any] = Broadcast.__new__(Broadcast)
    broadcast.id = broadcast_id
    broadcast._pieces = pieces
    broadcast._value = broadcast._owner = broadcast._lifeline = None
    broadcast._destroyed = False
    return broadcast


class AccumulatorParam(Generic[T]):
    """How values of a type accumulate: subclass it for types that ``+`` does not add.

    >>> from simspark import AccumulatorParam
    >>> class Union(AccumulatorParam):
    ...     def zero(self, value):
    ...         return set()
    ...     def addInPlace(self, value1, value2):
    ...         return value1 | value2
    >>> seen = sc.accumulator(set(), Union())
    >>> sc.parallelize("abba").foreach(lambda letter: seen.add({letter}))
    >>> sorted(seen.value)
    ['a', 'b']
    """

    def zero(self, value: T) -> T:
        """A neutral value of the same shape as ``value``. To be written by a subclass.

        >>> from simspark.accumulators import FLOAT_ACCUMULATOR_PARAM
        >>> FLOAT_ACCUMULATOR_PARAM.zero(7.5)
        0.0
        """
        raise NotImplementedError

    def addInPlace(self, value1: T, value2: T) -> T:
        """The sum of two values; may change and return the first. To be written by a subclass.

        >>> from simspark.accumulators import INT_ACCUMULATOR_PARAM
        >>> INT_ACCUMULATOR_PARAM.addInPlace(1, 2)
        3
        """
        raise NotImplementedError


class AddingAccumulatorParam(AccumulatorParam[U]):
    """Accumulates with ``+=`` from a given zero: for int, float and complex, and what adds as they do.

    >>> from simspark.accumulators import AddingAccumulatorParam
    >>> words = sc.accumulator([], AddingAccumulatorParam([]))
    >>> words += ["a"]
    >>> words.value
    ['a']
    """

    def __init__(self, zero_value: U) -> None:
        self.zero_value = zero_value

    def zero(self, value: U) -> U:
        """The zero that it was made with.

        >>> from simspark.accumulators import AddingAccumulatorParam
        >>> AddingAccumulatorParam(0).zero(5)
        0
        """
        return self.zero_value

    def addInPlace(self, value1: U, value2: U) -> U:
        """The sum.

        >>> from simspark.accumulators import AddingAccumulatorParam
        >>> AddingAccumulatorParam(0).addInPlace(2, 3)
        5
        """
        value1 += value2  # type: ignore[operator]
        return value1


INT_ACCUMULATOR_PARAM = AddingAccumulatorParam(0)
FLOAT_ACCUMULATOR_PARAM = AddingAccumulatorParam(0.0)
COMPLEX_ACCUMULATOR_PARAM = AddingAccumulatorParam(0.0j)


def accumulator_param_for(value: Any) -> AccumulatorParam[Any]:
    """The param of a plain number. Raises TypeError for other types, which need one of their own."""
    for kind, param in ((int, INT_ACCUMULATOR_PARAM), (float, FLOAT_ACCUMULATOR_PARAM),
                        (complex, COMPLEX_ACCUMULATOR_PARAM)):
        if isinstance(value, kind):
            return param
    raise TypeError(f"No default accumulator param for type {type(value)}: pass accum_param, an AccumulatorParam")


class Accumulator(Generic[T]):
    """A sum that tasks add to and only the driver reads. Made by SparkContext.accumulator.

    In a task, ``add`` and ``+=`` add to what this attempt brings home when it is committed; in the driver they
    change the value.

    >>> blank = sc.accumulator(0)
    >>> def words(line):
    ...     blank.add(not line)
    ...     return line.split()
    >>> sc.parallelize(["to be", "", "or not"]).flatMap(words).count()
    4
    >>> blank.value
    1
    """

    def __init__(self, aid: int, value: T, accum_param: AccumulatorParam[T]) -> None:
        self.aid = aid
        self.accum_param = accum_param
        self._value = value
        self._in_driver = True
        self._lock: threading.Lock | None = threading.Lock()

    @property
    def value(self) -> T:
        """The sum so far. Raises RuntimeError in a task.

        >>> total = sc.accumulator(5)
        >>> total.value = 7
        >>> total.value
        7
        """
        if not self._in_driver:
            raise RuntimeError("Accumulator.value cannot be accessed inside tasks")
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        if not self._in_driver:
            raise RuntimeError("Accumulator.value cannot be accessed inside tasks")
        self._value = value

    def add(self, term: T) -> None:
        """Add a term.

        >>> total = sc.accumulator(1.5)
        >>> sc.parallelize([1.0, 2.0], 2).foreach(total.add)
        >>> total.value
        4.5
        """
        if self._in_driver:
            self.merge(term)
            return
        task = current_task()
        if task is None:
            raise RuntimeError("an accumulator was added to in a thread that runs no task")
        sums = task.accumulated
        before = sums[self.aid] if self.aid in sums else self.accum_param.zero(self._value)
        sums[self.aid] = self.accum_param.addInPlace(before, term)

    def merge(self, update: T) -> None:
        """Add what a task brought home (TaskRun.accumulated[aid]). Driver only; any thread.

        >>> total = sc.accumulator(1)
        >>> total.merge(2)
        >>> total.value
        3
        """
        assert self._lock is not None
        with self._lock:
            self._value = self.accum_param.addInPlace(self._value, update)

    def __iadd__(self, term: T) -> Accumulator[T]:
        """Add a term: ``accumulator += term``.

        >>> total = sc.accumulator(1)
        >>> total += 2
        >>> total.value
        3
        """
        self.add(term)
        return self

    def __reduce__(self) -> Any:
        zero = self.accum_param.zero(self._value)
        return _arrived_accumulator, (self.aid, zero, self.accum_param)

    def __str__(self) -> str:
        return str(self._value)

    def __repr__(self) -> str:
        return f"Accumulator<id={self.aid}, value={self._value}>"


def _arrived_accumulator(aid: int, zero: Any, param: AccumulatorParam[Any]) -> Accumulator[Any]:
    accumulator: Accumulator[Any] = Accumulator.__new__(Accumulator)
    accumulator.aid = aid
    accumulator.accum_param = param
    accumulator._value = zero
    accumulator._in_driver = False
    accumulator._lock = None
    return accumulator


class ResultIterable(Iterable[T]):
    """The values of one key, to be read as often as needed.

    >>> key, values = sc.parallelize([("a", 1), ("a", 2)]).groupByKey().first()
    >>> len(values), list(values), sum(values)
    (2, [1, 2], 3)
    """

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def index(self) -> int:
        """Where reading begins.

        >>> sc.parallelize([("a", 1), ("a", 2)]).groupByKey().values().first().index
        0
        """
        return 0

    @property
    def maxindex(self) -> int:
        """How many values.

        >>> sc.parallelize([("a", 1), ("a", 2)]).groupByKey().values().first().maxindex
        2
        """
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


_set_data = ResultIterable.__dict__["data"].__set__


def result_iterables(groups: Sequence[Any]) -> list[ResultIterable[Any]]:
    """A ResultIterable of each of many groups, without a call of ``__init__`` for each."""
    made = list(map(object.__new__, repeat(ResultIterable, len(groups))))
    deque(map(_set_data, made, groups), maxlen=0)
    return made
