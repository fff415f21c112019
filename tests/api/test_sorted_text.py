"""Text that is sorted: the partitions do not depend on how the keys were sampled, and errors come when they did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def write_lines(path: Path) -> str:
    path.write_text("".join(f"{number * 7919 % 10_007:05d} {number}\n" for number in range(10_000)), "ascii")
    return str(path)


@pytest.mark.parametrize("ascending", [True, False])
def test_sorted_lines_are_partitioned_alike_whether_few_get_keys_for_the_sample_or_all(
        sc: Any, tmp_path: Path, ascending: bool) -> None:
    lines = sc.textFile(write_lines(tmp_path / "lines.txt"), 3)

    def parts(kept: Any) -> Any:
        pairs = kept.map(lambda line: (line[:5], line[6:]))
        return pairs.sortByKey(ascending, 4).glom().collect()

    found = parts(lines)
    assert found == parts(lines.filter(lambda line: True))
    assert list(map(len, found)) != [0, 0, 0, 10_000]
    rows = [row for part in found for row in part]
    assert len(rows) == 10_000 and rows == sorted(rows, key=lambda row: row[0], reverse=not ascending)


def test_lines_are_sorted_by_a_function_of_them(sc: Any, tmp_path: Path) -> None:
    lines = sc.textFile(write_lines(tmp_path / "lines.txt"), 3)
    by_end = lines.sortBy(lambda line: line[3:5], numPartitions=3)
    assert by_end.collect() == sorted(lines.collect(), key=lambda line: line[3:5])


def test_a_line_that_has_no_key_fails_as_soon_as_it_is_to_be_sorted(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("1\n2\nx\n" * 100, "ascii")
    numbers = sc.textFile(str(tmp_path / "lines.txt"), 2).map(lambda line: (int(line), line))
    with pytest.raises(ValueError, match="invalid literal"):
        numbers.sortByKey(numPartitions=2)
