"""What is read of attachments, and what is refused."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import documents as made

from postern.formats.documents import kinds, packages
from postern.formats.documents.kinds import HTML, ODF, OOXML, PDF, PLAIN, UnreadableError, kind
from postern.formats.documents.reading import read


@pytest.mark.parametrize(
    ("content_type", "name", "expected"),
    [
        ("application/pdf", "", PDF),
        ("application/octet-stream", "Report.PDF", PDF),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "", OOXML),
        ("application/octet-stream", "a.xlsx", OOXML),
        ("application/vnd.oasis.opendocument.text", "a.odt", ODF),
        ("text/html", "a.txt", HTML),
        ("text/csv", "", PLAIN),
        ("application/x-unknown", "notes.md", PLAIN),
        ("image/png", "picture.pdf", None),
        ("application/zip", "a.zip", None),
        ("application/octet-stream", "", None),
    ],
)
def test_kinds(content_type: str, name: str, expected: str | None) -> None:
    assert kind(content_type, name) == expected


@pytest.mark.parametrize(
    ("kind_", "data", "found", "missing"),
    [
        (PDF, made.pdf("Quarterly figures"), ["Quarterly figures"], []),
        (PDF, made.pdf("packed words", compress=True, pages=3), ["packed words"], []),
        (OOXML, made.docx("First one", "Второй абзац"), ["First one\n", "Второй абзац", "footer"], ["deleted"]),
        (OOXML, made.xlsx(), ["Umsatz", "zweiteilig", "Hier", "4711"], ["yomi", "secretformula"]),
        (OOXML, made.pptx(), ["Folie eins", "Folie Notiz"], []),
        (ODF, made.odt(), ["Überschrift\n", "ein Wort\tmehr"], []),
        (HTML, b"<p>Caf\xe9 <b>cr</b>eme</p><script>hidden()</script>", ["Café creme"], ["hidden"]),
        (HTML, b'<meta charset="koi8-r">' + "слово".encode("koi8-r"), ["слово"], []),
        (PLAIN, "\ufeffwords".encode(), ["words"], ["\ufeff"]),
        (PLAIN, "wörter".encode("utf-16"), ["wörter"], []),
    ],
    ids=["pdf", "packed pdf", "docx", "xlsx", "pptx", "odt", "html", "html in koi8-r", "text", "text in utf-16"],
)  # fmt: skip
def test_words(kind_: str, data: bytes, found: list[str], missing: list[str]) -> None:
    text = read(kind_, data)
    for each in found:
        assert each in text
    for each in missing:
        assert each not in text


BAD = {
    "no pdf": (PDF, b"rubbish"),
    "empty pdf": (PDF, b""),
    "no zip": (OOXML, b"PK\3\4 rubbish"),
    "no xml": (OOXML, made.archive({"word/document.xml": b"<a><b></a>"})),
    "entities that grow": (OOXML, made.archive({"word/document.xml": made.LAUGHS})),
    "entities from outside": (OOXML, made.archive({"word/document.xml": made.OUTSIDE})),
    "a document type in odf": (ODF, made.archive({"content.xml": made.LAUGHS})),
    "deep": (OOXML, made.archive({"word/document.xml": b"<a>" * 5000})),
    "another compression": (OOXML, made.archive({"word/document.xml": b"<a/>"}, method=zipfile.ZIP_LZMA)),
}


@pytest.mark.parametrize("name", [*BAD, "zip bomb"])
def test_bad_documents_are_refused(name: str) -> None:
    kind, data = BAD.get(name) or (OOXML, made.zip_bomb(200))
    with pytest.raises(UnreadableError):
        read(kind, data)


def test_an_archive_that_lies_about_sizes_is_refused() -> None:
    data = bytearray(made.zip_bomb(200))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        size = file.infolist()[0].file_size.to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(UnreadableError):
        "".join(packages.ooxml(bytes(data)))


def test_no_more_comes_out_than_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postern.formats.documents.reading.MAX_TEXT", 100)
    assert len(read(OOXML, made.docx(*["word " * 30] * 20))) == 100
    assert len(read(PLAIN, b"x" * 5000)) == 100


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([OOXML, ODF]), st.data())
def test_a_damaged_archive_is_read_or_refused(kind_: str, data: st.DataObject) -> None:
    whole = bytearray(made.docx("words") if kind_ == OOXML else made.odt())
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))]) if data.draw(st.booleans()) else bytes(whole)
    with contextlib.suppress(UnreadableError):
        assert len(read(kind_, cut)) <= kinds.MAX_TEXT
