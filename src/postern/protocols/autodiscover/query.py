"""Parameters of a query string, whose names clients write in any letter case."""

from __future__ import annotations

from urllib.parse import parse_qsl

MAX_PARAMETERS = 20


def parameters(query: bytes) -> dict[str, str]:
    """By names in small letters, the first of each; none if there are too many to be a client's."""
    try:
        given = parse_qsl(query.decode("latin-1"), max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for name, value in given:
        found.setdefault(name.casefold(), value.strip())
    return found
