"""Namespaces, and the element that an operation answers with."""

from __future__ import annotations

MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"

M = f"{{{MESSAGES}}}"
T = f"{{{TYPES}}}"

DECLARED = f'xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"'
