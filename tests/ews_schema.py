"""Microsoft's schema of EWS, which is no part of this project: in $POSTERN_SCHEMAS or ../shared/reference/schemas.

Every answer of a test is held against it, header and body; two answers against the form that the open specification
gives them, because this copy of the schema has none that could be used (docs/deviations.md). `test_ews_schema` proves
of each that the copy still has none.
"""

from __future__ import annotations

import copy
import importlib.util
import shutil
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from lxml import etree
from tests.published import folder

S = "{http://schemas.xmlsoap.org/soap/envelope/}"
M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
E = "{http://schemas.microsoft.com/exchange/services/2006/errors}"
XS = "{http://www.w3.org/2001/XMLSchema}"

AMENDED = {
    # a list of response messages, none of which is this operation's; MS-OXWSCONT 3.1.4.8.3.2 has the message itself
    "SetUserPhotoResponse": (
        '<xs:complexType name="SetUserPhotoResponseMessageType">{}<xs:complexContent>{}'
        '<xs:extension base="m:BaseResponseMessageType"/>',
        '<xs:complexType name="SetUserPhotoResponseMessageType"><xs:complexContent>'
        '<xs:extension base="m:ResponseMessageType"/>',
    ),
    # an operation of later versions than the copy, which programs probe for all the same
    "GetUnifiedGroupsSettingsResponse": (
        "</xs:schema>",
        '<xs:element name="GetUnifiedGroupsSettingsResponse" type="m:ResponseMessageType"/></xs:schema>',
    ),
}
"""Answer -> what its definition in messages.xsd is, and what it is here; {} is white space."""

STREAMED = (("Notifications", "Notification"), ("ErrorSubscriptionIds", "SubscriptionId"))
"""In streams: parent, and the child that Exchange has among the messages and the schema among the types."""


def place() -> Path | None:
    """None where the folder is not at hand."""
    return folder("POSTERN_SCHEMAS", "schemas")


def _loader(where: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("published_schemas", where / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def schema() -> etree.XMLSchema | None:
    """As it is published; None where it is not at hand."""
    where = place()
    return None if where is None else _loader(where).ews()


@cache
def amended() -> etree.XMLSchema:
    """The same but for `AMENDED`. Raises AssertionError when a definition is not the one that is amended."""
    where = place()
    assert where is not None
    with tempfile.TemporaryDirectory() as made:
        shutil.copytree(where / "ews", Path(made, "ews"))
        shutil.copy(where / "load.py", made)
        messages = Path(made, "ews", "messages.xsd")
        text = " ".join(messages.read_text("utf-8-sig").split()).replace("> <", "><")
        for name, (old, new) in AMENDED.items():
            assert text.count(old.replace("{}", "")) == 1, f"the schema has another {name} than the one amended here"
            text = text.replace(old.replace("{}", ""), new)
        messages.write_text(text, "utf-8")
        found: etree.XMLSchema = _loader(Path(made)).ews()
        return found


@cache
def codes() -> frozenset[str]:
    """Every ResponseCode that the schema has."""
    where = place()
    assert where is not None
    root = etree.parse(str(where / "ews" / "messages.xsd")).getroot()
    listed = root.find(f"{XS}simpleType[@name='ResponseCodeType']")
    assert listed is not None
    return frozenset(one.get("value", "") for one in listed.iter(f"{XS}enumeration"))


def check(body: etree._Element) -> None:
    """A body's element. Raises AssertionError for what the schema does not allow."""
    found = schema()
    if found is None:
        return
    name = etree.QName(body).localname
    if name in AMENDED:
        found = amended()
    elif name == "GetStreamingEventsResponse":
        body = _as_published(body)
    _held(found, body)


def check_envelope(root: etree._Element, status: int) -> None:
    """A whole answer: its header, and its body's element or the fault. Raises AssertionError."""
    found = schema()
    if found is None:
        return
    assert [one.tag for one in root] == [f"{S}Header", f"{S}Body"] and len(root[1]) == 1
    assert [one.tag for one in root[0]] == [f"{T}ServerVersionInfo"]
    _held(found, root[0][0])
    body = root[1][0]
    if status == 200:
        check(body)
        return
    # no schema has faults' details; clients look for these two, and the code has to be one that is published
    assert status == 500 and body.tag == f"{S}Fault"
    assert body.findtext(f"detail/{E}ResponseCode") in codes()
    assert body.findtext(f"detail/{E}Message")


def _held(found: etree.XMLSchema, element: etree._Element) -> None:
    if not found.validate(element):
        shown = etree.tostring(element, pretty_print=True).decode()
        raise AssertionError(f"{found.error_log.filter_from_errors()}\n{shown[:4000]}")


def _as_published(body: etree._Element) -> etree._Element:
    """A copy with what Exchange has in another namespace where the schema has it; nothing else is changed."""
    written = copy.deepcopy(body)
    for parent, child in STREAMED:
        for above in written.iter(f"{M}{parent}"):
            for one in above:
                assert one.tag == f"{M}{child}", f"{one.tag} in {parent} is not where clients look for it"
                one.tag = f"{T}{child}"
    return written
