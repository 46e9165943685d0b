"""The formats that rules can be written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postern.topology.model import Flow, Host, Topology

Writer = Callable[[Topology, Sequence[Flow], Host | None], str]
"""(topology, its required flows, host) -> the text of one rule set, the same for the same input.

With a host: the rules of that computer's own packet filter. Without: the rules of a device between the zones, for
flows that cross from zone to zone. A writer that can do only one of the two raises FormatError for the other.
"""

FORMATS: dict[str, Writer] = {}
"""By the name on the command line."""


class FormatError(ValueError):
    """The format cannot say this; the text says what to do instead."""
