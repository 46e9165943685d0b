"""Properties of the offline address book and how their values are written (MS-OXOAB 2.9.4, 2.9.6)."""

from __future__ import annotations

ANR, KEY = 1, 2
"""Flags of a property: found by typing names; the primary key of an object (MS-OXOAB 2.9.4)."""

LIST_NAME = 0x6800001F
LIST_DN = 0x6804001E
LIST_SEQUENCE = 0x68010003
LIST_GUID = 0x6802001E
HEADER = ((LIST_NAME, 0), (LIST_DN, 0), (LIST_SEQUENCE, 0), (LIST_GUID, 0))
"""Of the header record."""

EMAIL_ADDRESS = 0x3003001E
SMTP_ADDRESS = 0x39FE001F
DISPLAY_NAME = 0x3001001F
ACCOUNT = 0x3A00001F
SURNAME = 0x3A11001F
GIVEN_NAME = 0x3A06001F
INITIALS = 0x3A0A001F
OFFICE = 0x3A19001F
PHONE = 0x3A08001F
STREET = 0x3A29001F
LOCALITY = 0x3A27001F
STATE = 0x3A28001F
POSTAL_CODE = 0x3A2A001F
COUNTRY = 0x3A26001F
TITLE = 0x3A17001F
COMPANY = 0x3A16001F
DEPARTMENT = 0x3A18001F
HOME_PHONE = 0x3A09001F
MOBILE = 0x3A1C001F
FAX = 0x3A23001F
COMMENT = 0x3004001F
OBJECT_TYPE = 0x0FFE0003
DISPLAY_TYPE = 0x39000003
DISPLAY_TYPE_EX = 0x39050003
PROXY_ADDRESSES = 0x800F101F
TARGET_ADDRESS = 0x8011001F
SEND_RICH_INFO = 0x3A40000B
TRUNCATED = 0x68051003

OBJECT = (
    (EMAIL_ADDRESS, KEY), (SMTP_ADDRESS, ANR | KEY), (DISPLAY_NAME, ANR), (ACCOUNT, ANR), (SURNAME, ANR),
    (GIVEN_NAME, ANR), (OFFICE, ANR), (OBJECT_TYPE, 0), (DISPLAY_TYPE, 0), (DISPLAY_TYPE_EX, 0), (PHONE, 0),
    (INITIALS, 0), (STREET, 0), (LOCALITY, 0), (STATE, 0), (POSTAL_CODE, 0), (COUNTRY, 0), (TITLE, 0), (COMPANY, 0),
    (DEPARTMENT, 0), (HOME_PHONE, 0), (MOBILE, 0), (FAX, 0), (COMMENT, 0), (PROXY_ADDRESSES, ANR), (TARGET_ADDRESS, 0),
    (SEND_RICH_INFO, 0), (TRUNCATED, 0),
)  # fmt: skip
"""Of each recipient."""

MAIL_USER, DISTRIBUTION_LIST = 6, 8
"""PidTagObjectType."""

Value = int | bool | str | tuple[str, ...] | tuple[int, ...]
MAX_TEXT_BYTES = 3400
"""Exchange's own limit of a text; what is cut is named in the record."""

_INTEGER, _BOOLEAN, _TEXT8, _TEXT = 0x0003, 0x000B, 0x001E, 0x001F
_MULTIPLE = 0x1000


def encode(tag: int, value: Value) -> bytes:
    """A value by the type in its tag."""
    kind = tag & 0xFFFF
    if kind & _MULTIPLE:
        assert isinstance(value, tuple)
        return number(len(value)) + b"".join(_one(kind & ~_MULTIPLE, one) for one in value)
    assert not isinstance(value, tuple)
    return _one(kind, value)


def _one(kind: int, value: int | bool | str) -> bytes:
    if kind == _BOOLEAN:
        return b"\1" if value else b"\0"
    if kind == _INTEGER:
        assert isinstance(value, int)
        return number(value)
    assert isinstance(value, str)
    assert kind in (_TEXT8, _TEXT)
    return value.replace("\0", "").encode("ascii" if kind == _TEXT8 else "utf-8", "replace") + b"\0"


def number(value: int) -> bytes:
    """An unsigned number in as few octets as it needs (MS-OXOAB 2.9.6.1)."""
    if value < 0x80:
        return bytes((value,))
    size = (value.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + value.to_bytes(size, "little")


def cut(text: str) -> str:
    """As much of a text as may be in the file."""
    raw = text.encode()
    return text if len(raw) <= MAX_TEXT_BYTES else raw[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
