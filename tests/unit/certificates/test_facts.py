"""What is wrong with a certificate, and chains; openssl is the judge of what is made."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from postern.certificates.place import Pair, Place, fitting
from postern.formats import issuing
from postern.formats.certificate import Fault, Purpose, facts, flaw, issued_by, pin, read, renewal_due, valid_for
from postern.model.refusal import Refusal

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def leaf(*names: str, usages: tuple = (), since: timedelta = timedelta(days=-1), until: timedelta = timedelta(days=90)):
    key = issuing.new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + since)
        .not_valid_after(NOW + until)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    return builder.sign(key, hashes.SHA256())


SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.mark.parametrize(
    ("certificate", "purpose", "names", "fault"),
    [
        (leaf("a.example"), Purpose.SERVER, ("a.example",), None),
        (leaf("a.example", until=timedelta(seconds=-1)), Purpose.SERVER, (), Fault.EXPIRED),
        (leaf("a.example", since=timedelta(seconds=1)), Purpose.SERVER, (), Fault.NOT_YET_VALID),
        (leaf("a.example", usages=(SERVER,)), Purpose.CLIENT, (), Fault.WRONG_PURPOSE),
        (leaf("a.example", usages=(CLIENT,)), Purpose.SERVER, (), Fault.WRONG_PURPOSE),
        (leaf("a.example", usages=(ExtendedKeyUsageOID.CODE_SIGNING,)), Purpose.SERVER, (), Fault.WRONG_PURPOSE),
        (leaf("a.example", usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)), Purpose.CLIENT, (), None),
        (leaf("a.example"), Purpose.SERVER, ("b.example",), Fault.WRONG_NAME),
        (leaf("a.example"), Purpose.SERVER, ("b.example", "a.example"), None),
    ],
)
def test_faults(certificate, purpose, names, fault):
    found = flaw(certificate, purpose, NOW, names)
    assert (found and found.fault) == fault


@pytest.mark.parametrize(
    ("having", "asked", "fits"),
    [
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "example.org", False),  # a whole public suffix
        ("mail.example.org", "MAIL.example.org.", True),
        ("mail.example.org", "mail.example.org.evil.example", False),
        ("f*.example.org", "foo.example.org", False),  # RFC 9525 6.3: a whole label only
        ("mail.example.org", "", False),
    ],
)
def test_names_as_rfc_9525_has_them(having, asked, fits):
    assert valid_for(leaf(having), asked) is fits


@given(st.binary(max_size=400))
def test_nonsense_is_no_certificate(content):
    with pytest.raises(ValueError):
        read(content)


def test_a_self_signed_one_works_for_openssl(tmp_path):
    chain, key = issuing.self_signed(["mail.example.org"], ["192.0.2.1", "2001:db8::1"], NOW)
    (tmp_path / "c").write_bytes(chain)
    (tmp_path / "k").write_bytes(key)
    said = subprocess.run(
        ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-CAfile", tmp_path / "c", "-purpose", "sslserver",
         "-verify_hostname", "mail.example.org", tmp_path / "c"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    known = facts(read(chain)[0])
    assert known.self_signed and known.addresses == ("192.0.2.1", "2001:db8::1")
    spki = subprocess.run(
        f"openssl x509 -in {tmp_path}/c -noout -pubkey | openssl pkey -pubin -outform der | sha256sum",
        shell=True, capture_output=True, text=True,
    ).stdout.split()[0]  # fmt: skip
    assert known.pin == spki


def test_what_the_authority_issues_works_for_openssl(tmp_path):
    ca, ca_key = issuing.authority("example.org", NOW)
    key = issuing.new_key()
    asked, names, addresses = issuing.asked_for(issuing.request(["hub2.example.org"], ["192.0.2.2"], key))
    made = issuing.issue(names, addresses, asked, (read(ca)[0], issuing.load_key(ca_key)), NOW)
    (tmp_path / "ca").write_bytes(ca)
    (tmp_path / "c").write_bytes(made)
    for purpose in ("sslserver", "sslclient"):
        said = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", tmp_path / "ca",
             "-purpose", purpose, "-verify_hostname", "hub2.example.org", tmp_path / "c"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
    assert issued_by(read(made)[0], read(ca)[0])
    assert not issued_by(read(ca)[0], read(made)[0]), "an end entity signs nothing"
    other = issuing.authority("example.org", NOW)[0]
    assert not issued_by(read(made)[0], read(other)[0]), "the same name with another key"


def test_never_beyond_the_authoritys_own_time():
    ca, ca_key = issuing.authority("example.org", NOW, days=10)
    signer = read(ca)[0], issuing.load_key(ca_key)
    made = read(issuing.issue(["a.example"], [], issuing.new_key(), signer, NOW))[0]
    assert made.not_valid_after_utc <= signer[0].not_valid_after_utc
    with pytest.raises(ValueError, match="authority"):
        issuing.issue(["a.example"], [], issuing.new_key(), signer, NOW + timedelta(days=11))


def test_a_chain_is_put_in_order_and_loses_its_root():
    root, root_key = issuing.authority("root", NOW)
    key = issuing.new_key()
    made = issuing.issue(["a.example"], [], key, (read(root)[0], issuing.load_key(root_key)), NOW)
    found = issuing.ordered([read(root)[0], read(made)[0]], key)
    assert [pin(one) for one in found] == [pin(read(made)[0])]
    with pytest.raises(ValueError, match="belongs to none"):
        issuing.ordered(read(root), key)
    with pytest.raises(Refusal, match="expired"):
        fitting(read(made), key, NOW + timedelta(days=5000))


def test_weak_and_strange_keys_are_refused(tmp_path):
    for command in ("genrsa 1024", "genpkey -algorithm X25519"):
        made = subprocess.run(["openssl", *command.split()], capture_output=True, check=True).stdout
        with pytest.raises(ValueError):
            issuing.load_key(made)


def test_renewal_is_due_for_short_lifetimes_later():
    long, short = leaf("a.example", until=timedelta(days=31)), leaf("a.example", until=timedelta(days=6))
    assert not renewal_due(long, NOW, 10)
    assert renewal_due(long, NOW + timedelta(days=22), 10)
    assert not renewal_due(short, NOW, 30), "a third of its life is enough"
    assert renewal_due(short, NOW + timedelta(days=5), 30)


def test_a_pair_is_replaced_with_its_modes_and_keeps_the_old_one(tmp_path):
    pair = Place(tmp_path).listeners
    for name in ("old.example", "new.example"):
        pair.replace(*issuing.self_signed([name], [], NOW))
    assert valid_for(pair.load()[0], "new.example")
    old = Pair(pair.certificate.with_name("certificate.pem.old"), pair.key.with_name("key.pem.old"))
    assert valid_for(old.load()[0], "old.example") and old.load()[0].public_key() == old.load()[1].public_key()
    assert {path.stat().st_mode & 0o777 for path in pair.key.parent.iterdir()} == {0o600}
