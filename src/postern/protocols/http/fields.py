"""Values of fields: credentials and challenges, cookies, preferences (RFC 9110, RFC 6265)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_PARAMETER = re.compile(r'\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_COOKIE_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def credentials(value: bytes) -> tuple[str, str]:
    """Scheme in small letters and the rest of an Authorization field (RFC 9110 11.4). Raises ValueError."""
    scheme, _, rest = value.decode("ascii").partition(" ")
    if not scheme or not scheme.replace("-", "").isalnum():
        raise ValueError("no authentication scheme")
    return scheme.lower(), rest.strip(" ")


def parameters(text: str) -> dict[str, str]:
    """`name=value, name="quoted"` (RFC 9110 11.2), names in small letters. Raises ValueError, also for one twice."""
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _PARAMETER.match(text, place)
        if match is None:
            raise ValueError("malformed parameters")
        name = match[1].lower()
        if name in found:
            raise ValueError(f"{name} is there twice")
        found[name] = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        place = match.end()
    return found


def challenge(scheme: str, values: Mapping[str, str], bare: Sequence[str] = ()) -> bytes:
    """A WWW-Authenticate value; parameters named in `bare` are not quoted (RFC 7616 3.3 wants so for some)."""
    parts = [f"{name}={value}" if name in bare else f'{name}="{_quoted(value)}"' for name, value in values.items()]
    return f"{scheme} {', '.join(parts)}".encode("ascii") if parts else scheme.encode("ascii")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def cookie(values: Iterable[bytes], name: bytes) -> bytes:
    """A cookie's value by name, empty if it is not there or there twice: nobody knows then which one is ours."""
    found = []
    for value in values:
        for part in value.split(b";"):
            key, equals, content = part.strip(b" \t").partition(b"=")
            if equals and key == name and _COOKIE_NAME.fullmatch(key):
                found.append(content.strip(b'"'))
    return found[0] if len(found) == 1 else b""


def preferred(value: bytes, known: Sequence[str]) -> str:
    """The best of `known` by an Accept or Accept-Language field (RFC 9110 12.5); the first one if none is named.

    A language range `ru` takes `ru-RU` and the other way round; `text/*` takes `text/html`.
    """
    best, weight = known[0], 0.0
    for part in value.decode("latin-1").split(",")[:32]:
        name, *rest = part.strip().lower().split(";")
        quality = 1.0
        for parameter in rest:
            key, _, number = parameter.strip().partition("=")
            if key == "q":
                try:
                    quality = min(float(number), 1.0)
                except ValueError:
                    quality = 0.0
        for one in known:
            if quality > weight and _takes(name.strip(), one):
                best, weight = one, quality
                break
    return best


def _takes(wanted: str, one: str) -> bool:
    if "/" in one:
        return wanted in (one, "*/*") or (wanted.endswith("/*") and one.startswith(wanted[:-1]))
    return wanted.split("-")[0] == one or wanted == "*"
