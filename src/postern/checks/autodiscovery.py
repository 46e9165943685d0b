"""The way on which Outlook finds Autodiscover, step by step (MS-OXDISCO 3.1.5, Outlook 2016 implementation notes).

Nobody outside the asked domain is contacted: steps that would ask Microsoft 365 are named and not taken. Names are
resolved and connections made as the system does it, because that is what the client on this machine would do.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import ssl
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import msgspec

from postern.checks import connection_points
from postern.model.ports import DnsFailure, NoSuchDomain, SrvHost
from postern.model.refusal import ProtocolViolation
from postern.net.tls import client_context
from postern.protocols.autodiscover import pox
from postern.protocols.autodiscover.markup import read, tag, text_of, wrap

PATH = "/autodiscover/autodiscover.xml"
BODY_BYTES = 262_144
MAX_REDIRECTS = 10
REGISTRY = r"HKEY_CURRENT_USER\Software\Microsoft\Office\16.0\Outlook\AutoDiscover"


class Services(Protocol):
    """net.dns.DnsResolver."""

    async def services(self, name: str) -> Sequence[SrvHost]:
        """SRV records in the order to try. Raises NoSuchDomain, DnsFailure."""
        ...


class Outcome(Enum):
    """How a step ends."""

    FOUND = "found"
    """Autodiscover answers with settings."""
    ASKS = "asks"
    """Somebody asks for a password; without one nobody can tell whether it is Autodiscover."""
    REFUSED = "refused"
    """It takes no password that is right elsewhere, or says that there is no such mailbox."""
    FOREIGN = "foreign"
    """Something else answers, and Outlook takes it for an answer or warns of it."""
    CERTIFICATE = "certificate"
    """The certificate is not good for the name: Outlook warns, other programs go on."""
    NOTHING = "nothing"
    """Nobody is there, and the client goes on."""
    SKIPPED = "skipped"
    """Not taken."""


OBSTACLES = frozenset({Outcome.FOREIGN, Outcome.CERTIFICATE, Outcome.REFUSED})
"""In front of the step that works they have to be removed, or passed by a registry value."""
ANSWERS = frozenset({Outcome.FOUND, Outcome.ASKS})


class Step(msgspec.Struct, frozen=True):
    """One of the documented steps."""

    name: str
    """o365, scp, root, autodiscover, local, redirect, srv, fallback."""
    registry: str
    """Value that makes Outlook pass it by."""
    outcome: Outcome
    url: str = ""
    """What was asked last."""
    detail: str = ""
    """In the other side's or the system's words."""
    settings: dict[str, str] = {}
    """What was found: EWS, OAB, IMAP ..."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, and how."""

    address: str
    password: str = ""
    """Sent to names of the domain whose certificate is good, and to where they redirect; empty: none is sent."""
    trust: Path | None = None
    timeout_s: float = 5.0
    directory: str = ""
    """Host that is asked for service connection points by LDAP over TLS; empty: none is."""

    @property
    def domain(self) -> str:
        """Of the address."""
        return self.address.rpartition("@")[2]


class _Reply(msgspec.Struct, frozen=True):
    status: int
    kind: str
    location: str
    body: bytes


async def follow(asking: Asking, resolver: Services) -> list[Step]:
    """All steps in Outlook's order, also those behind the first that answers."""
    domain = asking.domain
    points, root, made_up, redirect, service = await asyncio.gather(
        _points(asking),
        _https("root", "ExcludeHttpsRootDomain", f"https://{domain}{PATH}", asking),
        _https("autodiscover", "ExcludeHttpsAutoDiscoverDomain", f"https://autodiscover.{domain}{PATH}", asking),
        _redirect(f"http://autodiscover.{domain}{PATH}", asking),
        _service(asking, resolver),
    )
    return [
        Step("o365", "ExcludeExplicitO365Endpoint", Outcome.SKIPPED),
        points,
        root,
        made_up,
        Step("local", "PreferLocalXML", Outcome.SKIPPED),
        redirect,
        service,
        Step("fallback", "ExcludeExplicitO365Endpoint", Outcome.SKIPPED),
    ]


def first_answer(steps: list[Step]) -> Step | None:
    """The step by which a client is set up."""
    return next((step for step in steps if step.outcome in ANSWERS), None)


def obstacles(steps: list[Step]) -> list[Step]:
    """What stands before it."""
    found = first_answer(steps)
    ahead = steps if found is None else steps[: steps.index(found)]
    return [step for step in ahead if step.outcome in OBSTACLES]


async def _https(name: str, registry: str, url: str, asking: Asking) -> Step:
    outcome, asked, detail, settings = await asyncio.to_thread(_post, url, asking)
    return Step(name, registry, outcome, asked, detail, settings)


async def _points(asking: Asking) -> Step:
    """Only computers in a domain look there, and only a directory that was named is asked."""
    name, registry = "scp", "ExcludeScpLookup"
    if not asking.directory:
        return Step(name, registry, Outcome.SKIPPED)
    found = await connection_points.find(
        asking.directory, asking.address, asking.password, trust=asking.trust, timeout_s=asking.timeout_s
    )
    if not found.urls:
        return Step(name, registry, Outcome.NOTHING, f"ldaps://{asking.directory}", found.detail)
    return await _https(name, registry, found.urls[0], asking)


async def _redirect(url: str, asking: Asking) -> Step:
    """An unauthenticated GET in clear text, which may only lead to https."""
    name, registry = "redirect", "ExcludeHttpRedirect"
    try:
        reply = await asyncio.to_thread(_request, "GET", url, b"", {}, asking)
    except (OSError, http.client.HTTPException) as problem:
        return Step(name, registry, Outcome.NOTHING, url, _words(problem))
    if reply.status not in (301, 302, 307, 308) or not reply.location:
        return Step(name, registry, Outcome.NOTHING, url, f"HTTP {reply.status}")
    target = urljoin(url, reply.location)
    if not target.startswith("https://"):
        return Step(name, registry, Outcome.FOREIGN, url, f"HTTP {reply.status}: {target[:200]}")
    return await _https(name, registry, target, asking)


async def _service(asking: Asking, resolver: Services) -> Step:
    name, registry = "srv", "ExcludeSrvRecord"
    record = f"_autodiscover._tcp.{asking.domain}"
    try:
        found = [one for one in await resolver.services(record) if one.name]
    except NoSuchDomain:
        found = []
    except DnsFailure as problem:
        return Step(name, registry, Outcome.NOTHING, record, str(problem))
    if not found:
        return Step(name, registry, Outcome.NOTHING, record)
    port = "" if found[0].port == 443 else f":{found[0].port}"
    return await _https(name, registry, f"https://{found[0].name}{port}{PATH}", asking)


# --- one request, in a thread of its own


def _post(url: str, asking: Asking) -> tuple[Outcome, str, str, dict[str, str]]:
    """Outcome, last URL, detail, what was found."""
    fields = {"Content-Type": "text/xml; charset=utf-8", "User-Agent": "Postern"}
    signed = fields | {"Authorization": "Basic " + _basic(asking)} if asking.password else fields
    body = _question(asking.address)
    for _ in range(MAX_REDIRECTS):
        try:
            # unasked nobody gets a password: first comes the question whether one is wanted
            reply = _request("POST", url, body, fields, asking)
            if reply.status == 401 and asking.password:
                reply = _request("POST", url, body, signed, asking)
        except ssl.SSLCertVerificationError as problem:
            return Outcome.CERTIFICATE, url, problem.verify_message, {}
        except (OSError, http.client.HTTPException) as problem:
            return Outcome.NOTHING, url, _words(problem), {}
        if reply.status in (301, 302, 307, 308) and reply.location:
            target = urljoin(url, reply.location)
            if not target.startswith("https://"):
                return Outcome.FOREIGN, url, f"HTTP {reply.status}: {target[:200]}", {}
            url = target
            continue
        outcome, detail, settings = _judge(reply, asking)
        return outcome, url, detail, settings
    return Outcome.FOREIGN, url, f"more than {MAX_REDIRECTS} redirects", {}


def _judge(reply: _Reply, asking: Asking) -> tuple[Outcome, str, dict[str, str]]:
    if reply.status == 401:
        return (Outcome.REFUSED if asking.password else Outcome.ASKS), "HTTP 401", {}
    if reply.status != 200:
        return Outcome.NOTHING, f"HTTP {reply.status}", {}
    try:
        root = read(reply.body)
    except ProtocolViolation:
        return Outcome.FOREIGN, f"HTTP 200 {reply.kind}".strip(), {}
    if not str(root.tag).endswith("}Autodiscover"):
        return Outcome.FOREIGN, f"HTTP 200 {reply.kind}".strip(), {}
    if code := text_of(root, "ErrorCode"):
        return Outcome.REFUSED, f"{code} {text_of(root, 'Message')}".strip(), {}
    target = text_of(root, "RedirectAddr") or text_of(root, "RedirectUrl")
    if target:
        return Outcome.FOUND, "", {"redirect": target}
    found: dict[str, str] = {}
    for one in root.iter(f"{{{pox.OUTLOOK}}}Protocol"):
        kind = text_of(one, "Type") or one.get("Type", "")
        port = text_of(one, "Port")
        found[kind] = text_of(one, "EwsUrl") or f"{text_of(one, 'Server')}:{port}".rstrip(":")
    return Outcome.FOUND, "", found


def _request(method: str, url: str, body: bytes, fields: dict[str, str], asking: Asking) -> _Reply:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = client_context(verify=True, trust=asking.trust)
        connection = http.client.HTTPSConnection(host, parts.port, timeout=asking.timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=asking.timeout_s)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body=body or None, headers=fields)
        answer = connection.getresponse()
        content = answer.read(BODY_BYTES) if answer.status == 200 else b""
        kind = answer.headers.get_content_type() if answer.headers.get("content-type") else ""
        return _Reply(answer.status, kind, answer.headers.get("location") or "", content)
    except ssl.SSLError:  # the one about certificates is a ValueError too
        raise
    except ValueError as problem:
        raise http.client.HTTPException(str(problem)) from problem
    finally:
        connection.close()


def _question(address: str) -> bytes:
    asked = tag("EMailAddress", address) + tag("AcceptableResponseSchema", pox.OUTLOOK)
    space = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
    return wrap("Autodiscover", wrap("Request", asked), {"xmlns": space}).encode()


def _basic(asking: Asking) -> str:
    return base64.b64encode(f"{asking.address}:{asking.password}".encode()).decode()


def _words(problem: Exception) -> str:
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or str(problem)).replace("_", " ").lower()
    return str(getattr(problem, "strerror", None) or problem) or type(problem).__name__
