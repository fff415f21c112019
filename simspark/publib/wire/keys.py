"""Keys: who may connect, and in which role.

A key ring is a directory of mode 0700 that holds files of mode 0600, made when the first daemon starts:

    server.key           the master's own pair
    worker.key           a pair for workers on this machine
    driver.key           a pair for drivers on this machine
    authorised           one line for each client key that may connect: <public key> <role> <name>

Another machine gets one token, a string that holds the master's public key, a role and a pair of its own. Keys are
text in z85. Secrets show in no repr, no log and no error.
"""

from __future__ import annotations

import base64
import os
import stat

import zmq

from simspark.publib.errors import AccessRefused, ConfigError
from simspark.publib.named_tuple import NamedTuple

ROLES = ("worker", "driver")
TOKEN_PREFIX = "simspark1."  # noqa: S105 (how every token starts)
CHECKSUM_BYTES = 4
KEY_BYTES = 32
Z85_LENGTH = 40
FILE_LIMIT_BYTES = 1 << 20


class ServerKeys(NamedTuple):
    """The pair of who listens. Also any fresh pair, see ``new_pair``."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"ServerKeys({self.public!r}, secret hidden)"


class ClientKeys(NamedTuple):
    """The pair of who dials, and the public key that the other side must have."""

    public: str
    secret: str
    server: str

    def __repr__(self) -> str:
        return f"ClientKeys({self.public!r}, secret hidden, server={self.server!r})"


class Token(NamedTuple):
    """What a token string says."""

    role: str
    keys: ClientKeys


def new_pair() -> ServerKeys:
    """A fresh key pair."""
    public, secret = zmq.curve_keypair()
    return ServerKeys(public.decode("ascii"), secret.decode("ascii"))


def format_token(role: str, keys: ClientKeys) -> str:
    """The one string that another machine needs."""
    parts = (keys.server, keys.public, keys.secret)
    body = bytes([ROLES.index(role)]) + b"".join(_from_z85(part) for part in parts)
    return TOKEN_PREFIX + base64.urlsafe_b64encode(body + _checksum(body)).decode("ascii").rstrip("=")


def parse_token(text: str) -> Token:
    """Read a token. Raises ConfigError without repeating it."""
    text = text.strip()
    encoded = text.removeprefix(TOKEN_PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    body, checksum = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
    whole = len(body) == 1 + 3 * KEY_BYTES and checksum == _checksum(body) and body[0] < len(ROLES)
    if not text.startswith(TOKEN_PREFIX) or not whole:
        raise ConfigError(
            "this is not a whole token; `simspark keys issue` on the master's machine prints one, all on one line"
        )
    server, public, secret = (_to_z85(body[start : start + KEY_BYTES]) for start in range(1, len(body), KEY_BYTES))
    return Token(ROLES[body[0]], ClientKeys(public, secret, server))


def client_keys(directory: str, token: str, role: str) -> ClientKeys:
    """What a worker or driver dials with: its token if it has one, else the keys of this machine's master."""
    if not token:
        return KeyRing(directory).client(role)
    parsed = parse_token(token)
    if parsed.role != role:
        raise AccessRefused(f"the token is for a {parsed.role}; this is a {role}")
    return parsed.keys


class KeyRing:
    """The keys in one directory. ``role_of`` may be called by any thread.

    What is ``lasting`` outlives the machine's end, and is waited for; keys that go with their parent need not.
    """

    def __init__(self, directory: str, *, lasting: bool = True) -> None:
        self.directory = directory
        self._lasting = lasting
        self._roles: dict[str, str] = {}
        self._version: tuple[int, int, int] | None = None

    def ensure(self) -> KeyRing:
        """Make what is missing. Two processes may do so at once: the first one's keys stay."""
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make the key directory {self.directory}: {error.strerror}") from error
        self._check_directory()
        for name in ("server", *ROLES):
            if not os.path.exists(self._path(f"{name}.key")):
                pair = new_pair()
                self._create(f"{name}.key", f"{pair.public}\n{pair.secret}\n")
        self._create("authorised", "")
        for role in ROLES:
            public = self._pair(f"{role}.key").public
            if self.role_of(public) != role:
                self._authorise(public, role, "this-machine")
        return self

    def server(self) -> ServerKeys:
        """The master's pair."""
        return self._pair("server.key")

    def client(self, role: str) -> ClientKeys:
        """The pair of this machine's workers or drivers."""
        _check_role(role)
        own = self._pair(f"{role}.key")
        return ClientKeys(own.public, own.secret, self.server().public)

    def issue(self, role: str, name: str) -> str:
        """Authorise a fresh key and return its token. The secret is kept nowhere else."""
        _check_role(role)
        if not name or len(name) > 100 or not name.isprintable() or " " in name:
            raise ConfigError(f"a key's name is up to 100 characters without spaces, not {name!r}")
        pair = new_pair()
        token = format_token(role, ClientKeys(pair.public, pair.secret, self.server().public))
        self._authorise(pair.public, role, name)
        return token

    def role_of(self, public_key: str) -> str | None:
        """The role that a client's key proves, or None. Reads the file again when it has changed."""
        found = os.stat(self._path("authorised"))
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        if version != self._version:
            self._roles = self._read_authorised()
            self._version = version
        return self._roles.get(public_key)

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _check_directory(self) -> None:
        try:
            found = os.stat(self.directory)
        except OSError as error:
            raise AccessRefused(
                f"no keys in {self.directory}: start a master on this machine, or set SIMSPARK_TOKEN to a token"
                " that `simspark keys issue` printed there"
            ) from error
        _check_private(self.directory, found, "700")

    def _read(self, name: str) -> str:
        self._check_directory()
        path = self._path(name)
        try:
            with open(path, encoding="ascii") as file:
                _check_private(path, os.fstat(file.fileno()), "600")
                return file.read(FILE_LIMIT_BYTES)
        except FileNotFoundError as error:
            raise AccessRefused(
                f"no key {path}: start a master on this machine, or set SIMSPARK_TOKEN to a token"
                " that `simspark keys issue` printed there"
            ) from error
        except AccessRefused:
            raise
        except (OSError, UnicodeDecodeError) as error:
            raise AccessRefused(f"cannot read the key {path}: {getattr(error, 'strerror', 'not text')}") from error

    def _pair(self, name: str) -> ServerKeys:
        lines = self._read(name).split()
        if len(lines) != 2 or any(len(line) != Z85_LENGTH for line in lines):
            raise ConfigError(f"{self._path(name)} holds no key pair; remove it to have one made anew")
        return ServerKeys(*lines)

    def _create(self, name: str, text: str) -> None:
        """Make a file whole or not at all; one that exists stays."""
        temporary = self._path(f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                self._sync(file.fileno())
            os.link(temporary, self._path(name))
        except FileExistsError:
            pass
        except OSError as error:
            raise ConfigError(f"cannot write keys to {self.directory}: {error.strerror}") from error
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)

    def _sync(self, fd: int) -> None:
        if self._lasting:
            os.fsync(fd)

    def _authorise(self, public: str, role: str, name: str) -> None:
        # One short write in append mode: lines of two processes do not mix.
        try:
            handle = os.open(self._path("authorised"), os.O_WRONLY | os.O_APPEND)
            try:
                os.write(handle, f"{public} {role} {name}\n".encode("ascii", "replace"))
                self._sync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise ConfigError(f"cannot write keys to {self.directory}: {error.strerror}") from error

    def _read_authorised(self) -> dict[str, str]:
        roles: dict[str, str] = {}
        for line in self._read("authorised").splitlines():
            parts = line.split(" ")
            if len(parts) == 3 and len(parts[0]) == Z85_LENGTH and parts[1] in ROLES:
                roles[parts[0]] = parts[1]
        return roles


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise ConfigError(f"a key is for a {' or a '.join(ROLES)}, not for {role!r}")


def _check_private(path: str, found: os.stat_result, mode: str) -> None:
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise AccessRefused(f"{path} can be read by others, so its keys are not used: chmod {mode} {path}")
    if found.st_uid not in {os.geteuid(), 0}:
        raise AccessRefused(f"{path} belongs to another user (uid {found.st_uid}), so its keys are not used")


def _checksum(body: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(body).digest()[:CHECKSUM_BYTES]


def _from_z85(text: str) -> bytes:
    from zmq.utils import z85

    return z85.decode(text.encode("ascii"))


def _to_z85(raw: bytes) -> str:
    from zmq.utils import z85

    return z85.encode(raw).decode("ascii")
