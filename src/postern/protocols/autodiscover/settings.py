"""The settings that Autodiscover's SOAP service knows by name (MS-OXWSADISC 3.1.4.2.4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postern.model.published import ORGANISATION_DN, PublishedPerson, PublishedSite
from postern.protocols.autodiscover.markup import tag, tags, wrap

VERSION = "15.00.0847.032"
SCHEMAS = "Exchange2007, Exchange2007_SP1, Exchange2010, Exchange2010_SP1, Exchange2010_SP2, Exchange2013, " \
    "Exchange2013_SP1"  # fmt: skip
"""Of EWS. exchangelib takes the last one and knows these names."""

Text = Callable[[PublishedSite, PublishedPerson], str]


def _server_dn(person: PublishedPerson) -> str:
    return f"{ORGANISATION_DN}/cn=Configuration/cn=Servers/cn={person.mailbox}@{person.domain}"


def _mailbox_server(site: PublishedSite, person: PublishedPerson) -> str:
    return f"{person.mailbox}@{person.domain}"


_TEXTS: Mapping[str, Text] = {
    "UserDisplayName": lambda site, person: person.display_name or person.address,
    "UserDN": lambda site, person: person.legacy_dn,
    "UserDeploymentId": lambda site, person: person.deployment,
    "UserMSOnline": lambda site, person: "False",
    "AutoDiscoverSMTPAddress": lambda site, person: person.address,
    "InternalMailboxServer": _mailbox_server,
    "InternalMailboxServerDN": lambda site, person: _server_dn(person),
    "InternalRpcClientServer": lambda site, person: "",
    "MailboxDN": lambda site, person: f"{_server_dn(person)}/cn=Microsoft Private MDB",
    "InternalEwsUrl": lambda site, person: site.ews,
    "ExternalEwsUrl": lambda site, person: site.ews,
    "ExternalEwsVersion": lambda site, person: VERSION if site.ews else "",
    "EwsSupportedSchemas": lambda site, person: SCHEMAS if site.ews else "",
    "InternalOABUrl": lambda site, person: site.oab,
    "ExternalOABUrl": lambda site, person: site.oab,
    "InternalEcpUrl": lambda site, person: "",
    "ExternalEcpUrl": lambda site, person: "",
    "InternalUMUrl": lambda site, person: "",
    "ExternalUMUrl": lambda site, person: "",
    "PublicFolderServer": lambda site, person: "",
    "ActiveDirectoryServer": lambda site, person: "",
    "ExternalMailboxServer": lambda site, person: site.hostname,
    "ExternalMailboxServerRequiresSSL": lambda site, person: "True",
    "ExternalMailboxServerAuthenticationMethods": lambda site, person: ",".join(site.packages),
    "CasVersion": lambda site, person: VERSION,
    "CrossOrganizationSharingEnabled": lambda site, person: "False",
    "MapiHttpEnabled": lambda site, person: "True" if site.mapi else "False",
    "ShowGalAsDefaultView": lambda site, person: "True",
    "InternalServerExclusiveConnect": lambda site, person: "off",
    "ExternalServerExclusiveConnect": lambda site, person: "on",
    "ExchangeRpcUrl": lambda site, person: "",
    "GroupingInformation": lambda site, person: "",
}
"""Those that are texts; empty: known, and not available here."""

_CONNECTIONS = {
    f"{side}{name}Connections": kind
    for side in ("Internal", "External")
    for name, kind in (("Imap4", "imap"), ("Pop3", "pop3"), ("Smtp", "smtp"))
}


def value(name: str, site: PublishedSite, person: PublishedPerson) -> str | None:
    """A setting as a UserSetting element; empty if it is not available; None if nobody knows its name."""
    if name in _CONNECTIONS:
        return _protocols(name, _CONNECTIONS[name], site)
    if name in {"InternalWebClientUrls", "ExternalWebClientUrls"}:
        return _pages(name, site)
    if name == "AlternateMailboxes":
        return _alternatives(name, person)
    read = _TEXTS.get(name)
    if read is not None:
        content = read(site, person)
        return _setting("StringSetting", name, tag("Value", content)) if content else ""
    return "" if name.startswith(("Internal", "External", "Ecp", "Interop", "MobileMailbox")) else None


def _setting(kind: str, name: str, content: str) -> str:
    return wrap("UserSetting", tag("Name", name) + content, {"i:type": kind})


def _protocols(name: str, kind: str, site: PublishedSite) -> str:
    found = "".join(
        wrap(
            "ProtocolConnection",
            tags(Hostname=one.host, Port=str(one.port), EncryptionMethod="SSL" if one.implicit else "TLS"),
        )
        for one in site.servers
        if one.kind == kind
    )
    return _setting("ProtocolConnectionCollectionSetting", name, wrap("ProtocolConnections", found)) if found else ""


def _pages(name: str, site: PublishedSite) -> str:
    if not site.owa:
        return ""
    page = wrap("WebClientUrl", tags(AuthenticationMethods="Basic, Fba", Url=site.owa))
    return _setting("WebClientUrlCollectionSetting", name, wrap("WebClientUrls", page))


def _alternatives(name: str, person: PublishedPerson) -> str:
    found = "".join(
        wrap(
            "AlternateMailbox",
            tags(
                Type="Delegate",
                DisplayName=one.display_name or one.address,
                SmtpAddress=one.address,
                OwnerSmtpAddress=one.address,
            ),
        )
        for one in person.alternatives
    )
    return _setting("AlternateMailboxCollectionSetting", name, wrap("AlternateMailboxes", found)) if found else ""
