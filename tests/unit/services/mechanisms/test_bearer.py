"""Bearer tokens: a small issuer, and the ways in which tokens are forged."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from postern.model.refusal import ProtocolViolation, Reason
from postern.protocols.sasl import oauth
from postern.services.mechanisms import issuer as issuers
from postern.services.mechanisms.bearer import Bearer
from postern.services.mechanisms.context import Admission
from postern.services.negotiation import Accepted, Circumstances, Refused

URL = "https://login.example.org"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def public(algorithm, key, number, **more):
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": number, "use": "sig", **more}


@pytest.fixture
def world2(world):
    """The organisation, an issuer whose documents a test may change, and what was fetched."""
    documents = {
        f"{URL}/.well-known/openid-configuration": {"issuer": URL, "jwks_uri": f"{URL}/keys"},
        f"{URL}/keys": {
            "keys": [
                public(RSAAlgorithm, RSA_KEY, "r1"),
                public(ECAlgorithm, EC_KEY, "e1"),
                public(OKPAlgorithm, ED_KEY, "d1"),
            ]
        },
    }
    fetched: list[str] = []

    async def fetch(url, trust):
        fetched.append(url)
        if documents.get(url) is None:
            raise OSError(f"{url} answered 500")
        return json.dumps(documents[url]).encode()

    settings = issuers.IssuerSettings(URL, ("postern", "mail"), "email", "", ("RS256", "PS256", "ES256", "EdDSA"))
    authentication = world.open("")
    issuer = issuers.Issuer(settings, fetch, world.clock)

    def claims(**changes):
        now = world.clock.timestamp()
        merged = {"iss": URL, "aud": "mail", "exp": now + 300, "iat": now, "email": "anna@example.org", **changes}
        return {key: value for key, value in merged.items() if value is not None}

    def token(key=RSA_KEY, algorithm="RS256", number="r1", headers=None, **changes):
        return jwt.encode(claims(**changes), key, algorithm, headers={"kid": number, **(headers or {})})

    async def present(text, **seen):
        exchange = Bearer([issuer], Admission(authentication), Circumstances("192.0.2.7", "imap", **seen))
        return await exchange.step(text.encode() if isinstance(text, str) else text)

    return SimpleNamespace(
        world=world, documents=documents, fetched=fetched, token=token, present=present, issuer=issuer, claims=claims,
        settings=settings, fetch=fetch,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "algorithm", "number"),
    [(RSA_KEY, "RS256", "r1"), (RSA_KEY, "PS256", "r1"), (EC_KEY, "ES256", "e1"), (ED_KEY, "EdDSA", "d1")],
)
async def test_good_tokens(world2, key, algorithm, number):
    outcome = await world2.present(world2.token(key, algorithm, number))
    assert isinstance(outcome, Accepted), outcome
    assert outcome.principal.address == "anna@example.org"
    assert outcome.mechanism == "OIDC"
    assert outcome.expires_at > world2.world.clock.timestamp() + 200


def unsigned(claims):
    part = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in ({"alg": "none"}, claims)]
    return (b".".join(part) + b".").decode()


def signed_with_the_public_key(claims):
    """The classic confusion: the public key, which everybody has, taken for a shared one."""
    import hashlib
    import hmac

    secret = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = {"alg": "HS256", "kid": "r1", "typ": "JWT"}
    part = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (head, claims)]
    code = hmac.digest(secret, b".".join(part), hashlib.sha256)
    return (b".".join(part) + b"." + base64.urlsafe_b64encode(code).rstrip(b"=")).decode()


async def test_forged_signatures(world2):
    for forged, cause in (
        (unsigned(world2.claims()), "signed by none"),
        (signed_with_the_public_key(world2.claims()), "signed by HS256"),
        (world2.token(OTHER_KEY), "Signature verification failed"),
        (world2.token(RSA_KEY, "RS512"), "signed by RS512"),
        (world2.token(RSA_KEY, "RS256", "e1"), "no key 'e1' for RS256"),
        (world2.token(headers={"crit": ["x"]}), "crit"),
        (world2.token()[:-6], "failed"),
        ("no.token", "no JWT"),
        (b"\xff\xfe", "no JWT"),
        ("a" * 40000, "too long"),
    ):
        outcome = await world2.present(forged)
        assert isinstance(outcome, Refused), forged
        assert outcome.reason is Reason.BAD_CREDENTIALS
        assert cause in outcome.detail, outcome.detail


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"exp": 1000}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "a time that is no number"),
        ({"nbf": 4_000_000_000}, "not valid yet"),
        ({"iat": 4_000_000_000}, "not valid yet"),
        ({"aud": "another application"}, "udience"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example.net"}, "unknown issuer"),
        ({"email": None}, "without the claim email"),
        ({"email": ["anna@example.org"]}, "without the claim email"),
        ({"email_verified": False}, "not verified"),
        ({"email": "stranger@example.net"}, "nobody signs in as"),
    ],
)
async def test_claims_that_do_not_fit(world2, changes, cause):
    outcome = await world2.present(world2.token(**changes))
    assert isinstance(outcome, Refused)
    assert cause in outcome.detail, outcome.detail


async def test_a_scope_can_be_asked_for(world2):
    strict = issuers.Issuer(
        issuers.IssuerSettings(URL, ("mail",), "email", "Mail.Access", ("RS256",)), world2.fetch, world2.world.clock
    )
    for changes, good in (({}, False), ({"scope": "openid Mail.Access"}, True), ({"scp": ["Mail.Access"]}, True)):
        text = world2.token(**changes)
        try:
            await strict.verify(text, jwt.get_unverified_header(text))
            assert good
        except issuers.TokenRefused:
            assert not good


async def test_keys_are_kept_and_rotated(world2):
    for _ in range(3):
        assert isinstance(await world2.present(world2.token()), Accepted)
    assert len(world2.fetched) == 2, "fetched once"
    world2.documents[f"{URL}/keys"] = {"keys": [public(RSAAlgorithm, OTHER_KEY, "r2")]}
    assert isinstance(await world2.present(world2.token(OTHER_KEY, number="r2")), Refused), "asked a moment ago"
    world2.world.clock.ahead_s += issuers.ASK_AGAIN_S
    assert isinstance(await world2.present(world2.token(OTHER_KEY, number="r2")), Accepted)
    assert isinstance(await world2.present(world2.token()), Refused), "the old key is gone"


async def test_a_flood_of_unknown_keys_does_not_become_a_flood_of_questions(world2):
    await world2.present(world2.token())
    for number in range(50):
        await world2.present(world2.token(OTHER_KEY, number=f"made up {number}"))
    assert len(world2.fetched) <= 4


async def test_an_issuer_that_does_not_answer(world2):
    world2.documents[f"{URL}/keys"], keys = None, world2.documents[f"{URL}/keys"]
    outcome = await world2.present(world2.token())
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TRY_LATER
    assert "answered 500" in outcome.detail
    assert not world2.world.waits, "not the client's fault"
    world2.documents[f"{URL}/keys"] = keys
    world2.world.clock.ahead_s += issuers.ASK_AGAIN_S
    assert isinstance(await world2.present(world2.token()), Accepted)
    world2.documents[f"{URL}/keys"] = None
    world2.world.clock.ahead_s += issuers.KEYS_FRESH_S
    assert isinstance(await world2.present(world2.token()), Accepted), "known keys are good for a day"
    world2.world.clock.ahead_s += issuers.KEYS_STALE_S
    assert isinstance(await world2.present(world2.token()), Refused)


@pytest.mark.parametrize(
    "facts", [{"issuer": "https://evil.example.net", "jwks_uri": f"{URL}/keys"}, {"issuer": URL}, ["x"], 7]
)
async def test_discovery_that_lies(world2, facts):
    world2.documents[f"{URL}/.well-known/openid-configuration"] = facts
    outcome = await world2.present(world2.token())
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TRY_LATER


async def test_shared_and_private_keys_in_the_list_are_passed_over(world2):
    secret = base64.urlsafe_b64encode(b"s" * 32).decode()
    world2.documents[f"{URL}/keys"]["keys"] = [
        {"kty": "oct", "k": secret, "kid": "r1", "alg": "HS256"},
        {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY)), "kid": "r1"},
        "noise", {"kty": "RSA", "kid": "r1"}, {"kty": "EC", "crv": "P-999", "kid": "r1"},
    ]  # fmt: skip
    assert isinstance(await world2.present(world2.token()), Refused)


async def test_a_token_is_for_the_user_that_the_client_named(world2):
    assert isinstance(await world2.present(world2.token(), authzid="anna@example.org"), Accepted)
    outcome = await world2.present(world2.token(), authzid="bert@example.org")
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.NOT_PERMITTED


# --- how tokens are carried


def test_responses():
    carried = b"n,a=anna@example.org,\1host=mail\1port=993\1auth=Bearer abc.def\1\1"
    assert oauth.response("OAUTHBEARER", carried) == ("anna@example.org", b"abc.def")
    assert oauth.response("OAUTHBEARER", b"n,,\1auth=bearer x\1\1") == ("", b"x")
    assert oauth.response("OAUTHBEARER", b"n,a=a=2Cb=3D,\1auth=Bearer x\1\1")[0] == "a,b="
    assert oauth.response("XOAUTH2", b"user=anna@example.org\1auth=Bearer x\1\1") == ("anna@example.org", b"x")


@pytest.mark.parametrize(
    "data", [b"", b"n,,\1\1", b"p=x,,\1auth=Bearer x\1\1", b"n,,\1auth=Basic eA==\1\1", b"user=a\1"]
)
def test_malformed_responses(data):
    for mechanism in oauth.MECHANISMS:
        with pytest.raises(ProtocolViolation):
            oauth.response(mechanism, data)


@given(st.binary(max_size=100))
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
def test_noise_is_a_violation(data):
    for mechanism in oauth.MECHANISMS:
        try:
            oauth.response(mechanism, b"n,," + data + b"\1\1" if mechanism == "OAUTHBEARER" else b"user=" + data)
        except ProtocolViolation:
            continue
