"""Fields, targets and Digest's sums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.protocols.http import digest
from postern.protocols.http.fields import challenge, cookie, credentials, parameters, preferred
from postern.protocols.http.target import local_path

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)


@given(st.dictionaries(TOKEN, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), max_size=5))
def test_a_challenge_is_read_as_it_was_written(values):
    scheme, rest = credentials(challenge("Digest", values))
    assert scheme == "digest"
    assert parameters(rest) == values


@pytest.mark.parametrize("text", ["a", 'a="b', "a=b a=c", "a=1, a=2", "=b", 'a="b"c'])
def test_malformed_parameters(text):
    with pytest.raises(ValueError):
        parameters(text)


def test_a_cookie_that_is_there_twice_is_none():
    assert cookie([b"a=1; b=2", b"c=3"], b"b") == b"2"
    assert cookie([b"a=1; b=2", b"b=3"], b"b") == b""
    assert cookie([b"xb=1; b =2; bb=3"], b"b") == b""


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        (b"", "en"),
        (b"ru", "ru"),
        (b"ru-RU,ru;q=0.9,en-US;q=0.8", "ru"),
        (b"de, en;q=0.5, ru;q=0.7", "ru"),
        (b"ru;q=0, en", "en"),
        (b"ru;q=x", "en"),
        (b"*", "en"),
        (b"\xff," * 1000, "en"),
    ],
)
def test_the_preferred_language(accept, best):
    assert preferred(accept, ("en", "ru")) == best


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/owa/?a=b", "/owa/?a=b"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nLocation: x", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("/" + "a" * 3000, "/"),
    ],
)
def test_open_redirects_lead_nowhere(value, path):
    assert local_path(value) == path


def test_the_example_of_rfc_7616():
    """3.9.1."""
    fields = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        stored = digest.key(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
        one = digest.claim({**fields, "algorithm": algorithm, "response": response})
        assert digest.proves(stored, "GET", one)
        assert not digest.proves(stored, "POST", one)


@pytest.mark.parametrize("missing", ["nonce", "cnonce", "qop", "nc", "uri", "response", "realm", "username"])
def test_a_digest_without_what_it_needs(missing):
    fields = dict.fromkeys(("username", "realm", "nonce", "uri", "response", "cnonce"), "x")
    fields |= {"qop": "auth", "nc": "00000001"}
    digest.claim(fields)
    with pytest.raises(ValueError):
        digest.claim({name: value for name, value in fields.items() if name != missing})
    wrongs = ({"qop": "auth-int"}, {"userhash": "true"}, {"algorithm": "MD5-sess"}, {"nc": "1"}, {"nc": "zzzzzzzz"})
    for wrong in wrongs:
        with pytest.raises(ValueError):
            digest.claim({**fields, **wrong})
