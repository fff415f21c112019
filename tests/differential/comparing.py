"""How programs are compared with the oracle, in this process and on real executors."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TextIO

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
    """Programs on contexts of their own, with these settings."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = pool.map(lambda part: _differences(settings, made[part::AT_ONCE]), range(AT_ONCE))
        found = [text for part in parts for text in part]
    assert not found, f"{len(found)} programs differ:\n\n" + "\n\n".join(found[:5])


def _differences(settings: dict[str, Any], made: list[list[str]]) -> list[str]:
    with Child("oracle") as oracle, Child("simspark", settings) as engine:
        answers = zip(made, oracle.answers(made), engine.answers(made), strict=True)
        return [text for lines, wanted, got in answers if (text := difference(lines, wanted, got))]


def found_by_processes(look: Callable[[int], str]) -> str:
    """What ``look`` finds in forked processes, which it is given the numbers of; an error is found, too."""
    readers = []
    for part in range(AT_ONCE):
        reader, writer = os.pipe()
        if os.fork() == 0:
            try:
                found = look(part)
            except BaseException:
                found = traceback.format_exc()
            with os.fdopen(writer, "w") as pipe:
                pipe.write(found)
            os._exit(0)
        os.close(writer)
        readers.append(os.fdopen(reader))
    return "\n".join(filter(None, map(_read, readers)))


def _read(reader: TextIO) -> str:
    with reader:
        text = reader.read()
    os.wait()
    return text
