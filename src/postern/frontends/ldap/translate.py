"""LDAP's filters as the directory's, over what an entry shows and nothing else.

A filter that could ask about what is not shown (other addresses, memberships, notes) would be a way to find it out
letter by letter: such attributes are Undefined, as unknown ones are.
"""

from __future__ import annotations

from postern.model import filters as own
from postern.model.refusal import Reason, Refusal
from postern.protocols.ldap import filters as wire

ALIASES = {
    "commonname": "cn", "name": "cn", "displayname": "cn", "surname": "sn", "gn": "givenname",
    "rfc822mailbox": "mail", "department": "ou", "organizationalunitname": "ou", "company": "o",
    "organizationname": "o", "localityname": "l", "stateorprovincename": "st", "streetaddress": "street",
    "mobiletelephonenumber": "mobile", "cellphone": "mobile", "fax": "facsimiletelephonenumber", "countryname": "c",
}  # fmt: skip
"""Other words for an attribute, as clients have them: Mozilla's, Outlook's, RFC 4519's long names."""
FILTERABLE = frozenset({
    "cn", "sn", "givenname", "initials", "mail", "title", "ou", "o", "physicaldeliveryofficename", "telephonenumber",
    "mobile", "facsimiletelephonenumber", "street", "l", "st", "postalcode", "co", "c", "wwwhomepage", "objectclass",
})  # fmt: skip
UNDEFINED = own.Equal("undefined", "")
"""Over an attribute that no directory has: neither true nor false."""
VALUE_LIMIT = 512
"""Characters of one value; nothing in an address book is longer."""
PARTS_LIMIT = 8
"""Asterisks of one value: each multiplies what matching may cost."""
TERMS_LIMIT = 256
"""Parts of one filter."""
WORDS_LIMIT = 6
"""Of what somebody typed for an ambiguous name."""

_ROOM = own.Equal("recipienttype", "room")


def translate(wanted: wire.Filter) -> own.Filter:
    """The directory's filter. Raises Refusal(TOO_LARGE)."""
    left = [TERMS_LIMIT]
    return _translate(wanted, left)


def _translate(wanted: wire.Filter, left: list[int]) -> own.Filter:
    left[0] -= 1
    if left[0] < 0:
        raise Refusal(Reason.TOO_LARGE, f"a filter has at most {TERMS_LIMIT} parts")
    match wanted:
        case wire.And(terms):
            return own.And(tuple(_translate(term, left) for term in terms))
        case wire.Or(terms):
            return own.Or(tuple(_translate(term, left) for term in terms))
        case wire.Not(term):
            return own.Not(_translate(term, left))
        case wire.Extensible():
            return UNDEFINED
        case wire.Present(attribute):
            name = attribute_name(attribute)
            return own.Present(name) if name in FILTERABLE else UNDEFINED
        case wire.Substrings():
            return _substrings(wanted, left)
        case wire.Compare():
            return _compare(wanted, left)


def attribute_name(written: str) -> str:
    """The attribute that a word means, in lower case and without options such as `;lang-en`."""
    name = written.partition(";")[0].lower()
    return ALIASES.get(name, name)


def _compare(wanted: wire.Compare, left: list[int]) -> own.Filter:
    name, value = attribute_name(wanted.attribute), _text(wanted.value)
    if name == "anr" and value is not None and wanted.operator in {"=", "~="}:
        return _ambiguous(value, left)
    if name not in FILTERABLE or value is None:
        return UNDEFINED
    if name == "objectclass":
        return _ROOM if value.lower() == "room" else own.Equal(name, value)
    match wanted.operator:
        case ">=":
            return own.AtLeast(name, value)
        case "<=":
            return own.AtMost(name, value)
        case "~=":
            return own.Substrings(name, "", (value,), "") if value else UNDEFINED
    return own.Equal(name, value)


def _substrings(wanted: wire.Substrings, left: list[int]) -> own.Filter:
    name = attribute_name(wanted.attribute)
    parts = [_text(part) for part in (wanted.initial, *wanted.any, wanted.final)]
    if len(wanted.any) > PARTS_LIMIT:
        raise Refusal(Reason.TOO_LARGE, f"a value has at most {PARTS_LIMIT} asterisks")
    found = [part for part in parts if part is not None]
    if name == "anr" and found:
        return _ambiguous(found[0], left)
    if name not in FILTERABLE or name == "objectclass" or len(found) < len(parts):
        return UNDEFINED
    return own.Substrings(name, found[0], tuple(found[1:-1]), found[-1])


def _ambiguous(typed: str, left: list[int]) -> own.Filter:
    """Ambiguous name resolution ([MS-ADTS] 3.1.1.3.1.3.3): every word begins a name or an address."""
    if typed.startswith("="):  # exactly that
        name = typed[1:].strip()
        return own.Or((own.Equal("cn", name), own.Equal("mail", name), own.Equal("sn", name)))
    words = typed.split()[:WORDS_LIMIT]
    if not words:
        return UNDEFINED
    left[0] -= 6 * len(words)
    return own.And(tuple(_begins(word) for word in words))


def _begins(word: str) -> own.Filter:
    attributes = ("cn", "givenname", "sn", "mail", "physicaldeliveryofficename")
    starts = tuple(own.Substrings(attribute, word, (), "") for attribute in attributes)
    return own.Or((*starts, own.Substrings("cn", "", (f" {word}",), "")))


def _text(value: bytes) -> str | None:
    """None for what no attribute can have."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if len(text) <= VALUE_LIMIT and "\0" not in text else None
