"""What a rule is called and what it says of itself, for devices that are strict about both."""

from __future__ import annotations

import hashlib
import re

from postern.topology.model import Flow, Topology

_NAME = re.compile(r"[^a-z0-9]+")
_TEXT = re.compile(r"[^A-Za-z0-9 .,:;()+/_-]+")


def rule_name(flow: Flow, length: int = 40) -> str:
    """Lower-case letters, digits and hyphens; the same for the same flow, whatever other flows there are."""
    key = f"{flow.source.name}>{flow.destination.name}>{flow.transport}>{flow.first}-{flow.last}"
    mark = hashlib.sha256(key.encode()).hexdigest()[:6]
    path = _NAME.sub("-", flow.path_ids[0].lower()).strip("-") if flow.path_ids else "flow"
    return f"p-{path[: length - 9].rstrip('-')}-{mark}"


def describe(flow: Flow, limit: int = 240) -> str:
    """`ID, ID: purpose (source to destination)` in characters that every device takes, not longer than the limit.

    All ids come before anything is shortened, as they lead to the rest; only where even they do not fit, their number
    stands for the last ones.
    """
    ends = plain(f"({flow.source.name} to {flow.destination.name})")
    ids = list(flow.path_ids)
    text = ", ".join(ids)
    while len(ids) > 1 and len(text) > limit - 4:
        ids.pop()
        text = f"{', '.join(ids)} +{len(flow.path_ids) - len(ids)}"
    for further in (f"{text}: {plain(flow.purpose.en)} {ends}", f"{text}: {plain(flow.purpose.en)}"):
        if len(further) <= limit:
            return further
    return further[:limit].rstrip()


def plain(text: str) -> str:
    """Without characters that end a comment, a string or a line anywhere."""
    return " ".join(_TEXT.sub(" ", text).split())


def title(topology: Topology) -> str:
    """The head of a rule set."""
    return plain(f"Mail data paths of {topology.organisation}")
