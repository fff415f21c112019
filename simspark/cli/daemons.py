"""Starting, stopping and showing daemons: what simspark-master and simspark-worker have in common."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from simspark.cli import output
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.settings import SETTINGS

if TYPE_CHECKING:
    from simspark.publib.config import Settings
    from simspark.publib.daemon import AlreadyRunning, Body, Place, ReadyInfo, StartFailed

STATUS_TIMEOUT_S = 1.2
NEVER_STARTED = "none was ever started here"
SHARED_KEYS = ("paths.state", "paths.logs", "log.format", "log.level")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Chosen(NamedTuple):
    """What a command was told by flags, and the settings that follow."""

    flags: Mapping[str, str]
    settings: Settings

    def again(self, kind: str, verb: str, *, with_flags: bool = False) -> str:
        """The command line that speaks of the same daemon; on request with all that this one was told."""
        from shlex import quote

        from simspark.publib.config import flag_of

        words = [f"simspark-{kind}", verb]
        if with_flags and "worker.master" in self.flags:
            words.append(self.flags["worker.master"])
        for key, text in self.flags.items():
            if key in {"worker.name", "paths.state"} or (with_flags and key not in {"worker.master", "worker.labels"}):
                words += [f"--{flag_of(key)}", quote(text)]
            elif with_flags and key == "worker.labels":
                words += [f"--{flag_of(key)} {quote(label)}" for label in text.split(",")]
        return " ".join(words)


def options(*keys: str) -> Decorator:
    """Add the flag of each setting; the command takes them as ``**flags`` for ``choose``."""
    from simspark.publib.config import flag_of

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for key in reversed(keys):
            setting = SETTINGS[key]
            default = f" [{setting.default}]" if setting.default not in ("", "0") else ""
            names = [f"--{flag_of(key)}", *(["--executors"] if key == "worker.cores" else [])]
            parameter = key.replace(".", "__")
            multiple = setting.kind.name == "labels"
            metavar = "KEY=VALUE" if multiple else setting.kind.name.upper()
            option = click.option(*names, parameter, help=setting.doc + default, metavar=metavar, multiple=multiple)
            function = option(function)
        return function

    return decorate


def choose(flags: Mapping[str, Any], code: Mapping[str, object] | None = None) -> Chosen:
    """Resolve the settings under the flags that ``options`` made."""
    from simspark.publib.config import load

    given = {
        parameter.replace("__", "."): ",".join(value) if isinstance(value, tuple) else str(value)
        for parameter, value in flags.items()
        if value not in (None, ())
    }
    return Chosen(given, load(code, given))


def place_of(name: str, settings: Settings) -> Place:
    """Where a daemon of this name keeps its files."""
    from simspark.publib.daemon import Place

    return Place(name, settings["paths.state"], settings["paths.logs"], settings["log.format"], settings["log.level"])


def age(place: Place) -> str:
    """How long the daemon of this place has been running."""
    from simspark.publib.clock import SystemClock

    try:
        return output.duration(SystemClock().wall() - os.stat(place.pid_path).st_mtime)
    except OSError:
        return "just now"


def start(place: Place, body: Body, took: Callable[[ReadyInfo, float], None]) -> AlreadyRunning | StartFailed | None:
    """Start in the background; ``took`` tells of success. Returns what else came of it."""
    from simspark.publib.clock import SystemClock
    from simspark.publib.daemon import Started
    from simspark.publib.daemon import start as start_daemon

    clock = SystemClock()
    began = clock.now()
    outcome = start_daemon(place, body)
    if isinstance(outcome, Started):
        took(outcome.info, clock.now() - began)
        return None
    return outcome


def stay(place: Place, body: Body, announce: Callable[[ReadyInfo], None]) -> AlreadyRunning | StartFailed | None:
    """Run it here until it ends. Returns what kept it from running, as ``start`` does."""
    from simspark.publib.daemon import StartFailed, run_foreground
    from simspark.publib.errors import AccessRefused, NoMaster, PortTaken

    try:
        return run_foreground(place, body, announce)
    except (AccessRefused, NoMaster, PortTaken) as error:
        return StartFailed(type(error).__name__, str(error), place.log_path, ())


def tell_running(title: str, place: Place, outcome: AlreadyRunning, restart: str, flags: Mapping[str, str]) -> int:
    """Say that it runs already; and how to have it run otherwise, when this start has other flags than that one."""
    output.say(f"{title} already running (pid {outcome.process.pid}, {age(place)}), nothing done.")
    if not flags.items() <= remembered(place).items():
        output.say(f"To run it with these settings: {restart}")
    return output.OK


def tell_failed(title: str, outcome: StartFailed) -> int:
    """Say why it did not start; with the end of the log where the reason is not one of simspark's own."""
    from simspark.publib import errors

    known = getattr(errors, outcome.kind, None)
    if (
        isinstance(known, type)
        and issubclass(known, errors.SimsparkError)
        and not issubclass(known, errors.InternalError | errors.PeerTimeout)
    ):
        output.note(output.error_text(known(outcome.text)))
        return output.code_of(outcome.kind)
    output.note(f"{title} did not start. {outcome.text}")
    for line in outcome.tail:
        output.note("  " + line)
    output.note(f"Log: {output.place(outcome.log_path)}")
    return output.FAILED


def stop(title: str, place: Place) -> int:
    """Stop and say what came of it."""
    from simspark.publib.daemon import NotRunning
    from simspark.publib.daemon import stop as stop_daemon

    outcome = stop_daemon(place)
    if isinstance(outcome, NotRunning):
        stale = f" Removed what a crashed one left (pid {outcome.stale})." if outcome.stale else ""
        output.say(f"No {title.lower()} running.{stale}")
    elif outcome.killed:
        output.say(f"{title} killed (pid {outcome.process.pid}): it did not end by itself in 10 s.")
    else:
        output.say(f"{title} stopped (pid {outcome.process.pid}).")
    return output.OK


def remember(place: Place, flags: Mapping[str, str]) -> None:
    """Keep the flags of a start for a later restart."""
    with open(_flags_path(place), "w", encoding="utf-8") as file:
        json.dump(dict(flags), file)


def remembered(place: Place) -> dict[str, str]:
    """Return the flags of the last start."""
    try:
        with open(_flags_path(place), encoding="utf-8") as file:
            return {key: text for key, text in json.load(file).items() if key in SETTINGS}
    except (OSError, ValueError, AttributeError):
        return {}


def _flags_path(place: Place) -> str:
    return os.path.join(place.state_dir, place.name + ".flags")


def master_here(settings: Settings) -> str:
    """The address of the master that runs on this machine; nothing when none does."""
    from simspark.publib.daemon import find, read_state

    place = place_of("master", settings)
    state = read_state(place) if find(place) else None
    return state.url if state else ""


def port_taken_text(port: int, again: str) -> str:
    """Who listens on a port of this machine, and the command line that takes the next one."""
    return f"Port {port} is used by {port_owner(port)}. Choose another: {again} --port {port + 1}"


def port_owner(port: int) -> str:
    """Who listens on a port of this machine, as "postgres (pid 913)"; "another program" when nobody can tell."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"


def no_master_text(url: str, reason: str) -> str:
    """What to say, and what to do, when nobody answers at a master's address."""
    from simspark.publib.config import is_loopback

    why = "connection refused" if "refused" in reason else reason.partition(": ")[2].partition(" (tried")[0] or reason
    port = url.rpartition(":")[2]
    flag = f" --port {port}" if port.isdigit() and port != SETTINGS["master.port"].default else ""
    where = "Start one" if is_loopback(url) else "Start one there"
    return f"No simspark master at {url} ({why}).\n{where}: simspark-master start{flag}"


def never_started(url: str, settings: Settings) -> bool:
    """Whether this machine is meant and no master has made its keys here yet: then nothing can be running."""
    from simspark.publib.config import is_loopback

    access = settings.access()
    return is_loopback(url) and not access.token and not os.path.isdir(access.keys_dir)


def ask(url: str, settings: Settings) -> dict[str, Any]:
    """Ask a master for its tables. Raises NoMaster, AccessRefused or PeerTimeout."""
    from simspark.publib.errors import NoMaster
    from simspark.publib.wire.ask import ask_status
    from simspark.publib.wire.keys import client_keys

    if never_started(url, settings):
        raise NoMaster(no_master_text(url, NEVER_STARTED))
    access = settings.access()
    try:
        return ask_status(url, client_keys(access.keys_dir, access.token.reveal(), "driver"), STATUS_TIMEOUT_S)
    except NoMaster as error:
        raise NoMaster(no_master_text(url, str(error))) from error


def answers(url: str, settings: Settings) -> bool:
    """Whether a master may be at this address: no only when nobody listens there."""
    from simspark.publib.errors import NoMaster, SimsparkError

    try:
        ask(url, settings)
    except NoMaster:
        return False
    except SimsparkError:
        return True
    return True
