"""The subschema (RFC 4512 4.2): what clients read before they trust an attribute's name."""

from __future__ import annotations

SUBSCHEMA = "cn=Subschema"

_STRING, _PHONE, _JPEG, _OCTETS, _OID = (
    f"1.3.6.1.4.1.1466.115.121.1.{number}" for number in (15, 50, 28, 40, 38)
)  # fmt: skip
_IGNORE = "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch"

_TYPES = (
    ("2.5.4.0", "'objectClass'", "EQUALITY objectIdentifierMatch", _OID),
    ("2.5.4.3", "( 'cn' 'commonName' )", _IGNORE, _STRING),
    ("2.5.4.4", "( 'sn' 'surname' )", _IGNORE, _STRING),
    ("2.5.4.42", "( 'givenName' 'gn' )", _IGNORE, _STRING),
    ("2.5.4.43", "'initials'", _IGNORE, _STRING),
    ("2.16.840.1.113730.3.1.241", "'displayName'", _IGNORE, _STRING),
    ("0.9.2342.19200300.100.1.3", "( 'mail' 'rfc822Mailbox' )", _IGNORE, _STRING),
    ("2.5.4.20", "'telephoneNumber'", _IGNORE, _PHONE),
    ("0.9.2342.19200300.100.1.41", "( 'mobile' 'mobileTelephoneNumber' )", _IGNORE, _PHONE),
    ("2.5.4.23", "( 'facsimileTelephoneNumber' 'fax' )", _IGNORE, _PHONE),
    ("2.5.4.12", "'title'", _IGNORE, _STRING),
    ("1.2.840.113556.1.2.141", "'department'", _IGNORE, _STRING),
    ("2.5.4.11", "( 'ou' 'organizationalUnitName' )", _IGNORE, _STRING),
    ("1.2.840.113556.1.2.146", "'company'", _IGNORE, _STRING),
    ("2.5.4.10", "( 'o' 'organizationName' )", _IGNORE, _STRING),
    ("2.5.4.19", "'physicalDeliveryOfficeName'", _IGNORE, _STRING),
    ("2.5.4.9", "( 'street' 'streetAddress' )", _IGNORE, _STRING),
    ("2.5.4.7", "( 'l' 'localityName' )", _IGNORE, _STRING),
    ("2.5.4.8", "( 'st' 'stateOrProvinceName' )", _IGNORE, _STRING),
    ("2.5.4.17", "'postalCode'", _IGNORE, _STRING),
    ("1.2.840.113556.1.2.131", "'co'", _IGNORE, _STRING),
    ("1.2.840.113556.1.2.464", "'wWWHomePage'", _IGNORE, _STRING),
    ("0.9.2342.19200300.100.1.60", "'jpegPhoto'", "", _JPEG),
    ("2.16.840.1.113730.3.1.35", "'thumbnailPhoto'", "", _OCTETS),
    ("0.9.2342.19200300.100.1.25", "( 'dc' 'domainComponent' )", _IGNORE, _STRING),
    ("1.2.840.113556.1.4.48", "'keywords'", _IGNORE, _STRING),
    ("1.2.840.113556.1.4.510", "'serviceBindingInformation'", _IGNORE, _STRING),
    ("1.2.840.113556.1.4.509", "'serviceClassName'", _IGNORE, _STRING),
    ("1.2.840.113556.1.4.657", "'serviceDNSName'", _IGNORE, _STRING),
)

_PERSON_MAY = (
    "displayName $ givenName $ initials $ mail $ telephoneNumber $ mobile $ facsimileTelephoneNumber $ title $"
    " department $ ou $ company $ o $ physicalDeliveryOfficeName $ street $ l $ st $ postalCode $ co $ wWWHomePage $"
    " jpegPhoto $ thumbnailPhoto"
)
OBJECT_CLASSES = (
    "( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
    "( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST cn MAY ( sn $ telephoneNumber ) )",
    "( 2.5.6.7 NAME 'organizationalPerson' SUP person STRUCTURAL MAY ( title $ ou $ l $ st $ street $ postalCode ) )",
    f"( 2.16.840.1.113730.3.2.2 NAME 'inetOrgPerson' SUP organizationalPerson STRUCTURAL MAY ( {_PERSON_MAY} ) )",
    "( 0.9.2342.19200300.100.4.7 NAME 'room' SUP top AUXILIARY MAY ( cn $ telephoneNumber ) )",
    "( 1.2.840.113556.1.5.15 NAME 'contact' SUP top AUXILIARY MUST cn )",
    "( 1.2.840.113556.1.5.8 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( displayName $ mail $ thumbnailPhoto ) )",
    "( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou MAY cn )",
    "( 0.9.2342.19200300.100.4.13 NAME 'domain' SUP top STRUCTURAL MUST dc )",
    "( 1.2.840.113556.1.5.20 NAME 'leaf' SUP top ABSTRACT )",
    "( 1.2.840.113556.1.5.14 NAME 'connectionPoint' SUP leaf ABSTRACT MUST cn MAY keywords )",
    "( 1.2.840.113556.1.3.23 NAME 'container' SUP top STRUCTURAL MUST cn )",
    "( 1.2.840.113556.1.5.126 NAME 'serviceConnectionPoint' SUP connectionPoint STRUCTURAL"
    " MAY ( serviceBindingInformation $ serviceClassName $ serviceDNSName ) )",
    "( 2.5.20.1 NAME 'subschema' AUXILIARY MAY ( objectClasses $ attributeTypes ) )",
)
ATTRIBUTE_TYPES = tuple(
    " ".join(("(", oid, "NAME", names, *([rules] if rules else []), "SYNTAX", syntax, ")"))
    for oid, names, rules, syntax in _TYPES
)


def entry() -> dict[str, tuple[bytes, ...]]:
    """The subschema's attributes."""
    return {
        "objectClass": (b"top", b"subschema"),
        "cn": (b"Subschema",),
        "objectClasses": tuple(map(str.encode, OBJECT_CLASSES)),
        "attributeTypes": tuple(map(str.encode, ATTRIBUTE_TYPES)),
    }


OPERATIONAL = frozenset({"objectClasses", "attributeTypes"})
