"""Microsoft's schema of EWS, which is no part of this project: in $POSTERN_SCHEMAS or ../shared/reference/schemas."""

from __future__ import annotations

import importlib.util
from functools import cache

from lxml import etree
from tests.published import folder


@cache
def schema() -> etree.XMLSchema | None:
    """None where the folder is not at hand."""
    place = folder("POSTERN_SCHEMAS", "schemas")
    if place is None:
        return None
    spec = importlib.util.spec_from_file_location("published_schemas", place / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ews()


DEVIATING = frozenset({"SetUserPhotoResponse", "GetUnifiedGroupsSettingsResponse"})
"""Answers that clients need in another form than this copy of the schema has (docs/deviations.md)."""


def check(body: etree._Element) -> None:
    """Raise AssertionError for what the schema does not allow."""
    found = schema()
    if found is not None and etree.QName(body).localname not in DEVIATING and not found.validate(body):
        shown = etree.tostring(body, pretty_print=True).decode()
        raise AssertionError(f"{found.error_log.filter_from_errors()}\n{shown[:4000]}")
