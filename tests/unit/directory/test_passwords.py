from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from postern.directory import passwords
from postern.model.refusal import Reason, Refusal


def test_a_new_password_verifies_and_another_does_not(chance):
    stored = passwords.hash_password("correct horse", chance, passwords.CHEAP)
    assert passwords.verify("correct horse", stored)
    assert not passwords.verify("Correct horse", stored)


@pytest.mark.parametrize(
    "stored",
    [
        # "password" hashed by `doveadm pw` and `openssl passwd`
        "{PLAIN}password",
        "{SHA256}XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=",
        "{SHA256.HEX}5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        "{SSHA}" + base64.b64encode(hashlib.sha1(b"passwordsalt").digest() + b"salt").decode(),
        "{SSHA512}" + base64.b64encode(hashlib.sha512(b"passwordsalt").digest() + b"salt").decode(),
        # in base64 as long as the digest alone is in hexadecimal
        "{SSHA}" + base64.b64encode(hashlib.sha1(b"password8 octets").digest() + b"8 octets").decode(),
        "{SSHA256}" + base64.b64encode(hashlib.sha256(b"password" + b"s" * 16).digest() + b"s" * 16).decode(),
        "{SSHA512}" + base64.b64encode(hashlib.sha512(b"password" + b"s" * 32).digest() + b"s" * 32).decode(),
        "{SSHA.HEX}" + hashlib.sha1(b"passwordsalt").hexdigest() + b"salt".hex(),
        "{SHA512-CRYPT}$6$rounds=1000$saltsalt$" + "x",
        "{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "x",
    ],
)
def test_hashes_of_other_servers(stored):
    if stored.endswith("$x"):
        assert not passwords.verify("password", stored)
    else:
        assert passwords.verify("password", passwords.check_hash(stored))
        assert not passwords.verify("passwore", stored)


@pytest.mark.parametrize(
    ("stored", "quick"),
    [
        ("{PLAIN}password", True),
        ("{SHA256.HEX}5e88", True),
        ("{SSHA512}eA==", True),
        ("{SHA512-CRYPT}$6$x$y", False),
        ("$6$x$y", False),
        ("{PBKDF2-SHA256}1000$x$y", False),
        ("{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$x", False),
        ("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$x", False),
        ("{NONSENSE}x", False),
        ("", False),
    ],
)
def test_only_plain_digests_are_quick(stored, quick):
    assert passwords.is_quick(stored) is quick


def test_crypt_hashes_by_the_specification_of_drepper():
    # test vectors of "Unix crypt using SHA-256 and SHA-512"
    vector = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    assert passwords.verify("Hello world!", "{SHA512-CRYPT}" + vector)
    assert passwords.verify("Hello world!", vector)
    assert not passwords.verify("Hello world", vector)
    assert passwords.verify("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5")


@pytest.mark.parametrize(
    "stored", ["", "{NONSENSE}x", "{SHA}", "{SSHA}!!!", "{PBKDF2-SHA256}x", "$6$", "{CRYPT}*0", "{ARGON2ID}"]
)
def test_a_broken_hash_never_verifies(stored):
    assert not passwords.verify("", stored)
    assert not passwords.verify("x", stored)


@pytest.mark.parametrize("password", ["", "a\0b", "\ud800", "x" * 100_000])
def test_odd_passwords_are_no_errors(password):
    assert not passwords.verify(password, "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OT")


def test_scram_keys_of_rfc_7677():
    keys = passwords.scram_keys("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    auth = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(keys.stored_key, auth, "sha256")
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client_key = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
    assert hashlib.sha256(client_key).digest() == keys.stored_key
    assert (
        base64.b64encode(hmac.digest(keys.server_key, auth, "sha256"))
        == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def test_passwords_written_with_other_code_points_are_the_same(chance):
    stored = passwords.hash_password("cafe\u0301 x", chance, passwords.CHEAP)
    assert passwords.verify("café\u00a0x", stored)


def test_fake_scram_is_steady_and_differs_by_user():
    one = passwords.fake_scram("a", b"k" * 32, 4096)
    assert one == passwords.fake_scram("a", b"k" * 32, 4096)
    assert one.salt != passwords.fake_scram("b", b"k" * 32, 4096).salt


def test_only_known_schemes_are_imported():
    assert passwords.check_hash("$6$a$b") == "{CRYPT}$6$a$b"
    assert passwords.check_hash("{sha512-crypt}$6$a$b") == "{SHA512-CRYPT}$6$a$b"
    with pytest.raises(Refusal):
        passwords.check_hash("{ROT13}x")


@pytest.mark.parametrize(
    "stored",
    ["{SSHA}abc", "{SHA512}c2hvcnQ=", "{SSHA256}!!", "{ARGON2ID}$argon2id$v=19", "{CRYPT}ab", "{PBKDF2-SHA256}x"],
)
def test_hashes_that_were_cut_off_are_not_imported(stored):
    with pytest.raises(Refusal) as caught:
        passwords.check_hash(stored)
    assert caught.value.reason is Reason.BAD_VALUE
