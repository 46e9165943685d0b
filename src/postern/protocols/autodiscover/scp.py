"""Service connection points: how Outlook in an Active Directory domain finds Autodiscover (MS-OXDISCO 3.1.5.1)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

URL_KEYWORD = "77378F46-2C66-4aa9-A6A6-3E7A48B19596"
"""Says that serviceBindingInformation is an Autodiscover URL (MS-OXDISCO 3.1.5.1.1)."""
POINTER_KEYWORD = "67661d7F-8FC4-4fa7-BFAC-E1D7794C1F68"
"""Says that it is an LDAP URL of another forest."""
FILTER = f"(&(objectClass=serviceConnectionPoint)(|(keywords={POINTER_KEYWORD})(keywords={URL_KEYWORD})))"
"""What clients search for beneath the configuration naming context."""
SERVICE_CLASS = "ms-Exchange-AutoDiscover-Service"
CONTAINER = "Postern"

Entry = tuple[str, dict[str, tuple[str, ...]]]
"""A name and its attributes."""


def configuration(base: str) -> str:
    """The configuration naming context beside a domain's base (`dc=example,dc=org`)."""
    return f"CN=Configuration,{base}"


def entries(url: str, hostname: str, base: str, sites: Sequence[str] = ()) -> list[Entry]:
    """The container and the object in it; `sites` are the Active Directory sites whose clients prefer this server."""
    services = f"CN=Services,{configuration(base)}"
    container = f"CN={CONTAINER},{services}"
    return [
        (container, {"objectClass": ("top", "container"), "cn": (CONTAINER,)}),
        (
            f"CN={hostname},{container}",
            {
                "objectClass": ("top", "leaf", "connectionPoint", "serviceConnectionPoint"),
                "cn": (hostname,),
                "keywords": (URL_KEYWORD, *(f"Site={site}" for site in sites)),
                "serviceBindingInformation": (url,),
                "serviceClassName": (SERVICE_CLASS,),
                "serviceDNSName": (hostname,),
            },
        ),
    ]


def tree(url: str, hostname: str, base: str) -> list[Entry]:
    """The same with all that is above it, for a directory that has nothing there."""
    root = configuration(base)
    above: list[Entry] = [
        (root, {"objectClass": ("top", "container"), "cn": ("Configuration",)}),
        (f"CN=Services,{root}", {"objectClass": ("top", "container"), "cn": ("Services",)}),
    ]
    return above + entries(url, hostname, base)


def ldif(found: Sequence[Entry]) -> str:
    """Records to add (RFC 2849), as ldifde, ldapadd and ldbadd take them."""
    lines = ["version: 1", ""]
    for dn, attributes in found:
        lines += [_line("dn", dn), "changetype: add"]
        lines += [_line(name, value) for name, values in attributes.items() for value in values]
        lines.append("")
    return "\n".join(lines)


def _line(name: str, value: str) -> str:
    """In base64 what LDIF cannot hold as it is (RFC 2849, SAFE-STRING)."""
    safe = value.isascii() and value.isprintable() and not value.startswith((" ", ":", "<")) and not value.endswith(" ")
    return f"{name}: {value}" if safe else f"{name}:: {base64.b64encode(value.encode()).decode()}"
