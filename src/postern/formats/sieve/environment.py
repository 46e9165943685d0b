"""What a script asks of the world around it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from postern.formats.sieve.syntax import Program
from postern.model.items import SpecialUse


class Environment(Protocol):
    """For one message and one mailbox; answers at once."""

    now: datetime
    """Aware, in the zone that `currentdate` speaks by default."""
    reverse_path: str
    """MAIL FROM; empty for bounces."""
    recipient: str
    """RCPT TO, with its detail."""

    def folder_exists(self, name: str) -> bool:
        """A folder of that name, levels apart by `/` (RFC 5490 3.1)."""
        ...

    def special_use_exists(self, use: SpecialUse, name: str | None) -> bool:
        """A folder with the use; with a name, whether that folder has it (RFC 8579 3)."""
        ...

    def script(self, name: str) -> Program | None:
        """A script of the same mailbox. Raises SieveError if it is not valid."""
        ...

    def seen(self, name: str) -> bool:
        """Whether `duplicate` has met that id within its time, with another message."""
        ...


USES: dict[str, SpecialUse] = {
    use.value.lower(): use
    for use in (SpecialUse.SENT, SpecialUse.DRAFTS, SpecialUse.TRASH, SpecialUse.JUNK, SpecialUse.ARCHIVE)
}
"""What `:specialuse` may say (RFC 6154 2), lower case."""
