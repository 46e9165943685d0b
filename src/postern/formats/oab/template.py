"""The display template file (MS-OXOAB 2.2): how clients show a recipient, a page of labels and texts for each kind."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from postern.formats.oab import properties as oab
from postern.model.published import ORGANISATION_DN

KINDS = {"windows": "lng", "mac": "mac"}
"""Type in the manifest, and how the file's name begins."""
LANGUAGES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "0409": ("cp1252", {}),
    "0419": ("cp1251", {
        "General": "Общие", "First": "Имя", "Last": "Фамилия", "Display": "Полное имя", "Alias": "Псевдоним",
        "Title": "Должность", "Company": "Организация", "Department": "Отдел", "Office": "Комната",
        "Address": "Адрес", "City": "Город", "State": "Область", "Zip code": "Индекс", "Country": "Страна",
        "Phone": "Телефон", "Mobile": "Мобильный", "Fax": "Факс", "E-mail": "Эл. почта",
        "User": "Пользователь", "Group": "Группа", "Contact": "Контакт",
    }),
}  # fmt: skip
"""Locales as manifests write them: the code page of their texts, and the texts by the English ones."""

REVISION = 1
"""Grows when the contents of the files change, so that clients fetch them again."""
_VERSION = 7
_ENTRIES = 7
"""Display types 0 to 6 (MS-OXOABK 2.2.3.11)."""
_HEAD_BYTES, _ENTRY_BYTES = 12, 32
_LABEL, _EDIT, _PAGE = 0, 1, 8
"""ControlType (MS-OXOABKT 2.2.2.1.2)."""
_TABLE = 1
"""Type of a TRowSet (MS-OXOABKT 2.2.2.1.1)."""
_ANYTHING = "*"
"""Of characters that may be typed."""

Field = tuple[str, int]

_PERSON: Sequence[Field] = (
    ("First", oab.GIVEN_NAME), ("Last", oab.SURNAME), ("Display", oab.DISPLAY_NAME), ("Alias", oab.ACCOUNT),
    ("Title", oab.TITLE), ("Company", oab.COMPANY), ("Department", oab.DEPARTMENT), ("Office", oab.OFFICE),
    ("Phone", oab.PHONE), ("Mobile", oab.MOBILE), ("Fax", oab.FAX),
    ("Address", oab.STREET), ("City", oab.LOCALITY), ("State", oab.STATE), ("Zip code", oab.POSTAL_CODE),
    ("Country", oab.COUNTRY), ("E-mail", oab.SMTP_ADDRESS),
)  # fmt: skip
_GROUP: Sequence[Field] = (
    ("Display", oab.DISPLAY_NAME), ("Alias", oab.ACCOUNT), ("E-mail", oab.SMTP_ADDRESS),
)  # fmt: skip
_TEMPLATES: Mapping[int, tuple[str, Sequence[Field]]] = {
    0: ("User", _PERSON),
    1: ("Group", _GROUP),
    6: ("Contact", _PERSON),
}
"""By display type."""


def build(language: str) -> bytes:
    """Head, entries, no named properties, no one-off templates, then what the entries point to."""
    page, texts = LANGUAGES[language]
    names = struct.pack("<2H3I", 0, 0, 0, 0, 0)
    place = _HEAD_BYTES + _ENTRIES * _ENTRY_BYTES + len(names) + 4
    entries, contents = [], []
    for display_type in range(_ENTRIES):
        found = _TEMPLATES.get(display_type)
        if found is None:
            entries.append(bytes(_ENTRY_BYTES))
            continue
        name, fields = found
        dn = f"{ORGANISATION_DN}/cn=Display-Templates/cn={int(language, 16):x}/cn={display_type}".encode() + b"\0"
        table = _table(fields, texts, page)
        shown = texts.get(name, name).encode(page) + b"\0"
        spans = []
        for content in (dn, table, b"", shown):
            spans += [place if content else 0, len(content)]
            place += len(content)
        entries.append(struct.pack("<8I", *spans))
        contents += [dn, table, shown]
    head = struct.pack("<3I", _VERSION, 0, 0)
    return head + b"".join(entries) + names + struct.pack("<I", 0) + b"".join(contents)


def _table(fields: Sequence[Field], texts: Mapping[str, str], page: str) -> bytes:
    """A TRowSet with its texts behind it (MS-OXOABKT 2.2.2.1); places in dialog units, two columns."""
    rows: list[tuple[tuple[int, int, int, int], int, int, int, int, str]] = [
        ((0, 0, 0, 0), _PAGE, 0, 0, 0, texts.get("General", "General"))
    ]
    for number, (label, tag) in enumerate(fields):
        left, top = 8 + number % 2 * 180, 8 + number // 2 * 18
        rows.append(((left, 50, top + 2, 8), _LABEL, 0, 0, 0, texts.get(label, label) + ":"))
        rows.append(((left + 54, 114, top, 12), _EDIT, 0, tag, 256, _ANYTHING))
    strings: dict[str, int] = {}
    packed, base, tail = [], 8 + 36 * len(rows), b""
    for (left, width, top, height), kind, flags, tag, size, text in rows:
        if text not in strings:
            strings[text] = base + len(tail)
            tail += text.encode(page) + b"\0"
        packed.append(struct.pack("<9I", left, width, top, height, kind, flags, tag, size, strings[text]))
    return struct.pack("<2I", _TABLE, len(rows)) + b"".join(packed) + tail
