"""Microsoft's schema of EWS, which is no part of this project: in $POSTERN_SCHEMAS, or in ../shared/reference/schemas."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

from lxml import etree

ROOT = Path(__file__).resolve().parents[4]


def _candidates() -> list[Path]:
    named = os.environ.get("POSTERN_SCHEMAS")
    if named:
        return [Path(named)]
    common = ROOT / ".git"
    places = [ROOT.parent]
    if common.is_file():  # a second working tree: the folder is beside the first
        places.append(Path(common.read_text().partition(":")[2].strip()).parents[3])
    return [place / "shared" / "reference" / "schemas" for place in places]


@cache
def schema() -> etree.XMLSchema | None:
    """None where the folder is not at hand."""
    for folder in _candidates():
        if (folder / "load.py").is_file():
            spec = importlib.util.spec_from_file_location("published_schemas", folder / "load.py")
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.ews()
    return None


def check(body: etree._Element) -> None:
    """Raise AssertionError for what the schema does not allow."""
    found = schema()
    if found is not None and not found.validate(body):
        shown = etree.tostring(body, pretty_print=True).decode()
        raise AssertionError(f"{found.error_log.filter_from_errors()}\n{shown[:4000]}")
