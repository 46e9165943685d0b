"""Extended properties: which attributes of ExtendedFieldURI go together (MS-OXWSXPROP 2.1.5)."""

from __future__ import annotations

import pytest
from ews_kinds import CONTACT, ITEM, LIST, MEETING, MESSAGE, POST, TASK, creating, get, item

_COMMON = 'DistinguishedPropertySetId="Common"'
_SET = 'PropertySetId="c11ff724-aa03-4555-9952-8fa248a11c3e"'
_TAG, _NAME, _ID = 'PropertyTag="0x3a45"', 'PropertyName="Classification"', 'PropertyId="123"'
_STRING, _STRINGS = 'PropertyType="String"', 'PropertyType="StringArray"'
_REFUSED = (
    (_COMMON, _SET, _ID), (_COMMON, _TAG, _ID), (_COMMON,), (_SET, _TAG, _ID), (_SET,), (_TAG, _COMMON), (_TAG, _SET),
    (_TAG, _NAME), (_TAG, _ID), (_NAME,), (_ID,), (_SET, _NAME, _ID), (_COMMON, _NAME, _ID),
)  # fmt: skip
_TAKEN = (
    (_COMMON, _ID, _STRINGS), (_COMMON, _NAME, _STRING), (_SET, _ID, _STRING), (_SET, _NAME, _STRING), (_TAG, _STRING),
    ('PropertyTag="14917"', _STRING),
)  # fmt: skip


@pytest.mark.parametrize("kind", [
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance("MSOXWSCORE_S01_TC08_VerifyExtendPropertyType")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance("MSOXWSCORE_S02_TC08_VerifyExtendPropertyType")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance("MSOXWSCORE_S03_TC06_VerifyExtendPropertyType")),
    pytest.param(MESSAGE, id="message"),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance("MSOXWSCORE_S05_TC08_VerifyExtendPropertyType")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC08_VerifyExtendPropertyType")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance("MSOXWSCORE_S07_TC08_VerifyExtendPropertyType")),
])  # fmt: skip
async def test_attributes_that_go_together(anna, kind):
    def having(*attributes: str) -> tuple[str, str]:
        uri = f"<t:ExtendedFieldURI {' '.join(attributes)}/>"
        value = "<t:Values><t:Value>red</t:Value></t:Values>" if _STRINGS in attributes else "<t:Value>red</t:Value>"
        prop = f"<t:ExtendedProperty>{uri}{value}</t:ExtendedProperty>"
        return uri, item(kind, f"<t:Subject>x</t:Subject>{prop}")

    wrong = [having(*attributes, _STRING)[1] for attributes in _REFUSED]
    assert (await anna.ask(creating("".join(wrong)))).codes == ["ErrorInvalidExtendedProperty"] * len(wrong)
    for attributes in _TAKEN:
        uri, new = having(*attributes)
        made, _ = (await anna.ask(creating(new))).ok().ids()[0]
        reply = (await get(anna, made, paths=uri)).ok()
        written = dict(one.split("=") for one in attributes)
        assert dict(reply.one("//t:ExtendedProperty/t:ExtendedFieldURI").attrib) == {
            name: value.strip('"') for name, value in written.items()
        }
        assert reply.texts("//t:ExtendedProperty//t:Value") == ["red"]
