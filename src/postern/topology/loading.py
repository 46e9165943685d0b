"""Reads a topology file. What is wrong with it is an error with file, line, key and what is allowed there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import msgspec

from postern.catalogue.roles import UnknownNameError, edition, role
from postern.model.places import line_of, line_of_error
from postern.topology.model import EVERYWHERE, Host, OwnFlow, Topology, Zone
from postern.topology.rules import Complaint, complaints


class TopologyError(Exception):
    """The file cannot be used; the text says where and why."""

    def __init__(self, file: str, line: int | None, key: str, problem: str, hint: str = "") -> None:
        where = f"{file}:{line}" if line else file
        text = f"{where}: {key + ': ' if key else ''}{problem}"
        super().__init__(f"{text}. {hint}" if hint else text)
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem


class _Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    trust: str
    networks: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class _Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    addresses: tuple[str, ...]
    zone: str
    roles: tuple[str, ...]
    edition: str = ""
    without: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    rpc_ports: str = ""
    ports: dict[str, int] = {}
    internet_mail: bool = False


class _Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from", "destination": "to"}):
    name: str
    source: tuple[str, ...]
    destination: tuple[str, ...]
    ports: tuple[str, ...]
    purpose: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    organisation: str
    zone: tuple[_Zone, ...]
    host: tuple[_Host, ...]
    flow: tuple[_Flow, ...] = ()


_TABLES: dict[str, type[msgspec.Struct]] = {"": _File, "zone": _Zone, "host": _Host, "flow": _Flow}


def load(path: Path) -> Topology:
    """Read a file. Raises TopologyError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise TopologyError(str(path), None, "", "there is no such file", "docs/firewall.md shows one") from None
    except IsADirectoryError:
        raise TopologyError(str(path), None, "", "is a folder", "name the file in it") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise TopologyError(str(path), None, "", f"cannot be read: {problem}") from problem
    return parse(text, str(path))


def parse(text: str, file: str = "topology.toml") -> Topology:
    """Turn the text of a file into a topology. Raises TopologyError."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise TopologyError(file, line_of_error(text, problem), "", f"not TOML: {problem}") from problem
    try:
        raw = msgspec.convert(tree, _File, strict=True)
    except msgspec.ValidationError as problem:
        raise _explain(str(problem), text, file) from problem
    topology = Topology(
        raw.organisation,
        tuple(_zone(zone) for zone in raw.zone),
        tuple(_host(host) for host in raw.host),
        file,
        tuple(_flow(flow) for flow in raw.flow),
    )
    for complaint in complaints(topology):
        raise _located(complaint, text, file)
    return topology


def _zone(raw: _Zone) -> Zone:
    networks = raw.networks or (EVERYWHERE if raw.trust == "external" else ())
    return Zone(raw.name, networks, raw.trust, tuple(_role(word) for word in raw.roles))


def _host(raw: _Host) -> Host:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", raw.rpc_ports)
    # a range that cannot be read becomes one that the rules refuse
    rpc = (int(found[1]), int(found[2])) if found else (0, 0) if raw.rpc_ports else None
    return Host(
        raw.name,
        raw.addresses,
        raw.zone,
        _edition(raw.edition),
        tuple(_role(word) for word in raw.roles),
        raw.without,
        raw.also,
        rpc,
        tuple(sorted(raw.ports.items())),
        raw.internet_mail,
    )


def _flow(raw: _Flow) -> OwnFlow:
    found = [re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?/(tcp|udp)", text) for text in raw.ports]
    # a port that cannot be read becomes one that the rules refuse
    ports = tuple((one[3], int(one[1]), int(one[2] or one[1])) if one else ("", 0, 0) for one in found)
    return OwnFlow(raw.name, raw.source, raw.destination, ports, raw.purpose)


def _role(word: str) -> str:
    """The role's id; a word that means none stays for the rules to refuse."""
    try:
        return role(word).id
    except UnknownNameError:
        return word


def _edition(word: str) -> str:
    try:
        return edition(word) if word else ""
    except UnknownNameError:
        return word


def _located(complaint: Complaint, text: str, file: str) -> TopologyError:
    hint = complaint.hint or nearest(complaint.value, complaint.allowed)
    return TopologyError(file, line_of(text, complaint.key), complaint.key, complaint.problem, hint)


def _explain(message: str, text: str, file: str) -> TopologyError:
    """From msgspec's words (`... - at `$.host[0].roles[2]``) to a place in the file."""
    problem, _, where = message.partition(" - at `")
    key = re.sub(r"^\$\.?", "", where.rstrip("`"))
    table = re.split(r"[.\[]", key)[0]
    known = list(_TABLES[table].__struct_encode_fields__) if table in _TABLES else []
    if unknown := re.search(r"unknown field `([^`]+)`", problem):
        wrong = f"{key}.{unknown[1]}" if key else unknown[1]
        return TopologyError(file, line_of(text, wrong), wrong, "there is no such key", nearest(unknown[1], known))
    if missing := re.search(r"missing required field `([^`]+)`", problem):
        wrong = f"{key}.{missing[1]}" if key else missing[1]
        return TopologyError(file, line_of(text, key), wrong, "this key must be set")
    return TopologyError(file, line_of(text, key), key, problem)


_MANY = 40
"""More names than this are not listed."""


def nearest(given: str, known: Iterable[str]) -> str:
    """What was probably meant, else all that is known; empty if nothing is."""
    names = list(known)
    close = get_close_matches(given.lower(), names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?" + (f" Known: {', '.join(names)}" if len(names) <= _MANY else "")
    return f"Known: {', '.join(names)}" if 0 < len(names) <= _MANY else ""
