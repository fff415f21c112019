"""Rows through a program: every line once and in order, whoever writes first, and what goes wrong is said."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from simspark import RDD
from simspark.publib.errors import PipeFailed
from simspark.publib.lineage.pipe import EXECUTOR_MARK, PIPE_MARK, READ_BYTES
from simspark.worker import template

from .conftest import HereContext


def test_rows_are_lines_in_and_lines_are_rows_out(sc: Any) -> None:
    rows = ["a", "", 3, None, 2.5, ("t", 1), "two\nlines", "ends\n", "é"]
    assert sc.parallelize(rows, 2).pipe("cat").collect() == [
        "a", "", "3", "None", "2.5", "('t', 1)", "two", "lines", "ends", "é",
    ]  # fmt: skip


def test_each_partition_has_a_program_of_its_own(sc: Any) -> None:
    assert sc.parallelize(range(10), 3).pipe("wc -l").map(int).collect() == [3, 3, 4]
    assert sc.parallelize([], 2).pipe("echo none").collect() == ["none", "none"]


def test_much_goes_in_and_out_at_the_same_time(sc: Any) -> None:
    rows = [f"{number} " + "x" * (number % 300) for number in range(20_000)]
    assert sc.parallelize(rows, 2).pipe("cat").collect() == rows


def test_a_program_that_answers_more_than_it_reads_is_not_held_up(sc: Any) -> None:
    repeated = sc.parallelize(["a" * 5000] * 50, 1).pipe("sed 'p;p;p;p;p;p;p;p;p'")
    assert repeated.count() == 500


def test_a_program_that_reads_all_before_it_answers_is_not_held_up(sc: Any) -> None:
    rows = [f"{number:06}" for number in range(50_000)]
    assert sc.parallelize(reversed(rows), 1).pipe("sort").collect() == rows


@pytest.mark.parametrize("size", [READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 10 * READ_BYTES])
def test_lines_may_be_long(sc: Any, size: int) -> None:
    rows = ["x" * size, "y", "z" * size]
    assert sc.parallelize(rows, 1).pipe("cat").collect() == rows


def test_a_last_line_needs_no_end(sc: Any) -> None:
    assert sc.parallelize(["a"], 1).pipe("printf 'x\\n\\ny'").collect() == ["x", "", "y"]
    assert sc.parallelize(["a"], 1).pipe("printf 'x\\n\\n'").collect() == ["x", ""]


def test_only_newlines_end_lines(sc: Any) -> None:
    text = "a\rb\x85c\u2028d\x0ce"
    assert sc.parallelize([text], 1).pipe("cat").collect() == [text]


def test_a_program_that_stops_reading_gets_no_more(sc: Any) -> None:
    made = sc.accumulator(0)

    def counted(row: int) -> str:
        made.add(1)
        return "x" * 1000

    assert len(sc.parallelize(range(100_000), 1).map(counted).pipe("head -n 2").collect()) == 2
    assert 2 <= made.value < 100_000


def test_a_program_may_close_its_output_and_go_on_reading(sc: Any, tmp_path: Path) -> None:
    command = f"sh -c 'echo first; exec >&-; cat > {tmp_path}/read'"
    rows = [str(number) for number in range(30_000)]
    assert sc.parallelize(rows, 1).pipe(command).collect() == ["first"]
    assert (tmp_path / "read").read_text().split() == rows


def test_arguments_are_split_as_a_shell_would_and_no_shell_runs(sc: Any) -> None:
    assert sc.parallelize(["a"], 1).pipe("echo 'one word' $HOME \"*\" | cat").collect() == ["one word $HOME * | cat"]


def test_the_environment_is_what_was_given(sc: Any) -> None:
    seen = sc.parallelize(["a"], 1).pipe("/usr/bin/env", {"COLOUR": "blue"}).collect()
    assert [line for line in seen if not line.startswith((EXECUTOR_MARK, PIPE_MARK))] == ["COLOUR=blue"]
    assert not any(line.startswith("HOME=") for line in sc.parallelize(["a"], 1).pipe("/usr/bin/env").collect())


def test_executors_know_what_a_pipe_started_by_their_mark() -> None:
    assert EXECUTOR_MARK == template.MARK


def test_exit_codes_count_only_when_asked_for(sc: Any) -> None:
    failing = "sh -c 'cat; exit 3'"
    rdd = sc.parallelize(["a", "b"], 2)
    assert rdd.pipe(failing).collect() == ["a", "b"]
    with pytest.raises(PipeFailed, match=r"^Pipe function `sh -c 'cat; exit 3'` exited with error code 3\. \(SS105\)"):
        rdd.pipe(failing, checkCode=True).collect()
    with pytest.raises(RuntimeError, match="exited with error code -9"):
        rdd.pipe("sh -c 'kill -9 $$'", checkCode=True).collect()
    assert rdd.pipe("cat", checkCode=True).collect() == ["a", "b"]


def test_a_program_that_is_not_there_is_named(sc: Any) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        sc.parallelize(["a"]).pipe("no-such-program -x").collect()


def test_a_command_is_needed_at_once(here: HereContext) -> None:
    for command in ("", "  "):
        with pytest.raises(ValueError, match=r"pipe\(\) needs a command"):
            here.parallelize(["a"]).pipe(command)
    with pytest.raises(ValueError, match="No closing quotation"):
        here.parallelize(["a"]).pipe("echo 'a")


def test_output_that_is_no_text_fails_the_job(sc: Any) -> None:
    with pytest.raises(UnicodeDecodeError, match="byte 0xff in position 2"):
        sc.parallelize(["a"], 1).pipe(r"printf 'fine\nno\377\n'").collect()


def test_errors_of_the_rows_come_through_as_they_are(sc: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([1, 0], 1).map(lambda x: 1 // x).pipe("cat").collect()


def test_accumulators_count_above_and_below_a_pipe(sc: Any) -> None:
    above, below = sc.accumulator(0), sc.accumulator(0)

    def count(row: Any, sums: Any) -> Any:
        sums.add(1)
        return row

    piped = sc.parallelize(range(1000), 2).map(lambda row: count(row, above)).pipe("cat")
    assert piped.map(lambda row: count(row, below)).count() == 1000
    assert (above.value, below.value) == (1000, 1000)


def test_pipes_follow_one_another(sc: Any) -> None:
    rows = sc.parallelize(range(1000), 2)
    assert rows.pipe("cat").pipe("grep 7").pipe("wc -l").map(int).sum() == sum("7" in str(row) for row in range(1000))


def test_keys_do_not_stay_in_place(here: HereContext) -> None:
    assert here.parallelize([(1, 2)]).partitionBy(2).pipe("cat").partitioner is None


def test_nothing_runs_before_an_action_nor_after_take(here: HereContext, tmp_path: Path) -> None:
    piped = here.parallelize(["a"], 1).pipe(f"sh -c 'echo $$; echo $$ >> {tmp_path}/started; exec sleep 600'")
    assert not (tmp_path / "started").exists()
    first: RDD[str] = piped
    (process,) = first.take(1)
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), signal.SIGCONT)
