"""What threads do, seen from a thread that looks at them a hundred times a second, as counts of stacks.

A look that comes late counts for all those that were due: a function of C that holds the interpreter for a second is
seen once, at its end, and counts as often as Python that ran as long. Looks are due at fixed times, also while nobody
was watched, so work that is shorter than the time between two of them is seen as often as its share deserves.

Who looks waits for the interpreter's lock. Code that gives it up by itself now and then, as checksums do, would be all
that is seen, since others keep it for 5 ms (``sys.setswitchinterval``); so it changes hands sooner where tasks are
watched. The price is a look at the lock each time, which adds up while a function of C keeps it: after looks that were
dear the wait is longer, and shorter again after cheap ones.

The watched threads pay for a look with the interpreter's lock, for up to a hundred microseconds. What was seen goes to
``send`` every second, when it has become much, and whenever ``flush`` asks; so its size is bounded.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType

from simspark.publib.clock import Clock, thread_cpu_s
from simspark.publib.wire.messages import TaskSamples

SEND_EVERY_S = 1.0
MOST_STACKS = 400
MOST_FRAMES = 1500
DEEPEST = 128
DEEPEST_WALK = 2000
LONGEST_TEXT_BYTES = 200
SOON_S = 0.0002
"""How soon a watched thread gives up the interpreter's lock, where it is the only one that works."""
SHARED_SOON_S = 0.001
DEAR_S = 0.002
CHEAP_LOOKS = 10
LONGER = 4
USER, LIBRARY, ENGINE = "user", "library", "engine"

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_EXAMPLES = os.path.join(_PACKAGE, "examples") + os.sep
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

Line = tuple[str, str, int, int]
"""Where a frame is: file, function, the function's first line, line."""


class StackSampler:
    """Watches threads that have said ``begin`` until they say ``end``.

    Stacks are seen from the function on that ``outermost`` called; ``waits`` tells moments that do not count. The
    interpreter's lock is had within ``soon_s`` where Python runs.
    """

    def __init__(self, rate_hz: float, clock: Clock, send: Callable[[TaskSamples], None],
                 outermost: CodeType | None = None, soon_s: float = SOON_S,
                 waits: Callable[[FrameType], bool] = lambda _: False,
                 stacks: Callable[[], dict[int, FrameType]] = sys._current_frames) -> None:
        self._period_s = 1 / rate_hz
        self._clock = clock
        self._send = send
        self._outermost = outermost
        self._waits = waits
        self._stacks = stacks
        self._usual_s = sys.getswitchinterval()
        self._soon_s = self._wait_s = min(soon_s, self._usual_s)
        self._cheap = 0
        self._watched: dict[int, tuple[int, float]] = {}
        self._busy = threading.Event()
        self._over = False
        self._lock = threading.Lock()
        self._lines: dict[Line, int] = {}
        self._places: dict[tuple[int, int], int] = {}
        self._codes: list[CodeType] = []
        self._seen: dict[tuple[int, tuple[int, ...]], int] = {}
        self._due = self._sent = clock.now()

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        threading.Thread(target=self._run, name="simspark-sampler", daemon=True).start()

    def stop(self) -> None:
        """Look no more, and send what there is."""
        with self._lock:
            self._over = True
            sys.setswitchinterval(self._usual_s)
        self._busy.set()
        self.flush()

    def begin(self, stage: int) -> None:
        """The calling thread works for this stage from now on."""
        self._watched[threading.get_ident()] = (stage, self._clock.now())
        if not self._busy.is_set():
            self._busy.set()

    def end(self) -> None:
        """The calling thread's work is done."""
        self._watched.pop(threading.get_ident(), None)

    def flush(self) -> None:
        """Send what was seen and not sent yet. Any thread: what another one is about to send has left, too, then."""
        with self._lock:
            lines, self._lines, self._places, self._codes = self._lines, {}, {}, []
            seen, self._seen = self._seen, {}
            self._sent = self._clock.now()
            if seen:
                self._send(_message(lines, seen))

    def look(self, now: float) -> None:
        """See where the watched threads are, if that is due."""
        if now < self._due:
            return
        first = self._due
        times = int((now - first) / self._period_s) + 1
        self._due = first + times * self._period_s
        frames = self._stacks()
        with self._lock:
            for thread, (stage, since) in list(self._watched.items()):
                frame = frames.get(thread)
                late = -int((first - since) // self._period_s) if since > first else 0
                if frame is not None and late < times and not self._waits(frame):
                    self._count(stage, frame, times - late)
        self._maybe_flush(now)

    def _maybe_flush(self, now: float) -> None:
        much = len(self._seen) >= MOST_STACKS or len(self._lines) >= MOST_FRAMES
        if much or now - self._sent >= SEND_EVERY_S:
            self.flush()

    def _count(self, stage: int, frame: FrameType | None, times: int) -> None:
        frames: list[FrameType] = []
        while frame is not None and len(frames) < DEEPEST_WALK and frame.f_code is not self._outermost:
            frames.append(frame)
            frame = frame.f_back
        if len(self._seen) >= MOST_STACKS or len(self._lines) >= MOST_FRAMES:
            frames = []  # many threads at once: this one only counts
        outermost, places = frames[: -DEEPEST - 1 : -1], self._places
        try:
            numbers = [places[id(each.f_code), each.f_lasti] for each in outermost]
        except KeyError:
            numbers = [self._number(each) for each in outermost]
        seen = (stage, tuple(numbers))
        self._seen[seen] = self._seen.get(seen, 0) + times

    def _number(self, frame: FrameType) -> int:
        """The number of a frame's line. The code is kept, so that its id is no other's."""
        code = frame.f_code
        place = (id(code), frame.f_lasti)
        if place not in self._places:
            line = (code.co_filename, code.co_qualname, code.co_firstlineno, frame.f_lineno or 0)
            self._codes.append(code)
            self._places[place] = self._lines.setdefault(line, len(self._lines))
        return self._places[place]

    def _run(self) -> None:
        sys.setswitchinterval(self._soon_s)
        spent_s = thread_cpu_s()
        while not self._over:
            if not self._watched:
                self._busy.clear()
                if not self._watched:  # a thread that began just before the event was cleared is here already
                    self._busy.wait()
                self._pass_over(self._clock.now())
            time.sleep(max(0.0, self._due - self._clock.now()))
            with self._lock:
                if not self._over:
                    self._pace(thread_cpu_s() - spent_s)
            spent_s = thread_cpu_s()
            self.look(self._clock.now())

    def _pace(self, spent_s: float) -> None:
        """Choose how long to wait for the lock, by what having it for this look has cost."""
        before_s = self._wait_s
        self._cheap += 1
        if spent_s > DEAR_S:
            self._cheap = 0
            self._wait_s = min(before_s * LONGER, self._usual_s)
        elif self._cheap >= CHEAP_LOOKS:
            self._cheap = 0
            self._wait_s = max(before_s / 2, self._soon_s)
        if before_s != self._wait_s:
            sys.setswitchinterval(self._wait_s)

    def _pass_over(self, now: float) -> None:
        """What was due while nobody was watched is not made up for."""
        if now > self._due:
            self._due += (int((now - self._due) / self._period_s) + 1) * self._period_s


def _message(lines: dict[Line, int], seen: dict[tuple[int, tuple[int, ...]], int]) -> TaskSamples:
    kinds = {file: kind_of(file) for file, _, _, _ in lines}
    frames = tuple((_short(file), _short(function), first, line, kinds[file]) for file, function, first, line in lines)
    return TaskSamples(frames, tuple((stage, times, stack) for (stage, stack), times in seen.items()))


def _short(text: str) -> str:
    """The end of a text, which names most, so long that messages stay bounded, and nothing that UTF-8 lacks."""
    return text.encode(errors="replace")[-LONGEST_TEXT_BYTES:].decode(errors="ignore")


def kind_of(file: str) -> str:
    """Whose code is in a file: the user's, a library's or the engine's."""
    if file.startswith(_PACKAGE) and not file.startswith(_EXAMPLES):
        return ENGINE
    if file.startswith(("<frozen", _STANDARD)) or any(part in file for part in _INSTALLED):
        return LIBRARY
    return USER
