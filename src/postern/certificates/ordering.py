"""Certificates by ACME (RFC 8555): account, order, challenges, chain. Blocking: call it in a thread.

The protocol is the library's; it knows http-01 and dns-01, tls-alpn-01 (RFC 8737) is added here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import josepy.errors
import msgspec
import requests
from acme import challenges, client, errors, messages
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC
from josepy.util import ComparableECKey

from postern.certificates.place import write_private
from postern.certificates.responders import Responder
from postern.formats import issuing
from postern.model.addresses import normalise_domain
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal

PATIENCE = timedelta(minutes=5)
"""For the authority to look and to issue."""
REQUEST_TIMEOUT_S = 45
NONCE_ATTEMPTS = 3


@challenges.ChallengeResponse.register
class TlsAlpnResponse(challenges.KeyAuthorizationChallengeResponse):
    """tls-alpn-01's response."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn(challenges.KeyAuthorizationChallenge):
    """tls-alpn-01 (RFC 8737)."""

    response_cls = TlsAlpnResponse
    typ = response_cls.typ

    def validation(self, account_key: JWK, **_: Any) -> str:
        """The key authorization, whose hash the certificate carries."""
        return self.key_authorization(account_key)


class _Network(client.ClientNetwork):
    """Patient with a busy server: its nonces may be used up again before ours comes (RFC 8555 6.5)."""

    def post(self, *arguments: Any, **options: Any) -> requests.Response:
        """One more attempt than the library makes, and another."""
        for _ in range(NONCE_ATTEMPTS):
            try:
                return super().post(*arguments, **options)
            except messages.Error as problem:
                if problem.code != "badNonce":
                    raise
        return super().post(*arguments, **options)


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """An ACME server and our account there."""

    directory: str
    """URL."""
    agree_to_terms: bool
    email: tuple[str, ...] = ()
    trust: str = ""
    """PEM file that verifies the server's own certificate; empty: the system's authorities."""
    eab_key_id: str = ""
    eab_key: str = ""
    """HMAC key of an external account binding, base64url (RFC 8555 7.3.4)."""


def obtain(
    authority: Authority,
    account_directory: Path,
    names: Sequence[str],
    key: issuing.Key,
    challenge: str,
    responder: Responder,
    clock: Clock,
) -> bytes:
    """A chain in PEM for names and key. The responder is closed. Raises Refusal."""
    try:
        with _alone(account_directory):
            return _obtain(authority, account_directory, names, key, challenge, responder, clock)
    except errors.ValidationError as problem:
        raise Refusal(Reason.TRY_LATER, _failed_challenges(problem)) from problem
    except errors.TimeoutError as problem:
        raise Refusal(Reason.TRY_LATER, f"{authority.directory} did not finish the order in time") from problem
    except messages.Error as problem:
        raise Refusal(Reason.TRY_LATER, f"{authority.directory} refuses: {_problem_text(problem)}") from problem
    except (errors.Error, josepy.errors.Error, requests.RequestException, ValueError) as problem:
        raise Refusal(Reason.TRY_LATER, f"{authority.directory}: {problem}") from problem
    finally:
        responder.close()


def _obtain(
    authority: Authority,
    account_directory: Path,
    names: Sequence[str],
    key: issuing.Key,
    challenge: str,
    responder: Responder,
    clock: Clock,
) -> bytes:
    account = _account_key(account_directory)
    acme = _client(authority, account)
    wanted = ["*." + normalise_domain(n[2:]) if n.startswith("*.") else normalise_domain(n) for n in names]
    order = acme.new_order(issuing.request(wanted, [], key))
    open_ = [_choose(one, challenge) for one in order.authorizations if one.body.status != messages.STATUS_VALID]
    for name, chosen in open_:
        token = chosen.chall.encode("token")
        authorization = chosen.chall.key_authorization(account)
        responder.present(name, token, authorization, challenges.DNS01(token=chosen.chall.token).validation(account))
    if open_:
        responder.settle()
    for _name, chosen in open_:
        acme.answer_challenge(chosen, chosen.chall.response(account))
    # the library compares with local time without a zone
    deadline: datetime = (clock.now() + PATIENCE).astimezone().replace(tzinfo=None)
    return acme.poll_and_finalize(order, deadline).fullchain_pem.encode()


def _choose(authorization: messages.AuthorizationResource, wanted: str) -> tuple[str, messages.ChallengeBody]:
    name = str(authorization.body.identifier.value)
    for offered in authorization.body.challenges:
        if offered.chall.typ == wanted:
            return name, offered
    kinds = ", ".join(str(offered.chall.typ) for offered in authorization.body.challenges)
    raise Refusal(Reason.BAD_VALUE, f"for {name} the ACME server offers {kinds}, not {wanted}: change [acme] challenge")


def _client(authority: Authority, account: JWKEC) -> client.ClientV2:
    """Signed in: the account is made, or found by its key. Raises errors.Error, messages.Error, Refusal."""
    network = _Network(account, alg=ES256, user_agent="postern", timeout=REQUEST_TIMEOUT_S)
    if authority.trust:
        network.verify_ssl = cast(bool, authority.trust)  # requests takes a file as well
    directory = client.ClientV2.get_directory(authority.directory, network)
    acme = client.ClientV2(directory, network)
    terms = getattr(directory.meta, "terms_of_service", None)
    if terms and not authority.agree_to_terms:
        raise Refusal(Reason.NOT_PERMITTED, f"read {terms} and set [acme] agree_to_terms = true")
    binding = None
    if authority.eab_key_id:
        binding = messages.ExternalAccountBinding.from_data(
            account.public_key(), authority.eab_key_id, authority.eab_key, directory
        )
    wanted = messages.NewRegistration.from_data(
        contact=tuple(f"mailto:{address}" for address in authority.email),
        external_account_binding=binding,
        terms_of_service_agreed=True if terms else None,
    )
    try:
        acme.new_account(wanted)
    except errors.ConflictError as known:
        network.account = messages.RegistrationResource(body=messages.Registration(), uri=known.location)
    return acme


def _account_key(directory: Path) -> JWKEC:
    """The account's key, made once."""
    path = directory / "account.key.pem"
    if not path.exists():
        write_private(path, issuing.key_pem(issuing.new_key()))
    key = issuing.load_key(path.read_bytes())
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refusal(Reason.CORRUPT, f"{path} is no EC key: move it away, and a new account is made")
    return JWKEC(key=ComparableECKey(key))


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One order at a time: server and command share account and ports. Raises Refusal."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise Refusal(Reason.IN_USE, "another ACME order is running: wait for its end") from problem
        yield
    finally:
        os.close(descriptor)


def _failed_challenges(problem: errors.ValidationError) -> str:
    """Which name failed and what the authority saw."""
    said = [
        f"{one.body.identifier.value} ({offered.chall.typ}): {_problem_text(offered.error)}"
        for one in problem.failed_authzrs
        for offered in one.body.challenges
        if offered.error is not None
    ]
    return "the ACME server could not verify " + "; ".join(said)


def _problem_text(problem: messages.Error) -> str:
    return str(problem.detail or problem.typ)
