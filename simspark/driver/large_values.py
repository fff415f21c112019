"""Large values that functions have captured: found in a program that has turned out large, and kept as blocks.

Only plain data is taken out of a program: bytes, text, arrays, and collections of numbers, text and such collections.
What stays is everything that could tell the difference, because a task must see exactly what it would see if the
program had been pickled as one: objects of the user's classes, collections with functions in them, and a collection
that shares a list or a dict with anything else that the program holds.

A block is named by its content. So a value that several stages or jobs have captured is written once, and one that was
changed between two jobs is another block. It goes when no program refers to it and others have been used since.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from types import FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakValueDictionary

from simspark.driver.closures import PROTOCOL, global_names, is_by_reference, slot_names
from simspark.driver.files import DriverFiles
from simspark.driver.lifeline import Forget, Lifeline, holding
from simspark.publib.blocks.segments import encode_batch
from simspark.publib.digest import blake2b
from simspark.publib.lineage.large_values import LargeValue, SplitProgram
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import payload

KEPT_BLOCKS = 16
KEPT_BYTES = 256 << 20
SEARCH_LIMIT = 20_000
DEPTH = 8
LOOK_INTO = 1000

_SHAREABLE = frozenset({bytes, str})
_MAPPINGS = frozenset({dict, OrderedDict, Counter, defaultdict})
_MUTABLE = frozenset({list, set, bytearray, deque, array, *_MAPPINGS})
_COLLECTIONS = frozenset({list, tuple, set, frozenset, deque, *_MAPPINGS})
_ATOMS = frozenset({bytes, str, int, float, complex, bool, type(None), bytearray, array})
_PLAIN_MODULES = frozenset({"datetime", "decimal", "fractions", "uuid", "numpy"})


class _Block:
    """A value in a file of the driver. Its end is the file's."""

    def __init__(self, value: LargeValue, size_bytes: int, forget: Forget) -> None:
        self.value = value
        self.size_bytes = size_bytes
        self._lifeline = Lifeline(forget, "destroyed", value.broadcast)


class _Found(NamedTuple):
    """A large value, encoded."""

    value: Any
    parts: list[bytes | memoryview]


class LargeValues:
    """Splits programs and keeps the blocks. Any user thread."""

    def __init__(self, next_id: Callable[[], int], files: DriverFiles, forget: Forget, least_bytes: int) -> None:
        self._next_id = next_id
        self._files = files
        self._forget = forget
        self._least_bytes = least_bytes
        self._lock = threading.RLock()
        self._blocks: WeakValueDictionary[bytes, _Block] = WeakValueDictionary()
        self._recent: OrderedDict[int, _Block] = OrderedDict()

    def split(self, program: Any) -> bytes | None:
        """The program pickled with its large values in blocks; None when it has none that may be taken out."""
        with self._lock:
            return self._split(program)

    def _split(self, program: Any) -> bytes | None:
        found = _unshared(_Search(self._least_bytes).found(program))
        while found:
            rest, used, held = _pickle_without(program, [id(each.value) for each in found])
            tied = {index for index in used if not _is_apart(found[index].value, held)}
            if not tied:
                return self._joined(rest, [each if index in used else None for index, each in enumerate(found)])
            found = [each for index, each in enumerate(found) if index not in tied]
        return None

    def _joined(self, rest: bytes, found: list[_Found | None]) -> bytes | None:
        blocks = [None if each is None else self._block(each) for each in found]
        here = tuple(block for block in blocks if block is not None)
        if not here:
            return None
        nothing = LargeValue(-1, 0, False)
        values = tuple(nothing if block is None else block.value for block in blocks)
        return holding(payload.dump(SplitProgram(rest, values)), here)

    def _block(self, found: _Found) -> _Block:
        digest = blake2b(digest_size=16)
        for part in found.parts:
            digest.update(part)
        block = self._blocks.get(digest.digest())
        if block is None:
            number = self._next_id()
            pieces = self._files.put_encoded(f"broadcast-{number}", found.parts)
            value = LargeValue(number, pieces, type(found.value) in _SHAREABLE)
            block = self._blocks[digest.digest()] = _Block(value, sum(map(len, found.parts)), self._forget)
        self._keep(block)
        return block

    def _keep(self, block: _Block) -> None:
        """Programs come and go with their jobs; the blocks used last stay for the next ones."""
        recent = self._recent
        recent[block.value.broadcast] = block
        recent.move_to_end(block.value.broadcast)
        kept_bytes = sum(each.size_bytes for each in recent.values())
        while len(recent) > KEPT_BLOCKS or (len(recent) > 1 and kept_bytes > KEPT_BYTES):
            kept_bytes -= recent.popitem(last=False)[1].size_bytes


def _pickle_without(program: Any, ids: list[int]) -> tuple[bytes, set[int], set[int]]:
    """The program with numbers for these objects: the bytes, which of them it met, and what else it holds, by id."""
    import io

    import cloudpickle

    numbers = {identity: number for number, identity in enumerate(ids)}
    used: set[int] = set()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, value: Any) -> int | None:
            number = numbers.get(id(value))
            if number is not None:
                used.add(number)
            return number

    with io.BytesIO() as file:
        pickler = Pickler(file, PROTOCOL)
        pickler.dump(program)
        held = {identity for identity, (_, value) in pickler.memo.copy().items() if not isinstance(value, (str, bytes))}
        return file.getvalue(), used, held


# ── what may be taken out ────────────────────────────────────────────────────────────────────────────────────────


def _unshared(found: Iterable[_Found]) -> list[_Found]:
    """Those that share nothing that a task could change with one before them."""
    taken: list[_Found] = []
    held: set[int] = set()
    for each in found:
        own = {id(each.value), *map(id, _changeable_in(each.value))}
        if held.isdisjoint(own):
            taken.append(each)
            held |= own
    return taken


def _is_apart(value: Any, held: set[int]) -> bool:
    return held.isdisjoint(map(id, _changeable_in(value)))


def _levels(value: Any) -> Iterator[tuple[list[Any], set[type]]]:
    """The collections in a plain value, level by level, each with the kinds of its members."""
    level = [value] if type(value) in _COLLECTIONS else []
    while level:
        kinds = set(map(type, _members(level)))
        yield level, kinds
        if kinds.isdisjoint(_COLLECTIONS):
            return
        level = list({id(member): member for member in _members(level) if type(member) in _COLLECTIONS}.values())


def _members(level: list[Any]) -> Iterator[Any]:
    values = (collection.values() for collection in level if type(collection) in _MAPPINGS)
    return chain(chain.from_iterable(level), chain.from_iterable(values))


def _changeable_in(value: Any) -> Iterator[Any]:
    """What a task could change inside of a plain value."""
    for level, kinds in _levels(value):
        changeable = {kind for kind in kinds if kind in _MUTABLE or _is_array_kind(kind)}
        if changeable:
            yield from (each for each in _members(level) if type(each) in changeable)


def _is_plain(value: Any) -> bool:
    """Whether a collection holds nothing but data, however deep, in a bounded depth."""
    for depth, (level, kinds) in enumerate(_levels(value)):
        if depth > DEPTH or not all(_is_plain_kind(kind) for kind in kinds) or not all(map(_is_plain_factory, level)):
            return False
        if any(map(_is_array_kind, kinds)) and any(_holds_objects(each) for each in _members(level)):
            return False
    return True


def _is_plain_kind(kind: type) -> bool:
    return kind in _ATOMS or kind in _COLLECTIONS or kind.__module__ in _PLAIN_MODULES


def _is_plain_factory(collection: Any) -> bool:
    return type(collection) is not defaultdict or collection.default_factory in {None, *_ATOMS, *_COLLECTIONS}


def _is_array_kind(kind: type) -> bool:
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy"


def _holds_objects(value: Any) -> bool:
    return _is_array_kind(type(value)) and bool(value.dtype.hasobject)


def _is_array(value: Any) -> bool:
    """Whether it is a numpy array of numbers."""
    return _is_array_kind(type(value)) and not value.dtype.hasobject


# ── where they are looked for ────────────────────────────────────────────────────────────────────────────────────


class _Search:
    """Finds large values where functions and objects hold them: not in collections of many things, which are one."""

    def __init__(self, least_bytes: int) -> None:
        self._least_bytes = least_bytes
        self._seen: set[int] = set()
        self._alive: list[Any] = []

    def found(self, program: Any) -> Iterator[_Found]:
        """The large values of a program, encoded, in the order in which they are met."""
        stack: list[tuple[Any, int, bool]] = [(program, 0, True)]
        while stack and len(self._seen) < SEARCH_LIMIT:
            value, depth, ours = stack.pop()
            if id(value) in self._seen or value is None or isinstance(value, (int, float, ModuleType)):
                continue
            self._seen.add(id(value))
            self._alive.append(value)
            if not ours or type(value) not in (list, tuple):
                encoded = self._encoded(value)
                if encoded is not None:
                    if encoded:
                        yield _Found(value, encoded)
                    continue
            if depth < DEPTH * 4:
                inside = [(part, depth + 1, _is_ours(value)) for part in _held_by(value)]
                stack.extend(reversed(inside))

    def _encoded(self, value: Any) -> list[bytes | memoryview] | None:
        """The value encoded if it is large; [] if it is small and holds nothing large; None: look into it."""
        kind = type(value)
        if kind in (bytes, bytearray, str):
            return encode_batch(value) if len(value) >= self._least_bytes else []
        if kind is array or _is_array(value):
            size_bytes = value.itemsize * (len(value) if kind is array else value.size)
            return encode_batch(value) if size_bytes >= self._least_bytes else []
        if kind in _COLLECTIONS and _is_plain(value):
            encoded = encode_batch(value)
            return encoded if sum(map(len, encoded)) >= self._least_bytes else []
        return None


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith("simspark.")


def _held_by(value: Any) -> Iterator[Any]:
    """What pickling the value would pickle of it, as far as that can be told."""
    if isinstance(value, FunctionType):
        if not is_by_reference(value):
            yield from _held_by_function(value)
    elif isinstance(value, type):
        if not is_by_reference(value):
            yield from vars(value).values()
    elif isinstance(value, MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        if len(value) <= LOOK_INTO or _is_ours(value):
            yield from _members([value]) if type(value) in _COLLECTIONS else value
    elif not (_is_ours(value) and any("__reduce__" in vars(kind) for kind in type(value).__mro__[:-1])):
        yield type(value)
        try:
            yield from list(vars(value).values())
        except Exception:
            pass  # it has none, or is a stand-in for something else that is not there
        for name in (name for kind in type(value).__mro__ for name in slot_names(kind)):
            yield getattr(value, name, None)


def _held_by_function(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    for name in dict.fromkeys(global_names(function.__code__)):
        if name in function.__globals__:
            yield function.__globals__[name]
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from function.__dict__.values()
