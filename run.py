"""Set simspark up in .venv, then run it: ``python3 run.py`` shows it at work, ``python3 run.py test`` tests it.

Needs Python 3.11 or newer and nothing else; uses the standard library only. What is set up already is found by
a stamp and not touched again. Where the packages come from is the business of pip's own settings.
"""

import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
OLDEST = (3, 11)
OLDEST_PIP = (22, 1)
DEFINITIONS = ("setup.py", "pyproject.toml", "run.py", os.path.join("simspark", "_version.py"))
# "compat" leaves a line with this path; setuptools' other way imports pathlib at each start of Python, for 15 ms.
EDITABLE = ("--quiet", "--disable-pip-version-check", "--config-settings", "editable_mode=compat", "--editable")
HELP = """\
python3 run.py                a cluster on this machine, two programs on it, nothing left behind
python3 run.py test [...]     the tests; what follows goes to pytest
python3 run.py bench [...]    simspark beside PySpark and others, in .venv-bench: see benchmarks/README.md
python3 run.py setup          only set .venv up
"""


class NotPossible(Exception):
    """One way of making the environment does not work here; another may."""


def say(text: str) -> None:
    """Tell the person what goes on."""
    print(text, file=sys.stderr, flush=True)


def call(*command: str, quiet: bool = False) -> str:
    """Run a command; NotPossible when it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else sys.stderr,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=HERE,
        )
    except OSError as error:
        raise NotPossible(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        output = (done.stdout or b"").decode(errors="replace").strip()
        raise NotPossible(f"{os.path.basename(command[0])} ended with {done.returncode}. {output[-600:]}")
    return (done.stdout or b"").decode(errors="replace")


def definition(extra: str) -> str:
    """What a finished set-up depends on, as one line."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {HERE} {extra}".encode())
    for name in DEFINITIONS:
        with open(os.path.join(HERE, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def stamp(extra: str) -> str:
    """The file that a finished set-up leaves."""
    return os.path.join(VENV, f".simspark-{extra or 'plain'}")


def is_set_up(extra: str) -> bool:
    """Whether this very set-up was finished before, here."""
    try:
        with open(stamp(extra), encoding="ascii") as file:
            return file.read() == definition(extra) and os.path.exists(PYTHON)
    except OSError:
        return False


def with_ensurepip() -> None:
    """The standard way; Debian splits it off into python3-venv."""
    __import__("ensurepip")
    call(sys.executable, "-m", "venv", "--clear", VENV, quiet=True)


def with_uv() -> None:
    """A machine with uv."""
    if not shutil.which("uv"):
        raise NotPossible("uv is not here")
    call("uv", "venv", "--clear", "--seed", "--python", sys.executable, VENV, quiet=True)


def with_virtualenv() -> None:
    """A machine with virtualenv, as a command or a module."""
    command = [shutil.which("virtualenv")] if shutil.which("virtualenv") else [sys.executable, "-m", "virtualenv"]
    call(*command, "--clear", "--python", sys.executable, VENV, quiet=True)


def with_system_pip() -> None:
    """A machine with pip but without ensurepip: its pip installs pip into an environment made without one."""
    call(sys.executable, "-m", "pip", "--version", quiet=True)
    call(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV, quiet=True)
    target = call(PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", quiet=True).strip()
    call(sys.executable, "-m", "pip", "install", "--quiet", "--target", target, "pip", quiet=True)


def with_apt() -> None:
    """A Debian without python3-venv: install it, as root or with sudo."""
    if not shutil.which("apt-get"):
        raise NotPossible("apt-get is not here")
    if os.geteuid() == 0:
        prefix = []
    elif shutil.which("sudo"):
        prefix = ["sudo", "-n"] if not sys.stdin.isatty() else ["sudo"]
    else:
        raise NotPossible("neither root nor sudo")
    install = [*prefix, "apt-get", "install", "-y", "--no-install-recommends", "python3-venv"]
    for command in ([*prefix, "apt-get", "update"], install):
        say("$ " + " ".join(command))
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise NotPossible("apt-get failed")
    call(sys.executable, "-m", "venv", "--clear", VENV, quiet=True)


MEANS = (with_ensurepip, with_uv, with_virtualenv, with_system_pip, with_apt)


def make_environment() -> None:
    """Make .venv by the first means that works here."""
    reasons = []
    for means in MEANS:
        try:
            means()
            call(PYTHON, "-m", "pip", "--version", quiet=True)
        except (NotPossible, ImportError) as error:
            reasons.append(f"  {means.__name__.replace('_', ' ')}: {str(error).splitlines()[0]}")
        else:
            return
    say("Cannot make a virtual environment: this Python has no pip, and nothing here could bring one.")
    say("On Debian or Ubuntu:  apt-get install python3-venv      On Fedora:  dnf install python3-pip")
    say("Elsewhere: install the package of your system that has pip or virtualenv for this Python.")
    say("Then run this again. What was tried:\n" + "\n".join(reasons))
    sys.exit(1)


def upgrade_old_pip() -> None:
    """Editable installs from setup.py and pyproject.toml need pip 21.3, and their settings 22.1."""
    words = call(PYTHON, "-m", "pip", "--version", quiet=True).split()
    version = tuple(int(part) for part in words[1].split(".")[:2] if part.isdigit())
    if version < OLDEST_PIP:
        call(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip")


def set_up(extra: str) -> None:
    """Make .venv if it is missing and install the package there, once."""
    if is_set_up(extra):
        return
    say(f"Setting up {os.path.basename(VENV)} ...")
    if not has_pip():
        make_environment()
    try:
        upgrade_old_pip()
        what = f"{HERE}[{extra}]" if extra else HERE
        call(PYTHON, "-m", "pip", "install", *EDITABLE, what)
    except NotPossible as error:
        say(f"Installing simspark into {os.path.basename(VENV)} failed: {error}")
        sys.exit(1)
    for done in {"", extra, *extra.split(",")}:  # extras come on top of the plain set-up, and each stands for itself
        with open(stamp(done), "w", encoding="ascii") as file:
            file.write(definition(done))


def has_pip() -> bool:
    """Whether .venv stands, was made here, and belongs to this version of Python."""
    code = "import pip, sys; print(sys.version_info[:2], sys.prefix)"
    try:
        told = call(PYTHON, "-c", code, quiet=True).strip()
    except NotPossible:
        return False
    return told == f"{tuple(sys.version_info[:2])} {VENV}"


def use_environment(name: str) -> None:
    """Have everything done in another environment than .venv."""
    global VENV, PYTHON
    VENV = os.path.join(HERE, name)
    PYTHON = os.path.join(VENV, "bin", "python")


def bench_extras(words: list[str]) -> str:
    """What a benchmark needs: PySpark only if it is asked for and has no Python of its own."""
    given = " ".join(words).replace("=", " ").split()
    against = given[given.index("--against") + 1 :][:1] if "--against" in given else ["pyspark"]
    return "bench,spark" if "pyspark" in "".join(against) and "--pyspark-python" not in given else "bench"


def main() -> int:
    """Set up what is missing, then become what was asked for."""
    if sys.version_info < OLDEST:
        say("simspark needs Python 3.11 or newer; this is {}.{}.".format(*sys.version_info[:2]))
        return 1
    verb, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("demo", [])
    if verb not in {"demo", "test", "bench", "setup"}:
        say(HELP.rstrip())
        return 0 if verb in {"-h", "--help", "help"} else 2
    if verb == "bench":
        use_environment(".venv-bench")
    set_up({"test": "test", "bench": bench_extras(rest)}.get(verb, ""))
    if verb == "setup":
        return 0
    os.environ["PATH"] = os.path.join(VENV, "bin") + os.pathsep + os.environ.get("PATH", "")
    if verb == "test":
        os.chdir(HERE)
        command = [PYTHON, "-m", "pytest", *rest]
    elif verb == "bench":
        command = [PYTHON, os.path.join(HERE, "benchmarks", "bench.py"), *rest]
    else:
        command = [PYTHON, "-m", "simspark.cli.simspark", "demo", *rest]
    os.execv(command[0], command)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
