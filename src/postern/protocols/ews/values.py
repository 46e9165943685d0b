"""Values as the schema writes them: yes and no, words of its lists, people."""

from __future__ import annotations

from functools import lru_cache

from postern.protocols.ews.message_facts import Person
from postern.protocols.soap.writing import text

BOOL = {True: "true", False: "false"}
IMPORTANCE = ("Low", "Normal", "High")
SENSITIVITY = ("Normal", "Personal", "Private", "Confidential")
FLAG_STATUS = ("NotFlagged", "Complete", "Flagged")
SHORT = 256
"""Characters of a text that is worth remembering as XML."""


def person_xml(one: Person) -> str:
    """`<t:Mailbox>`."""
    return _known_person(one) if len(one.name) + len(one.address) <= SHORT else _person_xml(one)


def _person_xml(one: Person) -> str:
    if not one.address:
        return f"<t:Mailbox><t:Name>{text(one.name)}</t:Name></t:Mailbox>"
    return (
        f"<t:Mailbox><t:Name>{text(one.name or one.address)}</t:Name><t:EmailAddress>{text(one.address)}"
        "</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
    )


_known_person = lru_cache(maxsize=2048)(_person_xml)
