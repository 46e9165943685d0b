"""What a format cannot say."""

from __future__ import annotations


class FormatError(ValueError):
    """The format cannot say this; the text says what to do instead."""
