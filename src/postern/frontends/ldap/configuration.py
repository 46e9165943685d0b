"""CN=Configuration: where Outlook looks for Autodiscover (MS-OXDISCO 3.1.5.1), a few entries made from settings."""

from __future__ import annotations

from collections.abc import Iterator

from postern.frontends.ldap.entries import Wanted
from postern.model.refusal import ProtocolViolation
from postern.protocols.autodiscover import scp
from postern.protocols.ldap import dn
from postern.protocols.ldap.matching import matches
from postern.protocols.ldap.operations import Scope, SearchEntry, SearchRequest


class Configuration:
    """The entries beside a base."""

    def __init__(self, url: str, hostname: str, base: str) -> None:
        """Without a URL there is nothing to be found."""
        found = scp.tree(url, hostname, base) if url else []
        self._entries = [
            (dn.parse(name), name, {key: tuple(map(str.encode, values)) for key, values in attributes.items()})
            for name, attributes in found
        ]

    def holds(self, base: str) -> bool:
        """Whether a search begins at one of them."""
        try:
            parts = dn.parse(base)
        except ProtocolViolation:
            return False
        return any(dn.same(parts, own) for own, _, _ in self._entries)

    def search(self, request: SearchRequest, wanted: Wanted) -> Iterator[SearchEntry]:
        """What fits."""
        base = dn.parse(request.base)
        for parts, name, attributes in self._entries:
            depth = len(parts) - len(base)
            if depth < 0 or not dn.same(parts[depth:], base) or not _in_scope(request.scope, depth):
                continue
            if matches(request.filter, attributes):
                yield wanted.pick(name, attributes, frozenset())


def _in_scope(scope: Scope, depth: int) -> bool:
    if scope is Scope.BASE:
        return depth == 0
    return depth == 1 if scope is Scope.ONE_LEVEL else True
