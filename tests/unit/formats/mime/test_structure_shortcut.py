"""What nearly all messages say of themselves is described by a shorter way, in the same words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime.structure import _describe_message, collect, describe

_TYPES = st.one_of(
    st.sampled_from([
        b'multipart/mixed; boundary="=_x:1?"',
        b'Multipart/DIGEST;\r\n\tboundary="a\'(b)"  ',
        b'multipart/mixed; BOUNDARY="a b"',
        b'multipart/mixed; boundary="a\\"b"',
        b'multipart/mixed; boundary=""',
        b"multipart/mixed; boundary=plain",
        b'multipart/signed; boundary="x"; micalg=pgp-sha1',
        b'multipart/mixed; boundary="x" (comment)',
        b"text/plain; charset=utf-8",
        b"message/rfc822",
        b"",
    ]),
    st.builds(
        b'multipart/%b;%bboundary="%b"%b'.__mod__,
        st.tuples(
            st.text("abcXYZ-", max_size=45).map(str.encode),
            st.text(" \t", max_size=2).map(str.encode),
            st.text("abz09'()+_,./:=?- \"\\\u00e9", max_size=80).map(str.encode),
            st.text(" \t;()", max_size=3).map(str.encode),
        ),
    ),
)  # fmt: skip
_OTHERS = st.lists(
    st.sampled_from([
        b"Content-Disposition: attachment; filename=a",
        b"Content-Language: en, de",
        b"Content-Location: here",
        b"Content-ID: <a@b>",
        b"Content-Transfer-Encoding: base64",
        b"Content-Description: " + b"d" * 400,
        b"Content-MD5: abc",
    ]),
    max_size=3,
)  # fmt: skip


@given(_TYPES, _OTHERS)
def test_the_shorter_way_says_the_same(content_type: bytes, others: list[bytes]) -> None:
    header = b"".join(line + b"\r\n" for line in (b"Content-Type: " + content_type, *others)) + b"\r\n"
    fields = collect(header)
    assert _describe_message(fields) == describe(fields)
