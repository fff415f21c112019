"""A partition's rows as lines through a program: out of one pipe, into the other.

One thread does both, and does whichever the program is ready for: a program that answers before it has read all cannot
block it, nor one that reads all before it answers. So user functions above and below the pipe run in the task's own
thread, where their accumulators are, and an error of either ends the task as everywhere. It wakes up now and then to
notice that the task was cancelled.

The program runs in a process group of its own, which is killed when the task fails or is cancelled or when nobody wants
more lines. What it leaves running when it ends well is its own affair until the executor ends. Its error output is the
executor's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from simspark.publib.errors import PipeFailed
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from subprocess import Popen

READ_BYTES = 64 << 10
WRITE_BYTES = 64 << 10
WAKE_MS = 200

# In the environment of every executor and of what it starts: so that what outlives it is found and ended.
EXECUTOR_MARK = "SIMSPARK_EXECUTOR"
# In that of the program alone: so that it is found if the task was cancelled before it had heard the program's number.
PIPE_MARK = "SIMSPARK_PIPE"

_MARKS = count()


class Pipe(NamedTuple):
    """A step: rows become lines of a program's input, lines of its output become rows.

    ``words`` is the program with its arguments; ``env`` its whole environment. With ``check``, a program that ends with
    another status than 0 raises PipeFailed.
    """

    command: str
    words: tuple[str, ...]
    env: dict[str, str]
    check: bool
    label: str = "pipe"
    site: str = ""
    row_wise: bool = False

    @property
    def function(self) -> None:
        """No function of the user's."""

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[str]:
        """The lines of the output. The program is started when the first is asked for."""
        child, mark = None, f"{task.task_id}-{next(_MARKS)}"
        try:
            child = self._started(mark)
            yield from _Exchange(child, rows).lines()
            status = _waited(child)
        finally:
            if child is None:
                _end_unnamed(mark)
            else:
                _end(child)
        if self.check and status:
            raise PipeFailed(f"Pipe function `{self.command}` exited with error code {status}. (SS105)")

    def _started(self, mark: str) -> Popen[bytes]:
        from subprocess import PIPE, Popen

        marks = {name: value for name, value in os.environ.items() if name == EXECUTOR_MARK}
        marks[PIPE_MARK] = mark
        return Popen(self.words, env={**self.env, **marks}, stdin=PIPE, stdout=PIPE, process_group=0)


class _Exchange:
    """What goes to a program and what comes from it."""

    def __init__(self, child: Popen[bytes], rows: Iterator[Any]) -> None:
        from select import POLLIN, POLLOUT, poll

        assert child.stdin is not None
        assert child.stdout is not None
        self._input, self._output = child.stdin, child.stdout
        self._rows = rows
        self._pending = memoryview(b"")
        self._pieces: list[bytes] = []
        self._poll = poll()
        self._poll.register(self._input, POLLOUT)
        self._poll.register(self._output, POLLIN)
        os.set_blocking(self._input.fileno(), False)

    def lines(self) -> Iterator[str]:
        """The lines of the output, while rows are fed; ends when there is nothing to feed or to read any more."""
        while not (self._input.closed and self._output.closed):
            reads = -1 if self._output.closed else self._output.fileno()
            for ready, _ in self._poll.poll(WAKE_MS):
                if ready == reads:
                    yield from self._read()
                else:
                    self._write()

    def _read(self) -> Iterator[str]:
        data = os.read(self._output.fileno(), READ_BYTES)
        if not data:
            self._forget(self._output)
        whole, newline, rest = data.rpartition(b"\n")
        if newline or not data:
            self._pieces.append(whole)
            block = b"".join(self._pieces)
            self._pieces.clear()
            if newline or block:
                yield from _decoded(block)
        if rest:
            self._pieces.append(rest)

    def _write(self) -> None:
        if not self._pending:
            self._pending = memoryview(self._next_lines())
        if not self._pending:
            self._forget(self._input)
            return
        try:
            written = os.write(self._input.fileno(), self._pending)
        except BlockingIOError:
            return
        except BrokenPipeError:  # it wants no more
            self._forget(self._input)
            return
        self._pending = self._pending[written:]

    def _next_lines(self) -> bytes:
        lines, size = [], 0
        for row in self._rows:
            line = (str(row).rstrip("\n") + "\n").encode()
            lines.append(line)
            size += len(line)
            if size >= WRITE_BYTES:
                break
        return b"".join(lines)

    def _forget(self, file: Any) -> None:
        self._poll.unregister(file)
        _close(file)


def _decoded(block: bytes) -> Iterator[str]:
    try:
        return iter(block.decode().split("\n"))
    except UnicodeDecodeError:
        return (line.decode() for line in block.split(b"\n"))  # so that the error is about the line


def _close(file: Any) -> None:
    try:
        file.close()
    except OSError:
        return


def _waited(child: Popen[bytes]) -> int:
    from subprocess import TimeoutExpired

    while True:
        try:
            return child.wait(WAKE_MS / 1000)
        except TimeoutExpired:
            continue


def _end(child: Popen[bytes]) -> None:
    """Nothing of it is left, unless it has ended by itself."""
    from signal import SIGKILL

    for file in (child.stdin, child.stdout):
        _close(file)
    if child.returncode is None:
        try:
            os.killpg(child.pid, SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def _end_unnamed(mark: str) -> None:
    """End the program of this mark, if it was started: an interrupt can come between its start and its number."""
    from signal import SIGKILL

    import psutil

    for child in psutil.Process().children():
        try:
            if child.environ().get(PIPE_MARK) == mark:
                os.killpg(child.pid, SIGKILL)
                os.waitpid(child.pid, 0)
        except (psutil.Error, OSError):
            continue
