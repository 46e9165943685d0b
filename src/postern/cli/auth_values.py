"""What is written on the command line of rules and app passwords."""

from __future__ import annotations

from postern.cli.language import _
from postern.cli.output import fail
from postern.model.networks import Network, parse_network


def parse_networks(text: str) -> tuple[Network, ...]:
    """`192.0.2.0/24,2001:db8::/32`; anything else ends the command."""
    try:
        return tuple(parse_network(part) for part in text.split(",") if part.strip())
    except ValueError:
        fail(_("not a network: {text}; examples: 192.0.2.0/24, 2001:db8::/32, 198.51.100.7", text=text))
