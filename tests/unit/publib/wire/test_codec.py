"""Messages to bytes and back: what is written is read, and nothing that is read can be anything else."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simspark.publib.errors import MessageTooLarge, ProtocolError
from simspark.publib.wire import codec, messages

KINDS = sorted(messages.REGISTRY.values(), key=lambda kind: kind.__name__)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FUZZ_CASES = 120_000


def strategy_of(hint: Any) -> st.SearchStrategy[Any]:
    plain = {
        int: INTEGERS,
        float: st.floats(allow_nan=False),
        str: st.text(max_size=8),
        bytes: st.binary(max_size=8),
        bool: st.booleans(),
        type(None): st.none(),
    }
    if hint in plain:
        return plain[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is dict:
        return st.dictionaries(strategy_of(arguments[0]), strategy_of(arguments[1]), max_size=3)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return st.lists(strategy_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(strategy_of, arguments))
    if origin is Union or arguments:
        return st.one_of(*map(strategy_of, arguments))
    return instances(hint)


def instances(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.tuples(*(strategy_of(hints[name]) for name in kind._fields)).map(lambda row: kind(*row))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_message_comes_back_as_it_was(kind):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(kind), st.integers(1, 2**40), st.integers(0, 2**40))
    def round_trip(message, seq, ack):
        found = codec.decode(codec.encode(seq, ack, message))
        assert found == (seq, ack, message)
        assert type(found[2]) is kind

    round_trip()


def test_nested_rows_come_back_as_their_classes():
    task = messages.TaskLaunch(1, 2, 0, b"split")
    launch = messages.LaunchTasks(1, 2, 0, b"h" * 32, {"a": "b"}, (task,))
    _, _, found = codec.decode(codec.encode(1, 0, launch))
    assert type(found.tasks[0]) is messages.TaskLaunch


def test_an_acknowledgement_has_no_message():
    assert codec.decode(codec.encode_ack(7)) == (0, 7, None)


def frame(*row: Any) -> bytes:
    return msgpack.packb(row)


TAG = {kind: tag for tag, kind in messages.REGISTRY.items()}
GIVE_BACK = TAG[messages.GiveBack]
LAUNCH = TAG[messages.LaunchTasks]
SETTINGS_TAG = TAG[messages.KillExecutors]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xc1",
        b"\x93",
        frame(),
        frame(1),
        frame(1, 0),
        frame(1, 0, 999, 1),
        frame(1, 0, 9, 1),
        frame(0, 0, GIVE_BACK, 1),
        frame(-1, 0, GIVE_BACK, 1),
        frame(1, -1, GIVE_BACK, 1),
        frame(1.0, 0, GIVE_BACK, 1),
        frame(True, 0, GIVE_BACK, 1),
        frame(1, 0, True, 1),
        frame(1, 0, GIVE_BACK),
        frame(1, 0, GIVE_BACK, "1"),
        frame(1, 0, GIVE_BACK, True),
        frame(1, 0, GIVE_BACK, 1.0),
        frame(1, 0, GIVE_BACK, None),
        frame(1, 0, SETTINGS_TAG, "ab", "reason"),
        frame(1, 0, SETTINGS_TAG, [1], "reason"),
        frame(1, 0, SETTINGS_TAG, [["a"]], "reason"),
        frame(1, 0, LAUNCH, 1, 2, 0, b"h", {"a": 1}, []),
        frame(1, 0, LAUNCH, 1, 2, 0, b"h", {b"a": "b"}, []),
        frame(1, 0, LAUNCH, 1, 2, 0, b"h", {}, [[1, 2, 3]]),
        frame(1, 0, LAUNCH, 1, 2, 0, b"h", {}, [[1, 2, 3, "split"]]),
        frame(1, 0, LAUNCH, 1, 2, 0, b"h", {}, [1]),
        frame(1, 0, TAG[messages.MapOutputs], 1, 1, [], [[1]]),
        frame(1, 0, TAG[messages.MapOutputs], 1, 1, [], [[1, 2, 3]]),
        frame(1, 0, GIVE_BACK, 1) + b"x",
        frame(1, 0, GIVE_BACK, msgpack.Timestamp(1, 0)),
        frame(1, 0, GIVE_BACK, msgpack.ExtType(5, b"x")),
        b"\x94\x01\x00" + bytes([GIVE_BACK]) + b"\xd9\x02\xff\xfe",
        b"\x94\x01\x00" + bytes([GIVE_BACK]) + b"\x91" * 100_000,
        b"\x94\x01\x00" + bytes([GIVE_BACK]) + b"\xdd\xff\xff\xff\xff",
        b"\x94\x01\x00" + bytes([GIVE_BACK]) + b"\xdf\xff\xff\xff\xff",
        b"\x94\x01\x00" + bytes([GIVE_BACK]) + b"\xc6\xff\xff\xff\xff",
        frame(1, 0, TAG[messages.Heartbeat], 1, 1, 2**64 - 1, 2**64 - 1) + b"\x00",
        b"x" * (codec.MAX_FRAME_BYTES + 1),
    ],
)
def test_what_is_no_message_is_a_protocol_error(bad):
    with pytest.raises(ProtocolError):
        codec.decode(bad)


@pytest.mark.parametrize(
    "head", [b"\xdd\x00\x0f\xff\xff", b"\xdc\xff\xff", b"\xdc\x20\x00", b"\x91", b"\xdf\x00\x0f\xff\xff"]
)
def test_a_small_frame_that_promises_much_takes_little_memory(head):
    bomb = b"\x94\x01\x00" + bytes([GIVE_BACK]) + head * 1020
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            codec.decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_fields_of_newer_peers_are_ignored():
    assert codec.decode(frame(1, 0, GIVE_BACK, 5, "new", {})) == (1, 0, messages.GiveBack(5))


class Grown(NamedTuple):
    """A message that got fields later."""

    old: int
    new: str = "default"
    newer: tuple[int, ...] = ()


def test_fields_that_older_peers_lack_get_their_defaults():
    check = codec.struct_check(Grown)
    assert check((1,)) == Grown(1)
    assert check((1, "a")) == Grown(1, "a")
    with pytest.raises(ProtocolError):
        check(())


def test_a_whole_number_is_a_float_where_one_is_expected():
    _, _, found = codec.decode(frame(1, 0, TAG[messages.Heartbeat], 1, 1, 2, 3))
    assert type(found.load) is float


def test_the_sender_learns_that_a_message_is_too_large():
    with pytest.raises(MessageTooLarge, match="QueueState takes .* the limit is 1048576"):
        codec.encode(1, 0, messages.QueueState("x" * messages.MIB, 0, 0, 0, False))
    with pytest.raises(MessageTooLarge):
        codec.encode(1, 0, messages.GiveBack(2**70))
    with pytest.raises(MessageTooLarge, match="no message"):
        codec.encode(1, 0, messages.TaskLaunch(1, 2, 3, b""))


def test_a_large_frame_of_a_small_message_is_refused_before_it_is_unpacked():
    huge = frame(1, 0, TAG[messages.QueueState], "x" * (messages.MIB + 10), 0, 0, 0, False)
    with pytest.raises(ProtocolError, match="QueueState of"):
        codec.decode(huge)


def samples() -> list[bytes]:
    found: list[bytes] = []
    for kind in KINDS:

        @settings(max_examples=4, deadline=None, database=None, derandomize=True)
        @given(instances(kind))
        def collect(message):
            found.append(codec.encode(3, 2, message))

        collect()
    return found


def mutate(seeded: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(seeded.choice(seeds))
    for _ in range(seeded.randint(1, 4)):
        match seeded.randint(0, 4):
            case 0:
                data[seeded.randrange(len(data))] = seeded.randrange(256)
            case 1:
                del data[seeded.randrange(len(data)) :]
            case 2:
                at = seeded.randrange(len(data) + 1)
                data[at:at] = seeded.randbytes(seeded.randint(1, 5))
            case 3:
                at = seeded.randrange(len(data))
                data[at : at + 1] = seeded.choice(seeds)
            case 4:
                data[:] = seeded.randbytes(seeded.randint(1, 40))
        data = data or bytearray(b"\x00")
    return bytes(data)


def test_damaged_frames_are_messages_or_protocol_errors_and_nothing_else():
    seeded = random.Random(20)
    seeds = samples()
    refused = 0
    for case in range(FUZZ_CASES):
        bad = mutate(seeded, seeds)
        try:
            _, _, message = codec.decode(bad)
        except ProtocolError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"case {case}: {bad!r}") from error
        else:
            if message is not None:
                # Whatever gets through has the annotated types, so it can be written again.
                assert codec.decode(codec.encode(1, 0, message))[2] is not None
    assert FUZZ_CASES // 4 < refused < FUZZ_CASES
