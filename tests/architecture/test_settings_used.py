"""Every setting does something: some code outside of `config` reads it."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

import postern
from postern.config.settings import Settings

SOURCES = Path(postern.__file__).parent


def sections() -> dict[str, type[msgspec.Struct]]:
    """Section -> its table, whether there is one of them or many."""
    found: dict[str, type[msgspec.Struct]] = {}
    for field in msgspec.structs.fields(Settings):
        for kind in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                found[field.name] = kind
    return found


@pytest.fixture(scope="module")
def read() -> set[str]:
    """Names of attributes that are read anywhere but in `config`."""
    return {
        node.attr
        for path in SOURCES.rglob("*.py")
        if SOURCES / "config" not in path.parents or path.name == "loading.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize("section", sorted(sections()))
def test_every_setting_is_read(section, read):
    assert [field.name for field in msgspec.structs.fields(sections()[section]) if field.name not in read] == []
