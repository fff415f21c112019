"""Keys on disk and in tokens: private, whole, and read again when they change."""

from __future__ import annotations

import os
import stat

import pytest

from simspark.publib.errors import AccessRefused, ConfigError
from simspark.publib.wire import keys
from simspark.publib.wire.keys import KeyRing


@pytest.fixture
def ring(tmp_path):
    return KeyRing(str(tmp_path / "keys")).ensure()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_files_are_for_their_owner_alone(ring):
    assert mode(ring.directory) == 0o700
    names = os.listdir(ring.directory)
    assert sorted(names) == ["authorised", "driver.key", "server.key", "worker.key"]
    assert {mode(os.path.join(ring.directory, name)) for name in names} == {0o600}


@pytest.mark.parametrize(("lasting", "times"), [(True, 6), (False, 0)])
def test_keys_that_go_with_their_parent_wait_for_no_disk(tmp_path, monkeypatch, lasting, times):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    made = KeyRing(str(tmp_path / "keys"), lasting=lasting).ensure()
    assert made.role_of(made.client("driver").public) == "driver"
    assert len(synced) == times


def test_a_second_start_keeps_the_keys(ring):
    before = ring.server(), ring.client("worker")
    again = KeyRing(ring.directory).ensure()
    assert (again.server(), again.client("worker")) == before


def test_the_own_keys_of_a_machine_are_authorised_in_their_roles(ring):
    assert ring.role_of(ring.client("worker").public) == "worker"
    assert ring.role_of(ring.client("driver").public) == "driver"
    assert ring.role_of(keys.new_pair().public) is None
    assert ring.role_of(ring.server().public) is None


def test_an_issued_key_is_known_at_once_to_whoever_runs(ring):
    running = KeyRing(ring.directory)
    assert running.role_of("x") is None
    token = keys.parse_token(ring.issue("worker", "machine-7"))
    assert running.role_of(token.keys.public) == "worker"
    assert token.role == "worker"
    assert token.keys.server == ring.server().public


def test_a_removed_line_takes_access_away(ring):
    token = keys.parse_token(ring.issue("driver", "guest"))
    path = os.path.join(ring.directory, "authorised")
    with open(path) as file:
        lines = [line for line in file if "guest" not in line]
    with open(path, "w") as file:
        file.writelines(lines)
    assert ring.role_of(token.keys.public) is None


@pytest.mark.parametrize("damage", ["", "simspark1.", "simspark1.!!!", "simspark2.abc", "hello"])
def test_what_is_no_token_is_refused_without_repeating_it(damage):
    with pytest.raises(ConfigError, match="not a whole token") as caught:
        keys.parse_token(damage)
    assert not damage or damage not in str(caught.value).replace("simspark keys", "")


def test_a_token_with_a_wrong_letter_is_refused(ring):
    token = ring.issue("worker", "w")
    for at in range(len(keys.TOKEN_PREFIX), len(token), 7):
        other = "A" if token[at] != "A" else "B"
        with pytest.raises(ConfigError):
            keys.parse_token(token[:at] + other + token[at + 1 :])


def test_a_token_is_one_word_and_may_have_a_line_end(ring):
    token = ring.issue("worker", "w")
    assert token == token.strip()
    assert " " not in token
    assert keys.parse_token(token + "\n").role == "worker"


def test_a_token_of_another_role_is_refused(ring):
    token = ring.issue("worker", "w")
    with pytest.raises(AccessRefused, match="for a worker; this is a driver"):
        keys.client_keys("/nowhere", token, "driver")
    assert keys.client_keys("/nowhere", token, "worker").server == ring.server().public


def test_without_a_token_the_keys_of_this_machine_are_used(ring):
    assert keys.client_keys(ring.directory, "", "driver") == ring.client("driver")


@pytest.mark.parametrize(("name", "to"), [("", 0o755), ("server.key", 0o644), ("worker.key", 0o660)])
def test_keys_that_others_can_read_are_not_used(ring, name, to):
    os.chmod(os.path.join(ring.directory, name), to)
    with pytest.raises(AccessRefused, match="chmod"):
        ring.client("worker")


def test_authorised_keys_that_others_can_write_are_not_used(ring):
    os.chmod(os.path.join(ring.directory, "authorised"), 0o666)
    with pytest.raises(AccessRefused):
        KeyRing(ring.directory).role_of("x")


def test_missing_keys_say_what_to_do(tmp_path):
    with pytest.raises(AccessRefused, match="SIMSPARK_TOKEN"):
        KeyRing(str(tmp_path / "none")).client("driver")


@pytest.mark.parametrize(("role", "name"), [("executor", "x"), ("worker", ""), ("worker", "a b"), ("worker", "a\nb")])
def test_only_known_roles_and_plain_names_get_keys(ring, role, name):
    with pytest.raises(ConfigError):
        ring.issue(role, name)


def test_a_damaged_key_file_is_named(ring):
    with open(os.path.join(ring.directory, "server.key"), "w") as file:
        file.write("short\n")
    with pytest.raises(ConfigError, match=r"server\.key"):
        ring.server()


def test_secrets_show_in_no_repr(ring):
    for pair in (ring.server(), ring.client("worker"), keys.parse_token(ring.issue("worker", "w"))):
        secret = pair.keys.secret if isinstance(pair, keys.Token) else pair.secret
        assert secret not in repr(pair)
        assert secret not in f"{pair}"
