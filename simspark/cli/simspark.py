"""The command simspark."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from simspark.cli import daemons, output
from simspark.cli.daemons import choose, options


@click.group(cls=output.Verbs)
def group() -> None:
    """Run programs on a cluster and look after it.

    \b
    simspark demo                          a cluster, two programs, and nothing left behind
    simspark submit program.py 1000        run a program on the cluster
    simspark profile program.py            where its time goes, as a flame graph
    simspark status                        workers, applications, queue
    simspark keys issue --role worker      a token for another machine
    simspark config show                   each setting and where it came from
    """  # noqa: D301 - \b is click's mark for a block that keeps its lines


@group.command()
def version() -> None:
    """Show the versions of simspark and Python."""
    from simspark._version import __version__

    output.say(f"simspark {__version__} (Python {sys.version_info.major}.{sys.version_info.minor})")


@group.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--master", "master_url", metavar="URL", help="Cluster to run on; by default this machine's.")
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def submit(*, master_url: str | None, program: str, arguments: tuple[str, ...]) -> None:
    """Run PROGRAM with its ARGUMENTS on a cluster.

    The program becomes this process, so its output, exit code and signals are its own. It finds the cluster when it
    makes a SparkContext without naming a master.
    """
    if not os.path.isfile(program):
        raise click.UsageError(f"No such program: {program}")
    environment = {**os.environ, "SIMSPARK_MASTER": master_url or _cluster_url()}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, program, *arguments], environment)


@group.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-o", "--out", default="profile.svg", show_default=True, help="File for it: .svg or .folded.")
@click.option("--rate", default=100.0, show_default=True, type=click.FloatRange(1, 1000), help="Looks a second.")
@click.option("--folded", is_flag=True, help="Write the stacks as text, too, for other tools.")
@click.option("--engine", is_flag=True, help="Show all frames of simspark's own.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when it is done.")
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def profile(*, out: str, rate: float, folded: bool, engine: bool, quiet: bool, program: str,
            arguments: tuple[str, ...]) -> int:
    """Run PROGRAM with its ARGUMENTS and draw a flame graph of its tasks and its driver.

    \b
    simspark profile program.py 1000
    simspark profile --out slow.svg --folded program.py

    The program runs as with python, on the master that it names, and its exit code is this command's. Open the
    picture in a browser: width is time, a click zooms in.
    """  # noqa: D301 - \b is click's mark for a block that keeps its lines
    from simspark.cli.profile import Wanted, run_profiled

    if not os.path.isfile(program):
        raise click.UsageError(f"No such program: {program}")
    if not out.endswith((".svg", ".folded")):
        raise click.UsageError(f"--out is {out}, but must end in .svg or .folded.")
    if not os.path.isdir(os.path.dirname(os.path.abspath(out))):
        raise click.UsageError(f"There is no directory for {out}.")
    return run_profiled((program, *arguments), Wanted(out, rate, folded, engine, quiet))


@group.command()
@options("paths.state")
@click.option("--master", "master_url", metavar="URL", help="Another cluster than this machine's.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(*, master_url: str | None, as_json: bool, **flags: Any) -> int:
    """Show a cluster: its workers and applications. Ends with 3 when no master answers."""
    from simspark.cli.master import show_tables
    from simspark.publib.errors import NoMaster

    settings = choose(flags).settings
    url = master_url or _cluster_url(flags)
    try:
        tables = daemons.ask(url, settings)
    except NoMaster as error:
        output.note(output.error_text(error))
        return output.NOT_RUNNING
    if as_json:
        output.say_json({"url": url, **tables})
    else:
        output.say(f"Master up at {url}")
        show_tables(tables)
    return output.OK


@group.group(cls=output.Verbs)
def config() -> None:
    """Look at settings."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(*, as_json: bool) -> None:
    """Show each setting, its value, and where it came from."""
    settings = choose({}).settings
    rows = [
        {"key": setting.key, "value": value.text, "source": value.source, "variable": setting.variable}
        for setting, value in settings.items()
    ]
    if as_json:
        output.say_json(rows)
        return
    columns = {"key": "SETTING", "value": "VALUE", "source": "FROM", "variable": "VARIABLE"}
    for line in output.table(columns, [{**row, "value": row["value"] or "-"} for row in rows]):
        output.say(line)


@group.group(cls=output.Verbs)
def keys() -> None:
    """Let other machines in."""


@keys.command()
@options("paths.state")
@click.option("--role", type=click.Choice(["worker", "driver"]), required=True, help="What the machine will run.")
@click.option("--name", default="", help="Whom the token is for, to find it again.")
def issue(*, role: str, name: str, **flags: Any) -> None:
    """Print a token for another machine, which takes it from SIMSPARK_TOKEN or a file.

    Who has the token can join, so pass it on as you would a password.
    """
    from simspark.publib.wire.keys import KeyRing

    ring = KeyRing(choose(flags).settings["paths.keys"]).ensure()
    output.say(ring.issue(role, name or role))
    command = "simspark-worker start URL" if role == "worker" else "python program.py"
    output.note(f"There:  read -rs SIMSPARK_TOKEN && export SIMSPARK_TOKEN && {command}")


@group.command()
@click.option("--integers", default=10_000_000, show_default=True, help="Length of the array that is summed.")
def demo(*, integers: int) -> int:
    """Start a cluster here, run two programs on it, show where the time went, and leave nothing."""
    from simspark.cli.demo import run_demo

    return run_demo(integers)


def _cluster_url(flags: dict[str, Any] | None = None) -> str:
    """The cluster that is meant when none is named: SIMSPARK_MASTER, this machine's master, the setting."""
    from simspark.publib.config import surroundings

    settings = choose(flags or {}).settings
    return surroundings().master or daemons.master_here(settings) or settings["worker.master"]


def main() -> None:
    """Run simspark."""
    output.run(group)


if __name__ == "__main__":
    main()
