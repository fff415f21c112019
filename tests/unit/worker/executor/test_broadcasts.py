from __future__ import annotations

import os

import pytest

from simspark.publib.blocks.pieces import append_value
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter
from simspark.publib.errors import FetchFailed, MissingBlock, OutOfReach
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire.messages import ExecutorSettings, Owner
from simspark.worker.executor.broadcasts import read_broadcast
from simspark.worker.executor.env import Environment

VALUE = list(range(40_000))
PIECE_BYTES = 16 << 10


class Machine:
    """One machine's directory, and who else keeps files."""

    def __init__(self, name, directory, others):
        os.makedirs(directory)
        start = ExecutorStart(name + "/1", "app", name, "", "", "", b"", b"", str(directory))
        self.directory = directory
        self.environment = Environment(start)
        own = Owner(name, "", "", "", "")
        self.environment._settings = ExecutorSettings("app", (), "/", 1 << 20, 100, 1000, {}, own)
        self.environment.take_owners([Owner(other, "/elsewhere", "", f"tcp://{other}", "") for other in others])


class Network:
    """Fetches from other machines' directories, and counts who was asked for what."""

    def __init__(self, directories):
        self.directories = directories
        self.asked = []
        self.served = []

    def fetch(self, owner, name, segment):
        self.asked.append(owner.owner)
        return Pending(self, owner.owner, name, segment)


class Pending:
    def __init__(self, network, owner, name, segment):
        self.network, self.owner, self.name, self.segment = network, owner, name, segment

    def wait(self):
        if self.owner not in self.network.directories:
            raise OutOfReach(self.owner)
        with SegmentFile(str(self.network.directories[self.owner] / self.name)) as file:
            if self.segment >= file.segment_count:
                raise MissingBlock(self.name)
            self.network.served.append(self.owner)
            return bytes(file.segment(self.segment))


@pytest.fixture
def pieces(tmp_path):
    (tmp_path / "driver").mkdir()
    writer = SegmentWriter(str(tmp_path / "driver" / "broadcast-1"))
    count = append_value(writer, VALUE, PIECE_BYTES)
    writer.commit()
    return count


def test_a_machine_without_others_has_every_piece_from_the_driver_and_keeps_one_file(tmp_path, pieces):
    machine = Machine("w1", tmp_path / "w1", ["driver"])
    network = Network({"driver": tmp_path / "driver"})
    assert read_broadcast(machine.environment, network, 1, pieces) == VALUE
    assert network.served == ["driver"] * pieces
    assert sorted(os.listdir(machine.directory)) == ["broadcast-1", "broadcast-1.lock"]


def test_the_next_executor_of_the_machine_fetches_nothing(tmp_path, pieces):
    machine = Machine("w1", tmp_path / "w1", ["driver"])
    read_broadcast(machine.environment, Network({"driver": tmp_path / "driver"}), 1, pieces)
    network = Network({})
    assert read_broadcast(machine.environment, network, 1, pieces) == VALUE
    assert network.asked == []


def test_a_whole_copy_on_another_machine_spares_the_driver(tmp_path, pieces):
    first = Machine("w1", tmp_path / "w1", ["driver"])
    read_broadcast(first.environment, Network({"driver": tmp_path / "driver"}), 1, pieces)
    second = Machine("w2", tmp_path / "w2", ["driver", "w1"])
    network = Network({"driver": tmp_path / "driver", "w1": first.directory})
    assert read_broadcast(second.environment, network, 1, pieces) == VALUE
    assert network.served == ["w1"] * pieces


def test_single_pieces_that_another_machine_has_are_had_from_there(tmp_path, pieces):
    (tmp_path / "w1").mkdir()
    with SegmentFile(str(tmp_path / "driver" / "broadcast-1")) as whole:
        writer = SegmentWriter(str(tmp_path / "w1" / "broadcast-1.2"))
        writer.append_frame(0, bytes(whole.segment(2)))
        writer.commit()
    machine = Machine("w2", tmp_path / "w2", ["driver", "w1"])
    network = Network({"driver": tmp_path / "driver", "w1": tmp_path / "w1"})
    assert read_broadcast(machine.environment, network, 1, pieces) == VALUE
    assert sorted(network.served) == ["driver"] * (pieces - 1) + ["w1"]


def test_a_machine_out_of_reach_is_asked_once(tmp_path, pieces):
    machine = Machine("w2", tmp_path / "w2", ["driver", "gone"])
    network = Network({"driver": tmp_path / "driver"})
    assert read_broadcast(machine.environment, network, 1, pieces) == VALUE
    assert network.asked.count("gone") == 1


class Interrupted(Network):
    """Loses the driver after some pieces."""

    def fetch(self, owner, name, segment):
        if len(self.served) == 2:
            self.directories = {}
        return super().fetch(owner, name, segment)


def test_a_copy_that_was_interrupted_goes_on_where_it_stopped(tmp_path, pieces):
    machine = Machine("w1", tmp_path / "w1", ["driver"])
    with pytest.raises(FetchFailed):
        read_broadcast(machine.environment, Interrupted({"driver": tmp_path / "driver"}), 1, pieces)
    network = Network({"driver": tmp_path / "driver"})
    assert read_broadcast(machine.environment, network, 1, pieces) == VALUE
    assert len(network.served) == pieces - 2
