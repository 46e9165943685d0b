"""Mailboxes as front ends reach them: the store's value types."""

from __future__ import annotations

from postern.store.interface import CopyResult, FlagChange, FlagResult, Ranges

__all__ = ["CopyResult", "FlagChange", "FlagResult", "Ranges"]
