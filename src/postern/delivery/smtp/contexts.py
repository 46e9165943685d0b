"""TLS contexts towards next hops, by what is asked of them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TypeAlias

from postern.model.transfer import NextHop, TlsPolicy
from postern.net.tls import FileState, client_context, file_state

Files: TypeAlias = tuple[Path, Path]
"""Certificate and key."""


class Contexts:
    """Made once each, and again when the certificate that is shown was replaced."""

    def __init__(self, identity: Files | None = None, certificate: Files | None = None) -> None:
        """`identity` is shown to the organisation's servers, `certificate` to partners; nothing to anybody else."""
        self._shown = {TlsPolicy.SERVER: identity, TlsPolicy.PARTNER: certificate}
        self._made: dict[tuple[object, ...], tuple[FileState, ssl.SSLContext]] = {}

    def of(self, next_hop: NextHop) -> ssl.SSLContext:
        """The context for a next hop. Raises OSError, ssl.SSLError for files that cannot be used."""
        shown = self._shown.get(next_hop.tls)
        trust = next_hop.partner.authority if next_hop.partner and not next_hop.partner.pins else ""
        # who is who is decided by keys there, in the one case and with pins; by authorities and names otherwise
        by_key = next_hop.tls is TlsPolicy.SERVER or (next_hop.partner is not None and bool(next_hop.partner.pins))
        verify = next_hop.tls is TlsPolicy.VERIFIED or (next_hop.tls is TlsPolicy.PARTNER and not by_key)
        key = (shown, verify, trust, next_hop.tls is TlsPolicy.PARTNER)
        state = file_state(*shown) if shown else ()
        made = self._made.get(key)
        if made is None or made[0] != state:
            context = client_context(verify=verify, trust=Path(trust) if trust else None, certificate=shown)
            if next_hop.tls is TlsPolicy.PARTNER:
                # which names a partner's host may have is the partner's entry to say, not the MX record
                context.check_hostname = False
            made = self._made[key] = (state, context)
        return made[1]
