"""What the commands say, and with which exit code they end. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from simspark.publib.errors import AccessRefused, ConfigError, SimsparkError

OK, FAILED, USAGE, NOT_RUNNING, REFUSED, TIME_LIMIT, INTERRUPTED = 0, 1, 2, 3, 4, 124, 130
_CODE_OF = {"ConfigError": USAGE, "AccessRefused": REFUSED}


def say(text: str = "") -> None:
    """Print a result."""
    print(text)


def note(text: str) -> None:
    """Print what is not a result."""
    print(text, file=sys.stderr, flush=True)


def say_json(value: object) -> None:
    """Print a result for programs."""
    import json

    print(json.dumps(value, indent=2, default=str))


def code_of(kind: str) -> int:
    """Exit code for an error of this type."""
    return _CODE_OF.get(kind, FAILED)


def error_text(error: SimsparkError) -> str:
    """Text of an error with its code at the end, once."""
    text = str(error)
    return text if "(SS" in text else f"{text} ({error.code})"


def run(command: click.Command) -> None:
    """Run a command as a program: its result is the exit code, its errors are one text and a code."""
    try:
        result = command.main(standalone_mode=False)
        code = result if isinstance(result, int) else OK
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except SimsparkError as error:
        note(error_text(error))
        known: tuple[tuple[type, int], ...] = ((ConfigError, USAGE), (AccessRefused, REFUSED))
        code = next((code for kind, code in known if isinstance(error, kind)), FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = FAILED
    sys.exit(code)


def duration(time_s: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 5 min, 2 h, 3 d."""
    if time_s < 10:
        return f"{max(time_s, 0.0):.1f} s"
    for limit, unit, unit_s in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if time_s < limit:
            return f"{time_s / unit_s:.0f} {unit}"
    return f"{time_s / 86_400:.0f} d"


def size(size_bytes: float) -> str:
    """A size as people say it, in powers of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 worker, 2 workers."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def place(path: str) -> str:
    """A path with the home directory as ~, as a shell takes it too."""
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Lines of a table; ``columns`` maps a row's key to its heading. Numbers stand right."""
    cells: list[Sequence[str]] = [list(columns.values())]
    numeric = dict.fromkeys(columns, True)
    for row in rows:
        cells.append([str(row.get(key, "")) for key in columns])
        for key in columns:
            numeric[key] = numeric[key] and isinstance(row.get(key), int | float)
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    sides = [str.rjust if is_numeric and len(cells) > 1 else str.ljust for is_numeric in numeric.values()]
    return [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)).rstrip()
        for line in cells
    ]


class Verbs(click.Group):
    """A group of commands that suggests the one that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)
