"""Whether a message goes to Junk: the owner's lists, then what filters before us wrote into its header."""

from __future__ import annotations

import re
from collections.abc import Collection

from postern.formats.sieve.message import Message
from postern.model.rules import Junk

_DMARC_FAIL = re.compile(r"\bdmarc=fail\b")


def is_junk(message: Message, reverse_path: str, junk: Junk) -> bool:
    """By the lists and the fields X-Spam-Flag, X-Spam-Status and Authentication-Results."""
    if not junk.enabled:
        return False
    senders = {f"{local}@{domain}".lower() for field in message.addresses("from") for local, domain in field}
    if not senders and reverse_path:
        senders = {reverse_path.lower()}
    results = [value.lower() for value in message.values("authentication-results")]
    forged = any(_DMARC_FAIL.search(value) for value in results)
    recipients = {
        f"{local}@{domain}".lower()
        for name in ("to", "cc")
        for field in message.addresses(name)
        for local, domain in field
    }
    # who is not who he says he is, is not the one on the list
    if (_listed(senders, junk.safe_senders) and not forged) or _listed(recipients, junk.safe_recipients):
        return False
    if _listed(senders, junk.blocked_senders) or junk.only_safe:
        return True
    if any(value.strip().lower().startswith("yes") for value in message.values("x-spam-flag")):
        return True
    if any(value.strip().lower().startswith("yes") for value in message.values("x-spam-status")):
        return True
    return forged and any("quarantine" in value for value in results)


def _listed(addresses: Collection[str], entries: Collection[str]) -> bool:
    wanted = {entry.lower().removeprefix("@") for entry in entries}
    return any(address in wanted or address.rpartition("@")[2] in wanted for address in addresses)
