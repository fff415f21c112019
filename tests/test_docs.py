"""What the documents name is there: files, and a section for each error code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simspark.publib import errors

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/errors.md"]
LINK = re.compile(r"\]\(([^)#:\s]+)\)")
PATH = re.compile(r"`([\w*-]+(?:/[\w*.-]+)*(?:\.(?:py|md|toml)|/))`|`((?:tests|simspark|docs|examples)/[\w*./-]+)`")
SAVED_BY_THE_READER = {"first.py", "simspark.toml"}
CODES = {
    kind.code: kind.__name__
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SimsparkError)
}
SECTION = re.compile(r"^## (SS\d{3}) (\w+)\n\n((?:(?!^## ).*\n?)+)", re.MULTILINE)


def files_named_in(text):
    return {first or second for first, second in PATH.findall(text)} - SAVED_BY_THE_READER


def is_there(name):
    """From the root, from the package, or somewhere in the package when the words around it say where."""
    folders = [ROOT, ROOT / "simspark"]
    return any(list(folder.glob(name.rstrip("/"))) for folder in folders) or (
        "/" not in name and any((ROOT / "simspark").rglob(name))
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_only_files_that_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if not ((ROOT / document).parent / link).exists()]
    assert links + sorted(name for name in files_named_in(text) if not is_there(name)) == []


def test_the_walk_through_a_job_names_many_files():
    assert len(files_named_in((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))) > 40


def test_each_error_has_a_code_of_its_own():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert len(CODES) == len(kinds)


def test_each_code_has_its_section_in_order_and_no_section_is_left_over():
    sections = SECTION.findall((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))
    assert [(code, name) for code, name, _ in sections] == sorted(CODES.items())


def test_each_section_is_short_and_says_something():
    for code, _, body in SECTION.findall((ROOT / "docs" / "errors.md").read_text(encoding="utf-8")):
        assert 60 < len(body.strip()) and len(body.strip().splitlines()) <= 6, code
