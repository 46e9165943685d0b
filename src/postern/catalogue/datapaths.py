"""Reads the catalogue's tables and holds them to the rules that everything derived from them relies on."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from postern.catalogue.schema import DataPath, Edition, Encryption

ROLES = ("edge", "transport", "mailbox", "client-access", "um", "directory")
"""Roles of an organisation, and what a data path's source or destination may be besides."""
OUTSIDERS = ("internet", "client", "administrator")
MECHANISMS = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"})
PROTOCOLS = frozenset({"smtp", "imap", "pop3", "http"})
POSTERN = "postern"


class CatalogueError(ValueError):
    """A table breaks a rule of the schema."""


@cache
def load(edition: str = POSTERN) -> Edition:
    """An edition's data paths. Raises CatalogueError; KeyError for an unknown edition."""
    resource = files("postern.catalogue").joinpath("editions", f"{edition}.toml")
    if not resource.is_file():
        raise KeyError(edition)
    return parse(resource.read_text("utf-8"), edition)


def parse(text: str, edition: str) -> Edition:
    """Read and check a table. Raises CatalogueError."""
    try:
        rows = tomllib.loads(text).get("path", [])
        paths = msgspec.convert([{"edition": edition, **row} for row in rows], tuple[DataPath, ...], strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as problem:
        raise CatalogueError(f"{edition}: {problem}") from problem
    seen: set[str] = set()
    for path in paths:
        if path.id in seen:
            raise CatalogueError(f"{edition}: {path.id} is there twice")
        seen.add(path.id)
        for problem_text in problems(path):
            raise CatalogueError(f"{edition}: {path.id}: {problem_text}")
    return Edition(edition, paths)


def problems(path: DataPath) -> list[str]:
    """What is wrong with a row; empty if it is good."""
    found = []
    if path.destination not in ROLES:
        found.append(f"destination {path.destination!r} is not one of {', '.join(ROLES)}")
    if path.source not in ROLES + OUTSIDERS:
        found.append(f"source {path.source!r} is not one of {', '.join(ROLES + OUTSIDERS)}")
    if path.protocol not in PROTOCOLS:
        found.append(f"protocol {path.protocol!r} is not one of {', '.join(sorted(PROTOCOLS))}")
    if not path.ports or any(not 0 < port.number < 65536 for port in path.ports):
        found.append("needs ports from 1 to 65535")
    if path.encryption_default not in path.encryption_supported:
        found.append("its default encryption is not among the supported")
    extra = set(path.authentication_default) - set(path.authentication_supported)
    if extra:
        found.append(f"offers {', '.join(sorted(extra))} without supporting it")
    unknown = set(path.authentication_supported) - MECHANISMS - {"anonymous"}
    if unknown:
        found.append(f"unknown mechanism {', '.join(sorted(unknown))}")
    if path.encryption_default is Encryption.NONE and path.mechanisms and not path.loopback_only:
        found.append("takes passwords without encryption from outside")
    return found
