"""Mozilla's autoconfig (config-v1.1.xml): read by Thunderbird, Evolution, KMail, K-9 and others, without a sign-in."""

from __future__ import annotations

from postern.model.published import MailServer, PublishedSite
from postern.protocols.autodiscover.markup import document, tag, tags, wrap
from postern.protocols.autodiscover.query import parameters

USER = "%EMAILADDRESS%"
"""The client puts its address here, so the answer tells nothing about anybody."""


def address_of(query: bytes) -> str:
    """`emailaddress=` of a query, in any letter case; empty if there is none."""
    return parameters(query).get("emailaddress", "")


def answer(site: PublishedSite, domain: str) -> bytes:
    """Servers in the order to try."""
    content = tag("domain", domain) + tag("displayName", domain) + tag("displayShortName", domain)
    for kind, element in (("imap", "incomingServer"), ("pop3", "incomingServer"), ("smtp", "outgoingServer")):
        content += "".join(_server(element, one) for one in site.servers if one.kind == kind)
    provider = wrap("emailProvider", content, {"id": domain})
    return document(wrap("clientConfig", provider, {"version": "1.1"}))


def _server(element: str, server: MailServer) -> str:
    content = tags(
        hostname=server.host,
        port=str(server.port),
        socketType="SSL" if server.implicit else "STARTTLS",
        username=USER,
        authentication="password-cleartext",
    )
    return wrap(element, content, {"type": server.kind})
