"""Modules stay small enough to read in one sitting, and nothing unfinished or private slips in."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_no_module_is_longer_than_600_lines():
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 600}
    assert not long


def test_every_package_has_a_docstring_and_no_import():
    for path in SOURCES:
        if path.name == "__init__.py":
            text = path.read_text()
            assert text.startswith(('"""', 'r"""')), path
            assert not re.search(r"^(import|from) ", text, re.M), path


def test_nothing_unfinished():
    words = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [str(p) for p in SOURCES if words.search(p.read_text())] == []


def test_every_refusal_reason_is_declared_temporary_or_permanent():
    from postern.model.refusal import Reason

    assert {r for r in Reason if r.temporary} < set(Reason)
    assert not Reason.OVER_QUOTA.temporary
    assert Reason.DISK_FULL.temporary


def test_names_of_test_modules_are_unique():
    """Two of one name cannot be collected together, which shows only when both are asked for."""
    names = [path.name for path in ROOT.joinpath("tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
