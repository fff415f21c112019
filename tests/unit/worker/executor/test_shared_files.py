from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile

import pytest

from simspark.publib.blocks.pieces import append_value
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter
from simspark.publib.errors import FetchFailed, MissingBlock, UserError
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire.messages import ExecutorSettings, Owner, SharedFile
from simspark.worker.executor.env import Environment
from simspark.worker.executor.shared_files import SharedCopies

pytestmark = pytest.mark.unit


class Driver:
    """The driver's directory as a far machine gets at it; counts what was asked for."""

    def __init__(self, directory):
        self.directory = directory
        self.asked = []
        directory.mkdir()

    def file(self, content, name="x.txt", kind="file", form="", modules=(), digest=""):
        digest = digest or hashlib.blake2b(content, digest_size=16).hexdigest()
        writer = SegmentWriter(str(self.directory / f"shared-{digest}"))
        pieces = append_value(writer, content)
        writer.commit()
        return SharedFile(name, kind, form, f"shared-{digest}", pieces, digest, modules, "")

    def fetch(self, owner, name, segment):
        self.asked.append((name, segment))
        self.wanted = self.directory / name, segment
        return self

    def wait(self):
        path, segment = self.wanted
        with SegmentFile(str(path)) as file:
            return bytes(file.segment(segment))


@pytest.fixture
def driver(tmp_path):
    return Driver(tmp_path / "driver")


def executor(tmp_path, driver):
    directory = tmp_path / "worker"
    directory.mkdir(exist_ok=True)
    environment = Environment(ExecutorStart("w/1", "app", "w", "", "", "", b"", b"", str(directory)))
    own = Owner("w", "", "", "", "")
    environment._settings = ExecutorSettings("app", (), "/", 1 << 20, 100, 1000, {}, own)
    environment.take_owners([Owner("driver", "/elsewhere", "", "tcp://driver", "")])
    return SharedCopies(environment, driver)


@pytest.fixture(autouse=True)
def import_path():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_file_is_copied_when_an_attempt_needs_it_and_once_for_all_executors_of_the_machine(tmp_path, driver):
    first, second = executor(tmp_path, driver), executor(tmp_path, driver)
    file = driver.file(b"content")
    first.take((file,))
    second.take((file,))
    assert not driver.asked
    for copies in (first, second, first):
        copies.bring()
        with open(os.path.join(copies.root(), "x.txt"), "rb") as there:
            assert there.read() == b"content"
    assert driver.asked == [(file.block, 0)]
    assert not list((tmp_path / "worker").rglob("*.new"))


def test_another_content_than_the_driver_named_is_never_made_visible(tmp_path, driver):
    copies = executor(tmp_path, driver)
    copies.take((driver.file(b"content", digest="00" * 16),))
    for _ in range(2):
        with pytest.raises(FetchFailed, match=r"x\.txt is not what the driver added"):
            copies.bring()
    assert os.listdir(copies.root()) == []


def test_a_missing_file_is_asked_for_again_by_the_next_attempt(tmp_path, driver):
    copies = executor(tmp_path, driver)
    file = driver.file(b"content")
    os.rename(driver.directory / file.block, driver.directory / "away")
    copies.take((file,))
    with pytest.raises((FetchFailed, MissingBlock)):
        copies.bring()
    os.rename(driver.directory / "away", driver.directory / file.block)
    copies.bring()
    assert os.listdir(copies.root()) == ["x.txt"]


def packed(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


def modules_of(driver, members):
    names = tuple({f"{name.partition('/')[0].removesuffix('.py')}={hash(members[name])}" for name in members})
    return driver.file(packed(members), "modules", "modules", "zip", names)


def test_the_programs_modules_win_over_others_and_new_ones_over_the_old(tmp_path, driver):
    (tmp_path / "shared_word.py").write_text("VALUE = 'of the machine'")
    sys.path.insert(0, str(tmp_path))
    copies = executor(tmp_path, driver)
    for value in (1, 2):
        copies.take((modules_of(driver, {"shared_word.py": f"VALUE = {value}"}),))
        copies.bring()
        import shared_word

        assert shared_word.VALUE == value
    assert sum("modules-" in path for path in sys.path) == 1


def test_modules_that_were_not_sent_fail_the_attempt_with_the_drivers_words(tmp_path, driver):
    copies = executor(tmp_path, driver)
    copies.take((SharedFile("modules", "modules", "zip", "", 0, "", (), "They are too large."),))
    with pytest.raises(UserError, match=r"They are too large\."):
        copies.bring()
