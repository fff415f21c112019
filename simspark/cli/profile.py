"""``simspark profile``: run a program and draw where its tasks and its driver spent their time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from simspark.cli import output
from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from simspark.publib.sampling_profile import Profile

SHOWN_LINES = 3
SIGNAL_BASE = 128


class Wanted(NamedTuple):
    """What the command was asked for."""

    out: str
    rate_hz: float
    folded: bool
    engine: bool
    quiet: bool


def run_profiled(command: tuple[str, ...], wanted: Wanted) -> int:
    """Run a script with its arguments as python does; the exit code is its own."""
    directory = tempfile.mkdtemp(prefix="simspark-profile-")
    code = output.FAILED
    try:
        code = _run(command, directory, wanted.rate_hz)
        _write(os.path.basename(command[0]), directory, wanted)
    except OSError as error:
        output.note(f"The profile could not be written to {error.filename}: {error.strerror}")
        return code or output.FAILED
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _run(command: tuple[str, ...], directory: str, rate_hz: float) -> int:
    """The program is a process of its own; Ctrl-C reaches it by itself, and what ends this one ends it."""
    environment = {
        **os.environ,
        "SIMSPARK_PROFILE_SAMPLE": f"{rate_hz:g}",
        "SIMSPARK_PROFILE_OUT": os.path.join(directory, "{app}.json"),
    }
    sys.stdout.flush()
    with subprocess.Popen([sys.executable, *command], env=environment) as program:
        previous = _pass_signals(program)
        try:
            code = program.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    return code if code >= 0 else SIGNAL_BASE - code


def _pass_signals(program: subprocess.Popen[bytes]) -> dict[signal.Signals, Any]:
    """Leave the terminal's signals to the program, which has them, too, and hand others on; the handlers before."""

    def hand_on(number: int, _frame: object) -> None:
        program.send_signal(number)

    def leave(_number: int, _frame: object) -> None:
        """The program decides what becomes of it."""

    wanted: dict[signal.Signals, Any] = {signal.SIGINT: leave, signal.SIGQUIT: leave,
                                         signal.SIGTERM: hand_on, signal.SIGHUP: hand_on}
    return {number: signal.signal(number, handler) for number, handler in wanted.items()}


def _write(name: str, directory: str, wanted: Wanted) -> None:
    from simspark.driver.sample_collector import rendered, write_whole
    from simspark.publib.flame_graph import summary
    from simspark.publib.sampling_profile import Profile

    profile = Profile(name, wanted.rate_hz)
    found = sorted(each for each in os.listdir(directory) if each.endswith(".json"))
    for each in found:
        with open(os.path.join(directory, each), encoding="utf-8") as file:
            profile.merge(Profile.from_json(file.read()))
    if not found:
        output.note(f"No profile: {name} ended without having stopped a SparkContext on simspark.")
        return
    paths = [wanted.out]
    if wanted.folded:
        paths.append(os.path.splitext(wanted.out)[0] + ".folded")
    for path in dict.fromkeys(paths):
        write_whole(path, rendered(profile, path, engine=wanted.engine))
    if not wanted.quiet:
        output.note(f"{' and '.join(map(output.place, dict.fromkeys(paths)))}: {summary(profile)}.")
        _note_busiest(profile)


def _note_busiest(profile: Profile) -> None:
    import linecache

    from simspark.publib.sampling_profile import busiest_lines

    total = max(1, profile.total() + profile.total(driver=True))
    for each in busiest_lines(profile.folded(), SHOWN_LINES):
        where = f"{os.path.basename(each.place.file)}:{each.line}"
        source = linecache.getline(each.place.file, each.line).strip()
        output.note(f"  {100 * each.samples / total:3.0f} %  {where:<24}  {source[:80]}")
