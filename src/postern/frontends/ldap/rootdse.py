"""The root DSE (RFC 4512 5.1): what the server says of itself to everybody, and no more than clients need."""

from __future__ import annotations

from postern.frontends.ldap.schema import SUBSCHEMA
from postern.frontends.ldap.searching import SUPPORTED
from postern.frontends.ldap.settings import LdapSettings
from postern.frontends.ldap.tree import base_parts, written
from postern.protocols.autodiscover import scp
from postern.protocols.ldap import controls

OPERATIONAL = frozenset({
    "namingContexts", "defaultNamingContext", "configurationNamingContext",
    "subschemaSubentry", "supportedControl", "supportedExtension",
    "supportedFeatures", "supportedLDAPVersion", "supportedSASLMechanisms",
})  # fmt: skip
_TRUE_FALSE = "1.3.6.1.4.1.4203.1.5.3"
"""RFC 4526: filters without parts."""
_ALL_OPERATIONAL = "1.3.6.1.4.1.4203.1.5.1"
"""RFC 3673: `+`."""


def entry(
    settings: LdapSettings, domain: str, mechanisms: tuple[str, ...], *, starttls: bool
) -> dict[str, tuple[bytes, ...]]:
    """Its attributes, as this connection is at the moment."""
    base = written(base_parts(domain))
    extensions = (controls.WHO_AM_I, controls.CANCEL, *((controls.STARTTLS,) if starttls else ()))
    found = {
        "objectClass": ("top",),
        "vendorName": ("Postern",),
        "dnsHostName": (settings.server_name,),
        "namingContexts": (base,),
        "defaultNamingContext": (base,),
        "configurationNamingContext": (scp.configuration(base),) if settings.autodiscover else (),
        "subschemaSubentry": (SUBSCHEMA,),
        "supportedLDAPVersion": ("3",),
        "supportedControl": SUPPORTED,
        "supportedExtension": extensions,
        "supportedFeatures": (_TRUE_FALSE, _ALL_OPERATIONAL),
        "supportedSASLMechanisms": mechanisms,
    }
    return {name: tuple(value.encode() for value in values) for name, values in found.items() if values}
