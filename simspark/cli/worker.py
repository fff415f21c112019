"""The command simspark-worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from simspark.cli import daemons, output
from simspark.cli.daemons import SHARED_KEYS, Chosen, choose, options

if TYPE_CHECKING:
    from simspark.publib.daemon import AlreadyRunning, Body, Place, Ready, ReadyInfo, StartFailed

START_KEYS = (
    "worker.name",
    "worker.host",
    "worker.port",
    "worker.advertised_host",
    "worker.cores",
    "worker.memory",
    "worker.work_dir",
    "worker.labels",
    "worker.token_file",
    *SHARED_KEYS,
)
EPILOG = "Settings also come from SIMSPARK_WORKER_CORES and the like, and from simspark.toml: see simspark config show."
RETRY_S = 1.0


@click.group(cls=output.Verbs, epilog=EPILOG)
def group() -> None:
    """Run workers of a cluster on this machine.

    \b
    simspark-worker start                            join the master of this machine
    simspark-worker start simspark://10.0.0.1:7077   join another; needs SIMSPARK_TOKEN
    simspark-worker start --name second --cores 2    one more worker here
    simspark-worker stop --all
    """  # noqa: D301 - \b is click's mark for a block that keeps its lines


@group.command()
@click.argument("master_url", required=False)
@options(*START_KEYS)
@click.option("--wait", is_flag=True, help="Wait for a master that is not there yet.")
@click.option("--foreground", is_flag=True, help="Stay here, for systemd and containers.")
def start(*, master_url: str | None, wait: bool, foreground: bool, **flags: Any) -> int:
    """Start a worker that joins MASTER_URL; returns when it has joined."""
    return start_chosen(_choose(master_url, flags), wait=wait, foreground=foreground)


@group.command()
@options("worker.name", *SHARED_KEYS)
@click.option("--all", "every", is_flag=True, help="All workers of this machine.")
def stop(*, every: bool, **flags: Any) -> int:
    """Stop a worker and the executors that it runs; their tasks run elsewhere."""
    from simspark.publib.daemon import find

    chosen = choose(flags)
    names = _instances(chosen) if every else [chosen.settings["worker.name"]]
    others = [name for name in _instances(chosen) if find(_place(name, chosen))]
    for name in names:
        daemons.stop(_title(name), _place(name, chosen))
    if not names:
        output.say("No worker running.")
    elif not every and names[0] not in others and others:
        output.say(f"Running here: {', '.join(others)}. Stop one: simspark-worker stop --name {others[0]}")
    return output.OK


@group.command()
@click.argument("master_url", required=False)
@options(*START_KEYS)
def restart(*, master_url: str | None, **flags: Any) -> int:
    """Stop it and start it with the flags of its last start, where no others are given."""
    from simspark.publib.daemon import find
    from simspark.publib.errors import NoMaster

    place = _place(choose(flags).settings["worker.name"], choose(flags))
    old = {key.replace(".", "__"): text for key, text in daemons.remembered(place).items()}
    given = {parameter: value for parameter, value in flags.items() if value not in (None, ())}
    chosen = _choose(master_url, {**old, **given})
    url = chosen.settings["worker.master"]
    if find(place) and not daemons.answers(url, chosen.settings):
        first, _, second = daemons.no_master_text(url, "connection refused").partition("\n")
        raise NoMaster(f"{first} The worker was left as it is.\n{second}")
    daemons.stop(_title(place.name.removeprefix("worker-")), place)
    return start_chosen(chosen)


@group.command()
@options("worker.name", *SHARED_KEYS)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(*, as_json: bool, **flags: Any) -> int:
    """Show the workers of this machine. Ends with 3 when none runs."""
    from simspark.publib.daemon import find, read_state

    chosen = choose(flags)
    names = [chosen.settings["worker.name"]] if "worker.name" in chosen.flags else _instances(chosen)
    rows = []
    for name in names:
        place = _place(name, chosen)
        process, state = find(place), read_state(place)
        if process is not None:
            known = state._asdict() if state else {"url": "", "worker": "", "cores": 0, "memory_bytes": 0}
            rows.append({**known, "name": name, "pid": process.pid, "age": daemons.age(place)})
    if as_json:
        output.say_json(rows)
    elif not rows:
        output.say("No worker running.")
    else:
        _show(rows)
        for url in sorted({row["url"] for row in rows} - {""}):
            if not daemons.answers(url, chosen.settings):
                output.say(f"No master at {url} now: its workers wait for it to return.")
    return output.OK if rows else output.NOT_RUNNING


def start_chosen(chosen: Chosen, *, wait: bool = False, foreground: bool = False) -> int:
    """Start a worker with these settings."""
    from simspark.publib.daemon import AlreadyRunning
    from simspark.publib.errors import NoMaster

    config = chosen.settings.worker()
    place, title = _place(config.name, chosen), _title(config.name)
    if not wait and daemons.never_started(config.master_url, chosen.settings):
        raise NoMaster(daemons.no_master_text(config.master_url, daemons.NEVER_STARTED))

    def took(info: ReadyInfo, time_s: float) -> None:
        daemons.remember(place, chosen.flags)
        output.say(f"{joined(info)} in {time_s:.1f} s")

    def attempt() -> AlreadyRunning | StartFailed | None:
        if foreground:
            return daemons.stay(place, body(chosen), lambda info: output.note(joined(info)))
        return daemons.start(place, body(chosen), took)

    outcome = attempt()
    if wait and _no_master(outcome, chosen):
        output.note(f"No master at {config.master_url} yet. Waiting for it (Ctrl-C ends this).")
        outcome = _retry(attempt, chosen)
    if outcome is None:
        return output.OK
    if isinstance(outcome, AlreadyRunning):
        restart = chosen.again("worker", "restart", with_flags=True)
        return daemons.tell_running(title, place, outcome, restart, chosen.flags)
    if outcome.kind == "NoMaster":
        outcome = outcome._replace(text=daemons.no_master_text(config.master_url, outcome.text))
    elif outcome.kind == "PortTaken" and config.port:
        outcome = outcome._replace(text=daemons.port_taken_text(config.port, chosen.again("worker", "start")))
    return daemons.tell_failed(title, outcome)


def body(chosen: Chosen) -> Body:
    """What the daemon runs."""

    def run_worker(ready: Ready) -> None:
        from simspark.worker.service import run

        run(chosen.settings.worker(), ready)

    return run_worker


def joined(info: ReadyInfo) -> str:
    """What a worker that has joined says."""
    offered = f"{output.count(info.cores, 'core')}, {output.size(info.memory_bytes)}"
    return f"Worker {info.worker} joined {info.url} ({offered})"


def _retry(attempt: Callable[[], Any], chosen: Chosen) -> Any:
    from simspark.publib.pid_file import pause

    while True:
        pause(RETRY_S)
        outcome = attempt()
        if not _no_master(outcome, chosen):
            return outcome


def _no_master(outcome: StartFailed | Any, chosen: Chosen) -> bool:
    """Nobody answers; or, before a first master has started here, there are no keys to ask with."""
    kind = getattr(outcome, "kind", "")
    return kind == "NoMaster" or (
        kind == "AccessRefused" and daemons.never_started(chosen.settings["worker.master"], chosen.settings)
    )


def _choose(master_url: str | None, flags: dict[str, Any]) -> Chosen:
    """The settings under these flags; where nothing names a master, the one that runs on this machine is meant."""
    chosen = choose({**flags, "worker__master": master_url} if master_url else flags)
    if chosen.settings.source("worker.master") != "default":
        return chosen
    here = daemons.master_here(chosen.settings)
    return choose({**flags, "worker__master": here}) if here else chosen


def _instances(chosen: Chosen) -> list[str]:
    from simspark.publib.daemon import names

    return [name.removeprefix("worker-") for name in names(chosen.settings["paths.state"], "worker-")]


def _place(name: str, chosen: Chosen) -> Place:
    return daemons.place_of(f"worker-{name}", chosen.settings)


def _title(name: str) -> str:
    return "Worker" if name == "default" else f"Worker {name}"


def _show(rows: list[dict[str, Any]]) -> None:
    columns = {
        "worker": "ID",
        "name": "NAME",
        "pid": "PID",
        "age": "SINCE",
        "cores": "CORES",
        "memory": "MEMORY",
        "url": "MASTER",
    }
    for line in output.table(columns, [{**row, "memory": output.size(row["memory_bytes"])} for row in rows]):
        output.say(line)


def main() -> None:
    """Run simspark-worker."""
    output.run(group)


if __name__ == "__main__":
    main()
