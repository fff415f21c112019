"""The command simspark-master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from simspark.cli import daemons, output
from simspark.cli.daemons import SHARED_KEYS, Chosen, choose, options

if TYPE_CHECKING:
    from simspark.publib.daemon import Body, Place, Ready, ReadyInfo

START_KEYS = (
    "master.host",
    "master.port",
    "master.advertised_host",
    "master.late_after",
    "master.check_interval",
    "master.dead_after_checks",
    *SHARED_KEYS,
)
EPILOG = "Settings also come from SIMSPARK_MASTER_PORT and the like, and from simspark.toml: see simspark config show."


@click.group(cls=output.Verbs, epilog=EPILOG)
def group() -> None:
    """Run the master of a cluster on this machine.

    \b
    simspark-master start                      for this machine alone
    simspark-master start --host 0.0.0.0       for others too
    simspark-master status                     workers, applications, queue
    simspark-master stop
    """  # noqa: D301 - \b is click's mark for a block that keeps its lines


@group.command()
@options(*START_KEYS)
@click.option("--foreground", is_flag=True, help="Stay here, for systemd and containers.")
def start(*, foreground: bool, **flags: Any) -> int:
    """Start it; returns when it answers."""
    return start_chosen(choose(flags), foreground=foreground)


@group.command()
@options(*SHARED_KEYS)
def stop(**flags: Any) -> int:
    """Stop it. Running jobs go on; they get no new executors."""
    chosen = choose(flags)
    place = daemons.place_of("master", chosen.settings)
    _tell_connected(place, chosen)
    return daemons.stop("Master", place)


@group.command()
@options(*START_KEYS)
def restart(**flags: Any) -> int:
    """Stop it and start it with the flags of its last start, where no others are given. Jobs go on."""
    from simspark.publib.daemon import read_state

    place = daemons.place_of("master", choose(flags).settings)
    state, old_flags = read_state(place), daemons.remembered(place)
    daemons.stop("Master", place)
    code = {"master.port": state.url.rpartition(":")[2]} if state and not flags.get("master__port") else None
    given = {parameter: value for parameter, value in flags.items() if value not in (None, ())}
    return start_chosen(choose({**{key.replace(".", "__"): text for key, text in old_flags.items()}, **given}, code))


@group.command()
@options(*SHARED_KEYS)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(*, as_json: bool, **flags: Any) -> int:
    """Show the master, its workers and its applications. Ends with 3 when it does not run."""
    from simspark.publib.daemon import find, read_state

    chosen = choose(flags)
    place = daemons.place_of("master", chosen.settings)
    process, state = find(place), read_state(place)
    if process is None or state is None:
        if as_json:
            output.say_json({"running": False})
        else:
            output.say("No master running.")
        return output.NOT_RUNNING
    tables = daemons.ask(state.url, chosen.settings)
    if as_json:
        output.say_json({"running": True, "pid": process.pid, "url": state.url, **tables})
    else:
        output.say(f"Master up at {state.url} (pid {process.pid}, {daemons.age(place)})")
        show_tables(tables)
    return output.OK


def show_tables(tables: dict[str, Any]) -> None:
    """Show what a master said of its workers and applications."""
    if tables.get("recovering"):
        output.say("Recovering: no new executors until every known worker has reported or is late.")
    workers, applications = tables.get("workers", []), tables.get("applications", [])
    output.say()
    output.say(output.count(len(workers), "worker"))
    shown = [
        {
            **row,
            "busy": f"{row.get('busy_slots', 0)}/{row.get('slots', 0)}",
            "memory": output.size(row.get("memory_bytes", 0)),
        }
        for row in workers
    ]
    columns = {"worker": "ID", "name": "NAME", "host": "HOST", "state": "STATE", "busy": "BUSY", "memory": "MEMORY"}
    for line in output.table(columns, shown) if workers else ():
        output.say("  " + line)
    output.say(output.count(len(applications), "application"))
    columns = {"application": "ID", "name": "NAME", "user": "USER", "executors": "HAS", "wanted": "WANTS"}
    for line in output.table(columns, applications) if applications else ():
        output.say("  " + line)


def start_chosen(chosen: Chosen, *, foreground: bool = False) -> int:
    """Start a master with these settings, and say what a person needs next."""
    from simspark.publib.daemon import StartFailed

    config = chosen.settings.master()
    place = daemons.place_of("master", chosen.settings)

    def took(info: ReadyInfo, time_s: float) -> None:
        daemons.remember(place, chosen.flags)
        for line in welcome(info, time_s, place, chosen):
            output.say(line)

    if foreground:
        outcome = daemons.stay(place, body(chosen), lambda info: output.note(f"Master up at {info.url}"))
    else:
        outcome = daemons.start(place, body(chosen), took)
    if outcome is None:
        return output.OK
    if not isinstance(outcome, StartFailed):
        restart = chosen.again("master", "restart", with_flags=True)
        return daemons.tell_running("Master", place, outcome, restart, chosen.flags)
    if outcome.kind == "PortTaken" and config.port:
        outcome = outcome._replace(text=daemons.port_taken_text(config.port, chosen.again("master", "start")))
    return daemons.tell_failed("Master", outcome)


def body(chosen: Chosen) -> Body:
    """What the daemon runs."""

    def run_master(ready: Ready) -> None:
        from simspark.master.service import run

        run(chosen.settings.master(), ready)

    return run_master


def welcome(info: ReadyInfo, time_s: float, place: Place, chosen: Chosen) -> list[str]:
    """What a master that has started says: where it is and what to type next."""
    from simspark.publib.config import is_loopback

    if is_loopback(info.url):
        others = "Other machines cannot join:    start with --host 0.0.0.0"
    else:
        others = (
            "Worker on another machine:     simspark keys issue --role worker   "
            "(prints a token to set there as SIMSPARK_TOKEN)"
        )
    private = f" --state-dir {chosen.flags['paths.state']}" if "paths.state" in chosen.flags else ""
    return [
        f"Master up in {time_s:.1f} s (pid {info.pid})",
        f"  address     {info.url}",
        f"  logs        {output.place(place.log_path)}",
        "",
        f"Worker here:                   simspark-worker start {info.url}{private}",
        others,
        f'From Python on this machine:   sc = SparkContext("{info.url}")',
        f"Stop:                          {chosen.again('master', 'stop')}",
    ]


def _tell_connected(place: Place, chosen: Chosen) -> None:
    """Say whom a stop concerns, where that is somebody."""
    from simspark.publib.daemon import find, read_state
    from simspark.publib.errors import SimsparkError

    state = read_state(place)
    if find(place) is None or state is None:
        return
    try:
        tables = daemons.ask(state.url, chosen.settings)
    except SimsparkError:
        return
    text = whom_a_stop_concerns(tables)
    if text:
        output.say(text)


def whom_a_stop_concerns(tables: dict[str, Any]) -> str:
    """Say who is connected to a master and what becomes of them; nothing when nobody is."""
    workers = [row["worker"] for row in tables.get("workers", []) if row["connected"]]
    applications = [row["application"] for row in tables.get("applications", []) if row["connected"]]
    named = [
        f"{kind}{'s' * (len(names) > 1)} {', '.join(names[:5])}{', …' * (len(names) > 5)}"
        for kind, names in (("worker", workers), ("application", applications))
        if names
    ]
    if not named:
        return ""
    go_on = "goes on and waits" if len(workers) + len(applications) == 1 else "go on and wait"
    return f"{' and '.join(named).capitalize()} {go_on} for a master at the same address."


def main() -> None:
    """Run simspark-master."""
    output.run(group)


if __name__ == "__main__":
    main()
