"""The display template file (MS-OXOAB 2.2): where templates could be, and none in it.

A manifest without a template is no valid one (MS-OXWOAB 2.2.2.3); a client that finds none in the file shows what it
has of its own.
"""

from __future__ import annotations

import struct

LANGUAGES = ("0409", "0419")
"""Locales as manifests write them: English, Russian."""
KINDS = {"windows": "lng", "mac": "mac"}
"""Type in the manifest, and how the file's name begins."""
_VERSION = 7
_ENTRIES = 7
_ENTRY_WORDS = 8


def build() -> bytes:
    """Head, seven empty entries, no named properties, no one-off templates."""
    head = struct.pack("<3I", _VERSION, 0, 0)
    entries = bytes(4 * _ENTRIES * _ENTRY_WORDS)
    names = struct.pack("<2H3I", 0, 0, 0, 0, 0)
    return head + entries + names + struct.pack("<I", 0)
