"""NTLM messages and keys against pyspnego, the vectors of MS-NLMP 4.2.4, and input that no honest client sends."""

from __future__ import annotations

import hmac
import os

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st
from spnego._ntlm_raw import crypto as oracle
from spnego._ntlm_raw import messages as theirs

from postern.formats.ntlm import keys, md4, messages, pairs
from postern.formats.ntlm.messages import Flags
from postern.formats.ntlm.pairs import Kind
from postern.model.refusal import ProtocolViolation

INFO = {
    Kind.NETBIOS_DOMAIN: pairs.text("CORP"),
    Kind.NETBIOS_COMPUTER: pairs.text("MAIL"),
    Kind.DNS_COMPUTER: pairs.text("mail.example.org"),
    Kind.TIMESTAMP: (133_000_000_000_000_000).to_bytes(8, "little"),
}
CHALLENGE = bytes(range(8))


def conversation(user="CORP\\Alice", password="Straße 1", info=INFO, **options):
    """A client of pyspnego against our messages: NEGOTIATE, CHALLENGE, AUTHENTICATE."""
    client = spnego.client(user, password, protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm, **options)
    first = client.step()
    second = messages.challenge(messages.negotiate(first), CHALLENGE, "CORP", info)
    return first, second, client.step(second), client


@given(st.binary(max_size=300))
def test_md4_is_the_oracles(data):
    assert md4.digest(data) == oracle.md4(data)


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
        ("1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_vectors_of_rfc_1320(text, digest):
    assert md4.digest(text.encode()).hex() == digest


def test_keys_of_the_specification():
    """MS-NLMP 4.2.1, 4.2.4: user `User`, domain `Domain`, password `Password`."""
    key = keys.response_key(keys.nt_hash("Password"), "User", "Domain")
    assert keys.nt_hash("Password").hex() == "a4f49c406510bdcab6824ee7c30fd852"
    assert key.hex() == "0c868a403bfd7a93a3001ef22ef02e3f"
    info = pairs.pack({Kind.NETBIOS_DOMAIN: pairs.text("Domain"), Kind.NETBIOS_COMPUTER: pairs.text("Server")})
    blob = bytes((1, 1)) + bytes(14) + b"\xaa" * 8 + bytes(4) + info + bytes(4)
    proved = keys.proof(key, bytes.fromhex("0123456789abcdef"), blob)
    assert proved.hex() == "68cd0ab851e51c96aabc927bebef6a1c"
    base = keys.session_base_key(key, proved)
    assert base.hex() == "8de40ccadbc14a82f15cb0ad0de95ca3"
    assert keys.rc4(base, b"\x55" * 16).hex() == "c5dad2544fc9799094ce1ce90bc9d03e"


@given(st.binary(min_size=1, max_size=32), st.binary(max_size=64))
def test_rc4_is_the_oracles(key, data):
    expected = oracle.rc4k(key, data) if 5 <= len(key) in {5, 7, 16, 32} else None
    if expected is not None:
        assert keys.rc4(key, data) == expected
    assert keys.rc4(key, keys.rc4(key, data)) == data


@given(st.dictionaries(st.sampled_from(list(Kind)[1:]), st.binary(max_size=60)))
def test_av_pairs_round_trip(info):
    assert pairs.unpack(pairs.pack(info) + b"\0\0\0\0") == info


def test_a_client_reads_our_challenge_and_proves_its_password():
    first, second, third, client = conversation()
    seen = theirs.Challenge.unpack(second)
    assert seen.server_challenge == CHALLENGE
    assert seen.target_name == "CORP"
    assert seen.target_info[theirs.AvId.dns_computer_name] == "mail.example.org"
    read = messages.authenticate(third)
    assert (read.user, read.domain) == ("Alice", "CORP")
    key = keys.response_key(keys.nt_hash("Straße 1"), read.user, read.domain)
    assert hmac.compare_digest(keys.proof(key, CHALLENGE, read.blob), read.proof)
    exported = keys.exported_key(keys.session_base_key(key, read.proof), read.flags, read.encrypted_key)
    assert exported == client.session_key
    assert keys.mic(exported, first, second, read.message) == read.mic
    assert read.pairs[Kind.DNS_COMPUTER] == INFO[Kind.DNS_COMPUTER]


def test_signatures_both_ways():
    _, _, third, client = conversation()
    read = messages.authenticate(third)
    key, flags = client.session_key, read.flags
    assert client.sign(b"list") == keys.signature(key, flags, b"list", by_client=True)
    client.verify(b"list", keys.signature(key, flags, b"list", by_client=False))


def test_channel_bindings_are_hashed_as_the_oracle_does():
    data = b"tls-server-end-point:" + os.urandom(32)
    bindings = spnego.channel_bindings.GssChannelBindings(application_data=data)
    _, _, third, _ = conversation(channel_bindings=bindings)
    assert messages.authenticate(third).pairs[Kind.CHANNEL_BINDINGS] == pairs.channel_bindings(data)


def test_ntlm_version_1_is_refused():
    client = spnego.client("CORP\\alice", "secret", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    first = client.step()
    old = theirs.Authenticate(
        flags=int(messages.negotiate(first)), username="alice", domain_name="CORP", lm_challenge_response=b"L" * 24,
        nt_challenge_response=b"N" * 24,
    )  # fmt: skip
    with pytest.raises(ProtocolViolation, match="NTLMv1"):
        messages.authenticate(old.pack())


def test_anonymous_is_refused():
    empty = theirs.Authenticate(flags=int(Flags.UNICODE | Flags.ANONYMOUS), lm_challenge_response=b"\0")
    with pytest.raises(ProtocolViolation, match="anonymous"):
        messages.authenticate(empty.pack())


def test_a_promised_mic_may_not_be_left_out():
    """The drop-the-MIC attack (CVE-2019-1040): the proof says that there is a MIC, so there has to be one."""
    _, _, third, _ = conversation()
    dropped = bytearray(third[:64] + third[88:])
    for at in range(12, 60, 8):
        offset = int.from_bytes(dropped[at + 4 : at + 8], "little")
        dropped[at + 4 : at + 8] = max(offset - 24, 64).to_bytes(4, "little")
    with pytest.raises(ProtocolViolation, match="MIC"):
        messages.authenticate(bytes(dropped))


@pytest.mark.parametrize("size", [0, 7, 8, 11, 12, 15, 31, 63, 71, 87, 100, 200])
def test_truncated_messages(size):
    first, _, third, _ = conversation()
    with pytest.raises(ProtocolViolation):
        messages.authenticate(third[:size])
    if size < 16:
        with pytest.raises(ProtocolViolation):
            messages.negotiate(first[:size])


def test_a_pair_that_is_there_twice_is_refused():
    doubled = pairs.pack({Kind.FLAGS: b"\2\0\0\0"})[:-4] + pairs.pack({Kind.FLAGS: b"\0\0\0\0"})
    with pytest.raises(ProtocolViolation, match="twice"):
        pairs.unpack(doubled)


_THIRD = conversation()[2]


@given(st.lists(st.tuples(st.integers(0, len(_THIRD) - 1), st.integers(0, 255)), max_size=6), st.integers(0, 60))
def test_damaged_messages_are_refused_or_read_as_the_oracle_reads_them(changes, cut):
    data = bytearray(_THIRD)
    for at, value in changes:
        data[at] = value
    wire = bytes(data[: len(data) - cut])
    try:
        read = messages.authenticate(wire)
    except ProtocolViolation:
        return
    seen = theirs.Authenticate.unpack(wire, encoding="utf-16-le" if read.flags & Flags.UNICODE else "ascii")
    assert read.response == seen.nt_challenge_response
    assert read.user == (seen.user_name or "")
    assert read.domain == (seen.domain_name or "")
    assert read.encrypted_key == (seen.encrypted_random_session_key or b"")


@given(st.binary(max_size=400))
def test_noise_is_a_violation(noise):
    for data in (noise, messages.SIGNATURE + b"\3\0\0\0" + noise, messages.SIGNATURE + b"\1\0\0\0" + noise):
        for read in (messages.authenticate, messages.negotiate):
            try:
                read(data)
            except ProtocolViolation:
                continue


def test_clients_too_old_for_version_2_are_turned_away_at_once():
    with pytest.raises(ProtocolViolation, match="extended session security"):
        messages.negotiate(messages.SIGNATURE + b"\1\0\0\0" + int(Flags.UNICODE).to_bytes(4, "little"))
