"""The one registry of daemon settings: flags, environment names and ``simspark config show`` come from it.

A setting is text until it is parsed: "512m" is a size, "30s" a time, "zone=a,disk=ssd" labels. Its name in
the environment is SIMSPARK_ and the key in upper case, with an underscore for the dot.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from simspark.publib.named_tuple import NamedTuple

_SIZE_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIME_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


class Kind(NamedTuple):
    """A type of setting: what it is called, how its text is read, and what such a text looks like."""

    name: str
    parse: Callable[[str], Any]
    form: str


def _split_unit(text: str) -> tuple[float, str]:
    number = text.strip().lower().rstrip("abcdefghijklmnopqrstuvwxyz")
    value = float(number)
    if value < 0 or value != value or value == float("inf"):  # noqa: PLR0124 - not a number is unequal to itself
        raise ValueError(text)
    return value, text.strip().lower()[len(number) :].strip()


def parse_size(text: str) -> int:
    """Bytes in "512m", "2g", "1.5gb", "64k" or "1024"; powers of 1024, as Spark counts."""
    value, unit = _split_unit(text)
    unit = unit.removesuffix("ib") or unit
    unit = unit.removesuffix("b") if len(unit) > 1 else unit
    if unit not in _SIZE_UNITS:
        raise ValueError(text)
    return int(value * _SIZE_UNITS[unit])


def parse_time(text: str) -> float:
    """Seconds in "250ms", "30s", "5m", "2h" or "30"."""
    value, unit = _split_unit(text)
    if unit not in _TIME_UNITS_S:
        raise ValueError(text)
    return value * _TIME_UNITS_S[unit]


def parse_labels(text: str) -> dict[str, str]:
    """Labels in "zone=a,disk=ssd"."""
    labels: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise ValueError(text)
        labels[key.strip()] = value.strip()
    return labels


def _parse_count(text: str) -> int:
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


def _parse_port(text: str) -> int:
    if not 0 <= int(text) < 1 << 16:
        raise ValueError(text)
    return int(text)


def _parse_path(text: str) -> str:
    return os.path.abspath(os.path.expanduser(text)) if text else ""


def _parse_name(text: str) -> str:
    if not text or not all(letter.isalnum() or letter in "-_." for letter in text) or len(text) > 40:
        raise ValueError(text)
    return text


def _choice(*words: str) -> Kind:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind("choice", parse, " or ".join(words))


TEXT = Kind("text", str, "text")
COUNT = Kind("count", _parse_count, "a whole number")
PORT = Kind("port", _parse_port, "a port from 0 to 65535; 0 takes a free one")
SIZE = Kind("size", parse_size, 'a size such as "512m" or "2g"')
TIME = Kind("time", parse_time, 'a time such as "500ms", "30s" or "2m"')
PATH = Kind("path", _parse_path, "a path")
NAME = Kind("name", _parse_name, "at most 40 letters, digits, '-', '_' or '.'")
LABELS = Kind("labels", parse_labels, "KEY=VALUE, several with commas")


class Setting(NamedTuple):
    """One setting. An empty default is computed: the doc says from what."""

    key: str
    kind: Kind
    default: str
    doc: str
    example: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return VARIABLE_OF.get(self.key) or "SIMSPARK_" + self.key.replace(".", "_").upper()


VARIABLE_OF = {"paths.scratch": "SIMSPARK_LOCAL_DIR"}

_ALL = (
    Setting("master.host", TEXT, "127.0.0.1", "Address to listen on; 0.0.0.0 for other machines too.", "0.0.0.0"),
    Setting("master.port", PORT, "7077", "Port to listen on; 0 takes a free one.", "7077"),
    Setting(
        "master.advertised_host",
        TEXT,
        "",
        "Address that others dial; by default what it listens on.",
        "10.0.0.1",
    ),
    Setting("master.heartbeat_interval", TIME, "1s", "How often each worker says that it is there.", "1s"),
    Setting("master.late_after", TIME, "5s", "A worker silent for so long gets no new executors.", "5s"),
    Setting("master.check_interval", TIME, "5s", "How often silent workers are looked for.", "5s"),
    Setting("master.dead_after_checks", COUNT, "3", "A worker late at so many checks in a row is dead.", "3"),
    Setting("worker.name", NAME, "default", "Names this worker: several may run on one machine.", "gpu-1"),
    Setting("worker.master", TEXT, "simspark://127.0.0.1:7077", "Master to join.", "simspark://10.0.0.1:7077"),
    Setting(
        "worker.host",
        TEXT,
        "127.0.0.1",
        "Address to serve blocks on; 0.0.0.0 for other machines too.",
        "0.0.0.0",
    ),
    Setting("worker.port", PORT, "0", "Port to serve blocks on; 0 takes a free one.", "7078"),
    Setting(
        "worker.advertised_host",
        TEXT,
        "",
        "Address that others dial; by default what it serves on.",
        "10.0.0.2",
    ),
    Setting("worker.cores", COUNT, "0", "Cores to offer, an executor each; 0 offers all there are.", "4"),
    Setting("worker.memory", SIZE, "0", "Memory to offer; 0 offers all but 1 GiB, half at the least.", "8g"),
    Setting(
        "worker.work_dir",
        PATH,
        "",
        "Where applications keep files; by default in paths.scratch.",
        "/data/simspark",
    ),
    Setting("worker.labels", LABELS, "", "What programs may ask of a worker.", "zone=a,disk=ssd"),
    Setting(
        "worker.token_file",
        PATH,
        "",
        "File with a token, where SIMSPARK_TOKEN is not set.",
        "/etc/simspark/token",
    ),
    Setting(
        "paths.state",
        PATH,
        "",
        "Pid files and journal; by default $XDG_STATE_HOME/simspark.",
        "/var/lib/simspark",
    ),
    Setting("paths.keys", PATH, "", "Keys; by default keys in paths.state.", "/etc/simspark/keys"),
    Setting("paths.logs", PATH, "", "Logs; by default logs in paths.state.", "/var/log/simspark"),
    Setting(
        "paths.scratch",
        PATH,
        "",
        "Short-lived files; by default simspark-UID in the temporary directory.",
        "/scratch",
    ),
    Setting("log.format", _choice("text", "json"), "text", "Form of the daemons' log lines.", "json"),
    Setting(
        "log.level",
        _choice("debug", "info", "warning", "error"),
        "info",
        "Least level that is logged.",
        "debug",
    ),
)

SETTINGS: dict[str, Setting] = {setting.key: setting for setting in _ALL}
SECTIONS = frozenset(key.partition(".")[0] for key in SETTINGS)
