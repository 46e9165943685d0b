"""HTTP Digest: nonces of this worker, and claims checked against keys that the directory has."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from postern.frontends.http.asgi import Fields
from postern.frontends.ports import Authentication
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.protocols.http.digest import ALGORITHMS, Claim, claim, key, kind, proves
from postern.protocols.http.fields import challenge, parameters
from postern.protocols.http.session import RequestHead

if TYPE_CHECKING:
    from postern.services.principal import Principal

NONCE_S = 300.0
"""How long a nonce may be used; the client is then told that it is stale and asks nobody for a password."""
_MAX_NONCES = 10_000
_WINDOW = 64
"""Requests that one client has under way at once may come out of order by so much."""


class StaleNonce(Exception):  # noqa: N818 - an answer, not an error
    """The claim may be right, but its nonce is not one of ours, too old or used up: the client gets another one."""


class Digests:
    """The scheme's state. A nonce belongs to the worker that made it: another one finds it stale, which costs a round
    trip and makes a replay impossible anywhere."""  # noqa: D205, D209

    def __init__(self, authentication: Authentication, clock: Clock, entropy: Entropy, realm: str) -> None:
        self._authentication = authentication
        self._clock = clock
        self._entropy = entropy
        self._realm = realm
        self._nonces: dict[str, tuple[float, int, int]] = {}
        """End, highest count, and a bit for each count below it that has been used."""

    def challenges(self, *, stale: bool = False) -> Fields:
        """One for each algorithm, strongest first (RFC 7616 3.7)."""
        nonce = self._new_nonce()
        found = []
        for algorithm in ALGORITHMS:
            values = {"realm": self._realm, "qop": "auth", "algorithm": algorithm, "nonce": nonce}
            values |= {"charset": "UTF-8"} | ({"stale": "true"} if stale else {})
            found.append((b"www-authenticate", challenge("Digest", values, ("algorithm", "stale", "charset"))))
        return found

    async def verify(self, text: str, head: RequestHead, peer: str, protocol: str) -> Principal:
        """Who makes a claim. Raises Refusal, StaleNonce."""
        try:
            one = claim(parameters(text))
        except ValueError as error:
            raise Refusal(Reason.BAD_CREDENTIALS, str(error)) from error
        if one.realm != self._realm or one.uri.encode() != _uri(head):
            raise Refusal(Reason.BAD_CREDENTIALS, "a Digest for another request")
        self._check_known(one)
        stored = await self._authentication.derived_key(one.user, kind(one.algorithm, self._realm), peer)
        # for an unknown user as much is computed as for a known one
        expected = key(one.algorithm, one.user, self._realm, one.nonce) if stored is None else stored.decode()
        right = proves(expected, head.method, one) and stored is not None
        if right:
            self._use(one)
        return await self._authentication.finish_scram(one.user, right, peer, protocol)

    def _new_nonce(self) -> str:
        now = self._clock.monotonic()
        if len(self._nonces) >= _MAX_NONCES:
            self._nonces = {nonce: state for nonce, state in self._nonces.items() if state[0] > now and state[1]}
            if len(self._nonces) >= _MAX_NONCES:
                self._nonces.clear()
        nonce = base64.urlsafe_b64encode(self._entropy.token(18)).decode()
        self._nonces[nonce] = (now + NONCE_S, 0, 0)
        return nonce

    def _check_known(self, one: Claim) -> None:
        state = self._nonces.get(one.nonce)
        if state is None or state[0] <= self._clock.monotonic():
            raise StaleNonce
        _, highest, used = state
        behind = highest - one.count
        if one.count < 1 or behind >= _WINDOW or (behind >= 0 and used >> behind & 1):
            raise StaleNonce

    def _use(self, one: Claim) -> None:
        """Each count once: somebody who has read a request cannot send it again."""
        self._check_known(one)  # another request may have used it while the directory was asked
        end, highest, used = self._nonces[one.nonce]
        if one.count > highest:
            ahead = one.count - highest
            used = (used << ahead | 1) & ((1 << _WINDOW) - 1) if ahead < _WINDOW else 1
            self._nonces[one.nonce] = (end, one.count, used)
        else:
            self._nonces[one.nonce] = (end, highest, used | 1 << (highest - one.count))


def _uri(head: RequestHead) -> bytes:
    return head.target.raw_path + (b"?" + head.target.query if head.target.query else b"")
