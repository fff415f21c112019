from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile

import pytest

from simspark.publib.archives import archive_form, pack, tree, unpack
from simspark.publib.errors import UserError

pytestmark = pytest.mark.unit


def tar_of(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, data in members.items():
            archive.writestr(info, data)
    return out.getvalue()


def entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def unpacked(data, form, tmp_path):
    unpack(io.BytesIO(data), form, str(tmp_path / "target"), str(tmp_path / "fresh"))
    return sorted(str(path.relative_to(tmp_path / "target")) for path in (tmp_path / "target").rglob("*"))


@pytest.mark.parametrize(("name", "form"), [
    ("a.zip", "zip"), ("a.JAR", "zip"), ("a.egg", "zip"), ("a.tar.gz", "tar"), ("a.tgz", "tar"), ("a.tar", "tar"),
    ("a.gz", ""), ("zip", ""),
])
def test_the_name_tells_the_form(name, form):
    assert archive_form(name) == form


def test_files_and_directories_are_unpacked_with_the_right_to_execute(tmp_path):
    tool = entry("bin/tool")
    tool.mode = 0o4755
    data = tar_of((entry("./empty", tarfile.DIRTYPE), b""), (tool, b"run"), (entry("a//b/./c"), b"c"))
    assert unpacked(data, "tar", tmp_path) == ["a", "a/b", "a/b/c", "bin", "bin/tool", "empty"]
    assert stat.S_IMODE(os.stat(tmp_path / "target/bin/tool").st_mode) == 0o755


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a/..", "..", "/"])
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_name_that_leads_out_is_refused_and_nothing_stays(name, form, tmp_path):
    data = tar_of((entry("good"), b"1"), (entry(name), b"2")) if form == "tar" else zip_of({"good": "1", name: "2"})
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpacked(data, form, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind, tmp_path):
    with pytest.raises(UserError, match="'bad' is a link or a device"):
        unpacked(tar_of((entry("bad", kind, "/etc"), b""), (entry("bad/x"), b"x")), "tar", tmp_path)
    assert os.listdir(tmp_path) == []


def test_links_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("bad")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UserError, match="'bad' is a link or a device"):
        unpacked(zip_of({link: "/etc"}), "zip", tmp_path)


@pytest.mark.parametrize(("data", "form"), [
    (b"no archive", "zip"), (b"no archive", "tar"), (b"", "zip"), (b"\x1f\x8b broken", "tar"),
])
def test_damaged_archives_are_said_to_be(data, form, tmp_path):
    with pytest.raises(UserError, match="This archive cannot be unpacked"):
        unpacked(data, form, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_flipped_byte_in_a_zip_is_found(tmp_path):
    data = bytearray(zip_of({"x": "content" * 100}))
    data[60] ^= 1
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpacked(bytes(data), "zip", tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_another_process_unpacked_meanwhile_stays(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "x").write_text("there")
    assert unpacked(zip_of({"y": "late"}), "zip", tmp_path) == ["x"]


def test_the_same_files_are_packed_to_the_same_bytes_whenever_written(tmp_path):
    packed = []
    for age in (0, 1_000_000_000):
        place = tmp_path / str(age) / "pack"
        (place / "deep").mkdir(parents=True)
        for name in ("b.py", "a.py", "deep/c.py"):
            (place / name).write_text(name)
            os.utime(place / name, (age, age))
        out = io.BytesIO()
        pack(tree(str(place), "pack/"), out)
        packed.append(out.getvalue())
    assert packed[0] == packed[1]
    assert unpacked(packed[0], "zip", tmp_path) == ["pack", "pack/a.py", "pack/b.py", "pack/deep", "pack/deep/c.py"]


def test_only_code_leaves_caches_and_hidden_files_out(tmp_path):
    for name in ("a.py", "__pycache__/a.pyc", ".git/x", ".env", "old.pyc", "data.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert sorted(name for name, _ in tree(str(tmp_path), code_only=True)) == ["a.py", "data.csv"]
    assert len(list(tree(str(tmp_path)))) == 6
