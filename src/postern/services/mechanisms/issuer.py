"""An OpenID Connect issuer: where its keys are (discovery), which they are now, and what a token of it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import msgspec

from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal

WELL_KNOWN = "/.well-known/openid-configuration"
KEYS_FRESH_S = 3600.0
"""How long fetched keys are used without asking again."""
KEYS_STALE_S = 86_400.0
"""How long they are used while the issuer does not answer."""
ASK_AGAIN_S = 30.0
"""An unknown key has the keys fetched anew, at most this often: tokens are made up by anybody."""
LEEWAY_S = 60
MAX_KEYS = 64
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

Fetch = Callable[[str, Path | None], Awaitable[bytes]]
"""A document by its URL, TLS verified against an authority's file or the system's. Raises OSError."""


class IssuerSettings(msgspec.Struct, frozen=True):
    """One issuer."""

    issuer: str
    audience: tuple[str, ...]
    claim: str
    scope: str
    algorithms: tuple[str, ...]
    """Asymmetric ones only."""
    authority: Path | None = None


class TokenRefused(Exception):  # noqa: N818 - an answer
    """A token is not good; the text says why, for the log."""


class Verified(msgspec.Struct, frozen=True):
    """What a good token says."""

    login: str
    expires_at: float


class Key(NamedTuple):
    """A public key of an issuer."""

    public: Any
    """As PyJWT takes it."""
    kind: str
    curve: str
    algorithm: str
    """The only one it is for; empty: any of its kind."""

    def fits(self, algorithm: str) -> bool:
        """Whether it is for signatures of that algorithm."""
        if self.algorithm not in {"", algorithm}:
            return False
        if self.kind == "EC":
            return _CURVES.get(algorithm) == self.curve
        return self.kind == ("OKP" if algorithm == "EdDSA" else "RSA") and algorithm not in _CURVES


class Issuer:
    """One issuer, with its keys."""

    def __init__(self, settings: IssuerSettings, fetch: Fetch, clock: Clock) -> None:
        self.settings = settings
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched = -KEYS_STALE_S
        self._asked = -KEYS_STALE_S
        self._asking = asyncio.Lock()
        self._problem = ""

    async def verify(self, token: str, header: Mapping[str, Any]) -> Verified:
        """Check a token's signature and claims (RFC 7519, RFC 8725, RFC 9068).

        Raises TokenRefused, Refusal(TRY_LATER) while the issuer's keys cannot be had.
        """
        algorithm = header.get("alg")
        if algorithm not in self.settings.algorithms:
            raise TokenRefused(f"signed by {algorithm}, which is not one of {', '.join(self.settings.algorithms)}")
        if header.get("crit"):
            raise TokenRefused("it asks for extensions (crit)")
        key = await self._key(str(header.get("kid", "")), str(algorithm))
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[str(algorithm)],
                audience=self.settings.audience,
                issuer=self.settings.issuer,
                # times are compared below: with our clock, not the library's
                options={"require": ["exp", "iss", "aud"], "verify_exp": False, "verify_nbf": False,
                         "verify_iat": False},
            )  # fmt: skip
        except jwt.PyJWTError as problem:
            raise TokenRefused(str(problem) or type(problem).__name__) from None
        return self._said(claims)

    def _said(self, claims: Mapping[str, Any]) -> Verified:
        now = self._clock.timestamp()
        times = {name: claims.get(name, now) for name in ("exp", "nbf", "iat")}
        if not all(isinstance(at, int | float) and not isinstance(at, bool) for at in times.values()):
            raise TokenRefused("a time that is no number")
        if times["exp"] <= now - LEEWAY_S:
            raise TokenRefused("it has expired")
        if max(times["nbf"], times["iat"]) > now + LEEWAY_S:
            raise TokenRefused("it is not valid yet: look at the clocks")
        scopes = claims.get("scope", claims.get("scp", ""))
        held = scopes.split() if isinstance(scopes, str) else scopes
        if self.settings.scope and (not isinstance(held, list) or self.settings.scope not in held):
            raise TokenRefused(f"without the scope {self.settings.scope}")
        login = claims.get(self.settings.claim)
        if not isinstance(login, str) or not login:
            raise TokenRefused(f"without the claim {self.settings.claim}")
        if self.settings.claim == "email" and claims.get("email_verified") is False:
            raise TokenRefused("the issuer has not verified its email address")
        return Verified(login, float(times["exp"]))

    async def _key(self, number: str, algorithm: str) -> Key:
        found = self._known(number, algorithm)
        now = self._clock.monotonic()
        if found is not None and now - self._fetched < KEYS_FRESH_S:
            return found
        async with self._asking:
            if self._clock.monotonic() - self._asked >= ASK_AGAIN_S:
                await self._ask()
        found = self._known(number, algorithm)
        if found is not None and self._clock.monotonic() - self._fetched < KEYS_STALE_S:
            return found
        if self._clock.monotonic() - self._fetched >= KEYS_STALE_S:
            raise Refusal(Reason.TRY_LATER, f"the issuer's keys cannot be had: {self._problem}")
        raise TokenRefused(f"{self.settings.issuer} has no key {number!r} for {algorithm}")

    def _known(self, number: str, algorithm: str) -> Key | None:
        """By its number, or the only one there is; of the right kind in any case."""
        key = self._keys.get(number)
        if key is None and not number and len(self._keys) == 1:
            (key,) = self._keys.values()
        return key if key is not None and key.fits(algorithm) else None

    async def _ask(self) -> None:
        self._asked = self._clock.monotonic()
        own = self.settings
        try:
            facts = _table(await self._fetch(own.issuer.rstrip("/") + WELL_KNOWN, own.authority))
            if facts.get("issuer") != own.issuer:
                raise ValueError(f"it calls itself {facts.get('issuer')!r}")
            listed = _table(await self._fetch(str(facts["jwks_uri"]), own.authority)).get("keys")
            if not isinstance(listed, list):
                raise ValueError("no list of keys")
            self._keys = dict(_usable(listed[:MAX_KEYS]))
            self._fetched = self._asked
            self._problem = ""
        except (OSError, ValueError, KeyError) as problem:
            self._problem = f"{own.issuer}: {problem}"


def _table(document: bytes) -> dict[str, Any]:
    found = json.loads(document)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _usable(listed: list[Any]) -> list[tuple[str, Key]]:
    """Public keys for signatures; others are passed over, a shared key among them above all."""
    found = []
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        if entry.get("kty") not in {"RSA", "EC", "OKP"} or "d" in entry:
            continue
        try:
            key = jwt.PyJWK(entry)
            public = Key(key.key, str(entry["kty"]), str(entry.get("crv", "")), str(entry.get("alg", "")))
            found.append((str(entry.get("kid", "")), public))
        except jwt.PyJWTError:
            continue
    return found
