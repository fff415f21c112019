"""How programs are compared with the oracle, in this process and on real executors."""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from simspark import StorageLevel
from tests.api.conftest import HereContext

from .evaluate import Child, difference, oracle_names, run

AT_ONCE = 2
"""How many processes do the work: the smallest machine has two cores."""


def numbers_of(usual: range) -> range:
    """The numbers of the programs to run: the usual ones, or what SIMSPARK_API_PROGRAMS says."""
    start, _, stop = os.environ.get("SIMSPARK_API_PROGRAMS", "").partition(":")
    return range(int(start), int(stop)) if stop else usual


class Here:
    """Compares programs on the engine of this process with the oracle; its files are under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = count()

    def compare(self, lines: list[str], limits: dict[str, Any]) -> None:
        """One program, with limits of memory and batches."""
        found = self.difference(lines, run(lines, oracle_names()), limits)
        assert not found, f"\n{found}"

    def difference(self, lines: list[str], wanted: list[str], limits: dict[str, int]) -> str:
        """What a program shows here and should not; empty if there is nothing."""
        directory = self._root / str(next(self._numbers))
        directory.mkdir()
        here = HereContext(str(directory))
        here.limits = limits
        here.setCheckpointDir(str(directory / "checkpoints"))
        found = difference(lines, wanted, run(lines, {"sc": here, "StorageLevel": StorageLevel}))
        shutil.rmtree(directory)
        return found


def compare_real(settings: dict[str, Any], made: list[list[str]]) -> None:
    """Programs on contexts of their own, with these settings. Each has one program at a time."""
    found = []
    with ExitStack() as children:
        oracle = children.enter_context(Child("oracle"))
        engines = [children.enter_context(Child("simspark", settings)) for _ in range(AT_ONCE)]
        for at in range(0, len(made), AT_ONCE):
            asked = list(zip(engines, made[at : at + AT_ONCE]))
            for engine, lines in asked:
                engine.ask(lines)
            wanted = list(oracle.answers(lines for _, lines in asked))
            found += [difference(lines, meant, engine.answer()) for (engine, lines), meant in zip(asked, wanted)]
    found = list(filter(None, found))
    assert not found, f"{len(found)} programs differ:\n\n" + "\n\n".join(found[:5])


def found_by_processes(look: Callable[[int], str]) -> str:
    """What ``look`` finds in forked processes, to which it gives their numbers; an error is found, too."""
    processes, readers = [], []
    try:
        for part in range(AT_ONCE):
            reader, writer = os.pipe()
            processes.append(os.fork() or _look(look, part, writer))
            os.close(writer)
            readers.append(os.fdopen(reader))
        return "\n".join(filter(None, [reader.read() for reader in readers]))
    finally:
        for process, reader in zip(processes, readers):
            os.kill(process, signal.SIGKILL)  # it has ended, unless this one was interrupted
            os.waitpid(process, 0)
            reader.close()


def _look(look: Callable[[int], str], part: int, writer: int) -> NoReturn:
    try:
        found = look(part)
    except BaseException:
        found = traceback.format_exc()
    with os.fdopen(writer, "w") as pipe:
        pipe.write(found)
    os._exit(0)
