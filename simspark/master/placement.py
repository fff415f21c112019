"""Which worker gives the next executor, to which application, and what to say to those that get none.

Pure: seats (what workers have free) and needs (what applications want) go in, placements come out. Grants
are made one at a time. The application that holds the fewest slots is served first; it takes its executor
from the top of a min-heap of workers ordered by busy executors, and the worker is pushed back with one
more. An application that is placed by ``pack`` takes the busiest worker that still fits instead, so that
others stay empty.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from simspark.publib.named_tuple import NamedTuple


class Seat(NamedTuple):
    """A worker as placement sees it. ``order`` breaks ties: the worker that joined first.

    One that is not ``usable`` (late, or its connection is broken) gets nothing now, but counts as room.
    """

    worker: str
    order: int
    busy: int
    slots: int
    memory_bytes: int
    free_slots: int
    free_memory_bytes: int
    labels: dict[str, str]
    usable: bool = True


class Need(NamedTuple):
    """What an application wants: ``wanted`` more executors, beside ``held_slots`` that it has."""

    application: str
    order: int
    cores: int
    memory_bytes: int
    labels: dict[str, str]
    placement: str
    wanted: int
    held_slots: int


class Placed(NamedTuple):
    """One executor for this application on this worker."""

    application: str
    worker: str


class Held(NamedTuple):
    """What an application holds of one worker, for the question of who gives back."""

    application: str
    worker: str
    cores: int


def labels_match(need: Need, seat: Seat) -> bool:
    """Whether the worker has every label that is asked for."""
    return all(seat.labels.get(key) == value for key, value in need.labels.items())


def fits(need: Need, seat: Seat) -> bool:
    """Whether the worker could start one now."""
    enough = seat.free_slots >= need.cores and seat.free_memory_bytes >= need.memory_bytes
    return seat.usable and enough and labels_match(need, seat)


def could_fit(need: Need, seat: Seat) -> bool:
    """Whether the worker could start one if it were idle."""
    return seat.slots >= need.cores and seat.memory_bytes >= need.memory_bytes and labels_match(need, seat)


def capacity(need: Need, seats: Iterable[Seat]) -> int:
    """How many executors of this kind the workers would hold if they were idle."""
    return sum(_room(need, seat) for seat in seats if could_fit(need, seat))


def _room(need: Need, seat: Seat) -> int:
    by_slots = seat.slots // need.cores
    return min(by_slots, seat.memory_bytes // need.memory_bytes) if need.memory_bytes else by_slots


class _Floor:
    """The seats while grants are made: a heap by busy executors, whose old entries are skipped."""

    def __init__(self, seats: Iterable[Seat]) -> None:
        self._seats = {seat.worker: seat for seat in seats}
        self._heap = [(seat.busy, seat.order, seat.worker) for seat in self._seats.values()]
        heapq.heapify(self._heap)

    def take(self, need: Need) -> str | None:
        seat = self._busiest(need) if need.placement == "pack" else self._idlest(need)
        if seat is None:
            return None
        after = seat._replace(
            busy=seat.busy + 1,
            free_slots=seat.free_slots - need.cores,
            free_memory_bytes=seat.free_memory_bytes - need.memory_bytes,
        )
        self._seats[seat.worker] = after
        heapq.heappush(self._heap, (after.busy, after.order, after.worker))
        return seat.worker

    def _busiest(self, need: Need) -> Seat | None:
        fitting = (seat for seat in self._seats.values() if fits(need, seat))
        return max(fitting, key=lambda seat: (seat.busy, -seat.order), default=None)

    def _idlest(self, need: Need) -> Seat | None:
        unfit: list[tuple[int, int, str]] = []
        found: Seat | None = None
        while self._heap and found is None:
            entry = heapq.heappop(self._heap)
            seat = self._seats[entry[2]]
            if seat.busy != entry[0]:
                continue
            if fits(need, seat):
                found = seat
            else:
                unfit.append(entry)
        for entry in unfit:
            heapq.heappush(self._heap, entry)
        return found


def place(seats: Iterable[Seat], needs: Iterable[Need]) -> list[Placed]:
    """Grants in the order in which they are made."""
    floor = _Floor(seats)
    by_name = {need.application: need for need in needs}
    waiting = (need for need in by_name.values() if need.wanted > 0)
    queue = [(need.held_slots, need.order, need.wanted, need.application) for need in waiting]
    heapq.heapify(queue)
    placed: list[Placed] = []
    while queue:
        held, order, wanted, application = heapq.heappop(queue)
        need = by_name[application]
        worker = floor.take(need)
        if worker is None:
            continue
        placed.append(Placed(application, worker))
        if wanted > 1:
            heapq.heappush(queue, (held + need.cores, order, wanted - 1, application))
    return placed


def give_back(
    seats: Iterable[Seat], needs: Iterable[Need], held: Iterable[Held], coming: int
) -> dict[str, int]:
    """How many executors each application should give back to those that wait (``needs``: after placement).

    Moves one executor at a time from the application that holds the most to the waiting one that holds the
    fewest, as long as that makes them more equal, or lets one that has nothing have its turn. Only
    executors on workers that the waiting one could use count. ``coming`` executors already end: the first
    moves need no giver.
    """
    seat_of = {seat.worker: seat for seat in seats}
    waiting = {need.application: need for need in needs if need.wanted > 0}
    slots = dict.fromkeys(waiting, 0)
    stock: dict[str, list[Held]] = {}
    for entry in held:
        slots[entry.application] = slots.get(entry.application, 0) + entry.cores
        stock.setdefault(entry.application, []).append(entry)
    asked: dict[str, int] = {}
    while waiting:
        need = min(waiting.values(), key=lambda each: (slots[each.application], each.order))
        if coming > 0:
            coming -= 1
        else:
            giver = _giver(need, slots, stock, seat_of)
            if giver is None:
                del waiting[need.application]
                continue
            stock[giver.application].remove(giver)
            slots[giver.application] -= giver.cores
            asked[giver.application] = asked.get(giver.application, 0) + 1
        slots[need.application] += need.cores
        waiting[need.application] = need._replace(wanted=need.wanted - 1)
        if need.wanted == 1:
            del waiting[need.application]
    return asked


def _giver(
    need: Need, slots: dict[str, int], stock: dict[str, list[Held]], seats: dict[str, Seat]
) -> Held | None:
    richest_first = sorted(stock, key=lambda name: -slots[name])
    for application in richest_first:
        if application == need.application:
            continue
        for entry in stock[application]:
            seat = seats.get(entry.worker)
            if seat is not None and could_fit(need, seat) and _worth_moving(need, slots, entry):
                return entry
    return None


def _worth_moving(need: Need, slots: dict[str, int], entry: Held) -> bool:
    rich, poor = slots[entry.application], slots[need.application]
    more_equal = rich - entry.cores >= poor + need.cores
    return more_equal or poor == 0


class Shortage(NamedTuple):
    """Why an application has less than it asked for.

    ``unmet`` when more cannot come even if all other applications end: it has none and no worker could hold
    one, or it has all that fit. Who waits behind others, or for a first worker, is not unmet.
    """

    text: str
    unmet: bool


def explain(need: Need, seats: Sequence[Seat], held: int, others: Sequence[str]) -> Shortage:
    """In words, with the arithmetic. ``held`` counts its executors, ``others`` name who else holds slots."""
    asks = f"waits for {_count(need.wanted, 'more executor')} of {_size(need)} (has {held})"
    if not seats:
        return Shortage(f"{asks}: no worker has joined yet. Start one: simspark-worker start", unmet=False)
    room = capacity(need, seats)
    if room == 0:
        return Shortage(f"needs an executor of {_size(need)}: {_why_none(need, seats)}", unmet=True)
    able = [seat for seat in seats if could_fit(need, seat)]
    total = _count(sum(seat.slots for seat in able), "slot")
    if held >= room:
        text = f"{asks}: the cluster has {total}, and this application has all that fit"
        return Shortage(text, unmet=True)
    away = sum(not seat.usable for seat in able)
    silent = f", {_count(away, 'worker')} not answering" if away else ""
    used = sum(seat.slots - seat.free_slots for seat in able)
    by = f" ({', '.join(others)})" if others else ""
    taken = f"{used} of {total} on {_count(len(able), 'worker')} are taken{by}{silent}"
    return Shortage(f"{asks}: {taken}", unmet=False)


def _why_none(need: Need, seats: Sequence[Seat]) -> str:
    labelled = [seat for seat in seats if labels_match(need, seat)]
    if not labelled:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(need.labels.items()))
        return f"none of {_count(len(seats), 'worker')} has {labels}"
    slots = max(seat.slots for seat in labelled)
    if slots < need.cores:
        return f"the largest of {_count(len(labelled), 'worker')} has {_count(slots, 'core')}"
    memory = max(seat.memory_bytes for seat in labelled if seat.slots >= need.cores)
    if memory < need.memory_bytes:
        return f"the largest of {_count(len(labelled), 'worker')} offers {memory >> 20} MiB"
    return f"no single one of {_count(len(labelled), 'worker')} has both"


def _size(need: Need) -> str:
    labels = "".join(f", {key}={value}" for key, value in sorted(need.labels.items()))
    return f"{_count(need.cores, 'core')} and {need.memory_bytes >> 20} MiB{labels}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
