"""How programs are compared with the oracle, in this process and on real executors."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from simspark import StorageLevel
from tests.api.conftest import HereContext

from .evaluate import Child, difference, oracle_names, run


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
    """Programs on a context of their own, with these settings."""
    with Child("oracle") as oracle, Child("simspark", settings) as engine:
        answers = zip(made, oracle.answers(made), engine.answers(made), strict=True)
        found = [text for lines, wanted, got in answers if (text := difference(lines, wanted, got))]
    assert not found, f"{len(found)} programs differ:\n\n" + "\n\n".join(found[:5])
