"""`postern firewall audit`: a ruleset beside the flows of a topology."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from postern.cli.files import explain_file
from postern.cli.firewall import EX_USAGE, TopologyFile, find_host, load_topology
from postern.cli.language import _, language
from postern.cli.options import Json
from postern.cli.output import fail, print_json
from postern.firewall.audit import MISSING, SURPLUS, UNENCRYPTED, AuditError, Finding, Report, audit
from postern.firewall.formats import FORMATS
from postern.firewall.readers.aws import Hosts
from postern.firewall.readers.detect import READERS, Context, decode, read
from postern.firewall.readers.ruleset import Reading, Remark, RulesetError
from postern.firewall.readers.windows import DOMAIN, PROFILES, RPC
from postern.topology.flows import path_flows, required_flows
from postern.topology.loading import nearest
from postern.topology.model import Host, Topology
from postern.topology.parties import Party, rpc_ports

EX_DIFFERENT = 1
EX_INCOMPLETE = 3
EX_DATAERR = 65
NAMES = 4
"""Networks and ports that a line shows; JSON has all."""

Ruleset = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True, help=_("File with the rules as the firewall prints them; - reads standard input.")
    ),
]
AuditHost = Annotated[
    str, Parameter(name="--host", help=_("The host whose rules these are. Without it, a device's between the zones."))
]
Format = Annotated[
    str, Parameter(help=_("Format of the file, if it is not recognised: {formats}.", formats=", ".join(READERS)))
]
Profile = Annotated[
    str, Parameter(help=_("Windows: the network profile that counts: {profiles}.", profiles=", ".join(PROFILES)))
]
Strict = Annotated[bool, Parameter(negative="", help=_("Unencrypted data paths count as a difference too."))]


def command(
    ruleset: Ruleset,
    /,
    *,
    topology: TopologyFile,
    host: AuditHost = "",
    format: Format = "",
    profile: Profile = DOMAIN,
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Compare; ends with 0 if nothing differs, 1 if something does, 3 if only parts were not understood."""
    for given, known, name in ((format, tuple(READERS), "--format"), (profile, PROFILES, "--profile")):
        if given and given not in known:
            hint = nearest(given, known)
            fail(_("{option} cannot be {given}. {hint}", option=name, given=given, hint=hint), EX_USAGE)
    loaded = load_topology(topology)
    asked = find_host(loaded, host)
    reading = _read(ruleset, loaded, asked, format, profile)
    try:
        report = audit(loaded, reading, required_flows(loaded), path_flows(loaded), asked)
    except AuditError as problem:
        fail(str(problem), EX_USAGE)
    if json:
        print_json(_facts(report, strict))
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(report, loaded))
    if not _agrees(report, strict):
        raise SystemExit(EX_DIFFERENT)
    if report.not_understood:
        raise SystemExit(EX_INCOMPLETE)


def _read(ruleset: str, topology: Topology, host: Host | None, name: str, profile: str) -> Reading:
    """The ruleset, or the end with the line that could not be read."""
    hosts = Hosts({one.name: one.addresses for one in topology.hosts}, host.name if host else "")
    given = Context(hosts, profile, rpc_ports(Party.of(host)) if host else RPC)
    try:
        data = sys.stdin.buffer.read() if ruleset == "-" else Path(ruleset).read_bytes()
    except OSError as problem:
        fail(explain_file(problem, ruleset), EX_DATAERR)
    try:
        return read(decode(data), given, name)
    except RulesetError as problem:
        fail(f"{ruleset}: {problem}", EX_DATAERR)


def _agrees(report: Report, strict: bool) -> bool:
    kinds = (MISSING, SURPLUS, UNENCRYPTED) if strict else (MISSING, SURPLUS)
    return not any(finding.kind in kinds for finding in report.findings)


def _facts(report: Report, strict: bool) -> dict[str, Any]:
    return {
        "format": report.format,
        "hosts": report.hosts,
        "ip_versions": report.families,
        "agrees": _agrees(report, strict),
        **{kind: [_fact(finding) for finding in report.of(kind)] for kind in (MISSING, SURPLUS, UNENCRYPTED)},
        "not_understood": [
            {"line": one.line, "text": one.text, "reason": one.reason.of(language()), "detail": one.detail}
            for one in report.not_understood
        ],
    }


def _fact(finding: Finding) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "host": finding.host,
        "direction": finding.direction,
        "ports": finding.ports,
        "source": finding.source,
        "destination": finding.destination,
    }
    if finding.kind == SURPLUS:
        return {**facts, "rule": finding.rule, "line": finding.line, "needed_for": finding.needed}
    facts |= {"partly": finding.partly, "paths": finding.paths, "purpose": finding.purpose.of(language())}
    return {**facts, "breaks": finding.breaks.of(language())} if finding.kind == MISSING else facts


def _lines(report: Report, topology: Topology) -> Iterator[str]:
    """The report for people."""
    where = ", ".join(report.hosts) or _("the device between the zones")
    yield _("Rules of {where} ({format}) beside {file}", where=where, format=report.format, file=topology.path)
    if report.families != (4, 6):
        yield _("Only IPv{version} is in the file; the other was not compared.", version=report.families[0])
    sections = (
        (MISSING, _("MISSING: what will not work"), _missing),
        (SURPLUS, _("SURPLUS: what is exposed"), _surplus),
        (UNENCRYPTED, _("UNENCRYPTED: what others on the way can read"), _unencrypted),
    )
    for kind, heading, show in sections:
        found = report.of(kind)
        if found:
            yield from ("", heading)
            for finding in found:
                yield from show(finding)
    if report.not_understood:
        yield from ("", _("NOT UNDERSTOOD: left out of the comparison"))
        for remark in report.not_understood:
            yield from _remark(remark)
    yield ""
    yield _(
        "{missing} missing, {surplus} surplus, {clear} unencrypted, {unread} not understood.",
        missing=len(report.of(MISSING)),
        surplus=len(report.of(SURPLUS)),
        clear=len(report.of(UNENCRYPTED)),
        unread=len(report.not_understood),
    )
    if not _agrees(report, strict=False):
        host = f" --host {report.hosts[0]}" if len(report.hosts) == 1 else ""
        name = report.format if report.format in FORMATS else "FORMAT"
        line = f"postern firewall --format {name} --topology {topology.path}{host}"
        yield _("Rules that have what is missing and not what is surplus: {command}", command=line)


def _missing(finding: Finding) -> Iterator[str]:
    state = _("only in part") if finding.partly else _("closed")
    yield f"  {_ends(finding)}  {_few(finding.ports)}  {state}  [{_few(finding.paths)}]"
    text = (finding.breaks or finding.purpose).of(language())
    if text:
        yield f"      {text}"


def _surplus(finding: Finding) -> Iterator[str]:
    line = _(", line {line}", line=finding.line) if finding.line else ""
    yield f"  {_ends(finding)}  {_few(finding.ports)}"
    if finding.needed:
        yield "      " + _("rule {rule}{line}; needed only for {needed}", rule=finding.rule, line=line,
                           needed=_few(finding.needed))  # fmt: skip
    else:
        yield "      " + _("rule {rule}{line}; needed by no data path", rule=finding.rule, line=line)


def _unencrypted(finding: Finding) -> Iterator[str]:
    state = _("clear text is possible") if finding.partly else _("clear text")
    yield f"  {_ends(finding)}  {_few(finding.ports)}  {state}  [{_few(finding.paths)}]"


def _remark(remark: Remark) -> Iterator[str]:
    where = _("line {line}", line=remark.line) if remark.line else "-"
    yield f"  {where}: {remark.text}"
    yield f"      {remark.reason.of(language())}{': ' + remark.detail if remark.detail else ''}"


def _ends(finding: Finding) -> str:
    return f"{_few(_everywhere(finding.source))} > {_few(_everywhere(finding.destination))}"


def _everywhere(networks: Sequence[str]) -> Sequence[str]:
    """Words for all addresses of a version."""
    names = {"0.0.0.0/0": _("every IPv4 address"), "::/0": _("every IPv6 address")}
    return [names.get(network, network) for network in networks]


def _few(items: Sequence[str]) -> str:
    more = f" +{len(items) - NAMES}" if len(items) > NAMES else ""
    return ", ".join(items[:NAMES]) + more
