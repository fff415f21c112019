"""Daemon configuration: from where a value comes, and the frozen values that daemons are given.

Nearest wins: code, flag, environment, ./simspark.toml, $XDG_CONFIG_HOME/simspark/simspark.toml,
/etc/simspark/simspark.toml, default. An unknown key is an error that names its place and the key that was
probably meant.
``surroundings()`` is the one function of the daemons and commands that reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simspark.publib import failpoints
from simspark.publib.errors import ConfigError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.resources import usable_cores, usable_memory_bytes
from simspark.publib.settings import SECTIONS, SETTINGS, Setting

SYSTEM_FILE = "/etc/simspark/simspark.toml"
FILE_NAME = "simspark.toml"
GIB = 1 << 30
FLAG_OF = {
    "worker.labels": "label",
    "paths.state": "state-dir",
    "paths.logs": "log-dir",
    "log.format": "log-format",
    "log.level": "log-level",
}
OTHER_VARIABLES = frozenset({"SIMSPARK_MASTER", "SIMSPARK_TOKEN", "SIMSPARK_LOCAL_DIR", failpoints.VARIABLE})


FAST = {
    "master.heartbeat_interval": "100ms",
    "master.late_after": "500ms",
    "master.check_interval": "500ms",
}
"""Times for tests, as the code layer of ``load``."""


class Secret:
    """A text that no log line, repr or traceback shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one place that uses it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    __str__ = __repr__


class Surroundings(NamedTuple):
    """What the process finds around it: its SIMSPARK_ variables and the places of its user."""

    variables: Mapping[str, str]
    token: Secret
    master: str
    state_home: str
    files: tuple[tuple[str, str], ...]  # (path, how it is shown), nearest first
    temporary: str


class Value(NamedTuple):
    """A value, its text, and where it came from."""

    value: Any
    text: str
    source: str


class MasterConfig(NamedTuple):
    """Everything that the master is told."""

    host: str
    port: int
    advertised_host: str
    heartbeat_interval_s: float
    late_after_s: float
    check_interval_s: float
    dead_after_checks: int
    keys_dir: str
    state_dir: str
    log_dir: str
    log_format: str
    log_level: str
    failpoints: str


class WorkerConfig(NamedTuple):
    """Everything that a worker is told. Its heartbeat interval comes from the master."""

    name: str
    master_url: str
    host: str
    port: int
    advertised_host: str
    cores: int
    memory_bytes: int
    work_dir: str
    labels: Mapping[str, str]
    token: Secret
    keys_dir: str
    state_dir: str
    log_dir: str
    log_format: str
    log_level: str
    failpoints: str


class Access(NamedTuple):
    """What a driver or a command needs to be let in: the directory of this machine's keys, or a token."""

    keys_dir: str
    token: Secret


def surroundings(environment: Mapping[str, str] | None = None) -> Surroundings:
    """Read the environment."""
    env = os.environ if environment is None else environment
    home = env.get("HOME") or os.path.expanduser("~")
    config_home = env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    state_home = env.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    personal = os.path.join(config_home, "simspark", FILE_NAME)
    return Surroundings(
        variables={name: text for name, text in env.items() if name.startswith("SIMSPARK_")},
        token=Secret(env.get("SIMSPARK_TOKEN", "").strip()),
        master=env.get("SIMSPARK_MASTER", "").strip(),
        state_home=os.path.join(state_home, "simspark"),
        files=(
            (os.path.abspath(FILE_NAME), "./" + FILE_NAME),
            (personal, personal),
            (SYSTEM_FILE, SYSTEM_FILE),
        ),
        temporary=os.path.join(env.get("TMPDIR") or "/tmp", f"simspark-{os.getuid()}"),  # noqa: S108 - 0700, per user
    )


class Settings:
    """All settings with their sources. ``master()``, ``worker()`` and ``access()`` make the frozen values."""

    def __init__(self, values: Mapping[str, Value], around: Surroundings) -> None:
        self._values = values
        self._around = around

    def __getitem__(self, key: str) -> Any:
        return self._values[key].value

    def items(self) -> Iterator[tuple[Setting, Value]]:
        """Every setting with its value, in the order of the registry."""
        return ((SETTINGS[key], value) for key, value in self._values.items())

    def source(self, key: str) -> str:
        """Where the value of this key came from."""
        return self._values[key].source

    def master(self) -> MasterConfig:
        """Everything that the master is told, its relations checked."""
        config = MasterConfig(
            host=self["master.host"],
            port=self["master.port"],
            advertised_host=self["master.advertised_host"],
            heartbeat_interval_s=self["master.heartbeat_interval"],
            late_after_s=self["master.late_after"],
            check_interval_s=self["master.check_interval"],
            dead_after_checks=self["master.dead_after_checks"],
            **self._places(),
        )
        self._check_relations(config)
        return config

    def worker(self) -> WorkerConfig:
        """Everything that a worker is told; cores and memory are counted where nobody said them."""
        return WorkerConfig(
            name=self["worker.name"],
            master_url=self["worker.master"],
            host=self["worker.host"],
            port=self["worker.port"],
            advertised_host=self["worker.advertised_host"],
            cores=self["worker.cores"] or usable_cores(),
            memory_bytes=self["worker.memory"] or _offered_memory_bytes(),
            work_dir=self["worker.work_dir"] or self._default_work_dir(),
            labels=self["worker.labels"],
            token=self.access().token,
            **self._places(),
        )

    def access(self) -> Access:
        """What lets this process in; the token of the environment is nearer than that of the file."""
        token, path = self._around.token, self["worker.token_file"]
        if not token and path:
            token = Secret(_read_token(path, self.source("worker.token_file")))
        return Access(self["paths.keys"], token)

    def _places(self) -> dict[str, str]:
        return {
            "keys_dir": self["paths.keys"],
            "state_dir": self["paths.state"],
            "log_dir": self["paths.logs"],
            "log_format": self["log.format"],
            "log_level": self["log.level"],
            "failpoints": self._around.variables.get(failpoints.VARIABLE, ""),
        }

    def _default_work_dir(self) -> str:
        from zlib import crc32

        # Two clusters of one user, told apart by their state, share no directory. Short: sockets live inside.
        cluster = crc32(self["paths.state"].encode())
        return os.path.join(self["paths.scratch"], f"{self['worker.name']}-{cluster:08x}")

    def _check_relations(self, config: MasterConfig) -> None:
        if config.heartbeat_interval_s <= 0 or config.check_interval_s <= 0 or config.dead_after_checks < 1:
            raise ConfigError("master.heartbeat_interval, check_interval and dead_after_checks must be above 0.")
        if config.late_after_s < 2 * config.heartbeat_interval_s:
            raise ConfigError(
                f"master.late_after ({config.late_after_s:g} s, from {self.source('master.late_after')}) "
                f"must be at least twice master.heartbeat_interval ({config.heartbeat_interval_s:g} s): "
                "one heartbeat may be lost."
            )


def load(
    code: Mapping[str, object] | None = None,
    flags: Mapping[str, str] | None = None,
    around: Surroundings | None = None,
) -> Settings:
    """Resolve every setting. ConfigError, naming the place, for an unknown key or a malformed value."""
    around = around or surroundings()
    layers = [
        {_known(key, "code"): (_as_text(value), "code") for key, value in (code or {}).items()},
        {key: (text, "--" + flag_of(key)) for key, text in (flags or {}).items()},
        dict(_from_environment(around.variables)),
        *(dict(_from_file(path, shown)) for path, shown in around.files),
    ]
    values = {key: _resolve(setting, layers) for key, setting in SETTINGS.items()}
    _fill_places(values, around)
    return Settings(values, around)


def private(directory: str) -> dict[str, str]:
    """Settings, as the code layer of ``load``, that keep a cluster to free ports and one directory."""
    return {
        "master.port": "0",
        "worker.port": "0",
        "paths.state": os.path.join(directory, "state"),
        "paths.scratch": os.path.join(directory, "scratch"),
    }


def is_loopback(address: str) -> bool:
    """Whether an address or URL is one that no other machine can reach."""
    host = address.rpartition("//")[2].rpartition(":")[0] or address
    return host.strip("[]") in {"localhost", "::1"} or host.startswith("127.")


def flag_of(key: str) -> str:
    """Name of the flag of a setting, without its dashes."""
    return FLAG_OF.get(key) or key.partition(".")[2].replace("_", "-")


def _resolve(setting: Setting, layers: Iterable[Mapping[str, tuple[str, str]]]) -> Value:
    text, source = next((layer[setting.key] for layer in layers if setting.key in layer), (setting.default, "default"))
    try:
        return Value(setting.kind.parse(text), text, source)
    except ValueError:
        raise ConfigError(
            f"{setting.key} = {text!r} (from {source}) is not {setting.kind.form}. Example: {setting.example}"
        ) from None


def _fill_places(values: dict[str, Value], around: Surroundings) -> None:
    """Compute the places that nobody named. Keys and logs follow the state: one variable moves a cluster."""
    state = values["paths.state"].value or around.state_home
    computed = {
        "paths.state": state,
        "paths.keys": os.path.join(state, "keys"),
        "paths.logs": os.path.join(state, "logs"),
        "paths.scratch": around.temporary,
    }
    for key, path in computed.items():
        if not values[key].value:
            values[key] = Value(path, path, "default")


def _from_environment(variables: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    key_of = {setting.variable: key for key, setting in SETTINGS.items()}
    for name, text in variables.items():
        if name in key_of:
            yield key_of[name], (text, name)
        elif name not in OTHER_VARIABLES and name.split("_")[1].lower() in SECTIONS:
            raise ConfigError(f"Unknown setting {name} in the environment.{_suggestion(name, key_of)}")


def _from_file(path: str, shown: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if not os.path.isfile(path):
        return
    import tomllib

    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
        tables = tomllib.loads(source)
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot read {shown}: {error}") from None
    for section, table in tables.items():
        entries = table.items() if isinstance(table, dict) else [("", table)]
        for name, value in entries:
            place = f"{shown}:{_line_of(source, section, name)}"
            key = _known(f"{section}.{name}" if name else section, place)
            yield key, (_as_text(value), place)


def _known(key: str, place: str) -> str:
    if key not in SETTINGS:
        raise ConfigError(f"Unknown setting {key!r} in {place}.{_suggestion(key, SETTINGS)}")
    return key


def _suggestion(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), 1, 0.6)
    return f" Did you mean {close[0]}?" if close else " See: simspark config show"


def _line_of(source: str, section: str, name: str) -> int:
    """Line of a key in a TOML text that parsed; the section's, when the key is spelled in an unusual way."""
    current, section_line = "", 1
    for number, line in enumerate(source.splitlines(), 1):
        text = line.strip()
        if text.startswith("["):
            current = text.strip("[] ").partition("#")[0].strip(" ]")
            if current in {section, f"{section}.{name}"}:
                section_line = number
        left = text.partition("=")[0].strip().strip("\"'")
        top = f"{section}.{name}" if name else section
        if left == top or (current == section and left == name):
            return number
    return section_line


def _as_text(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _offered_memory_bytes() -> int:
    total = usable_memory_bytes()
    return max(total - GIB, total // 2)


def _read_token(path: str, source: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot read the token in {path} (from {source}): {error}") from None
