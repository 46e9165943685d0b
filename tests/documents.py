"""Documents made by hand: as small as they can be, and as bad."""

from __future__ import annotations

import functools
import io
import zipfile
import zlib

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def archive(entries: dict[str, bytes | str], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)  # of a date that is always the same
            entry.compress_type = method
            file.writestr(entry, content)
    return out.getvalue()


def docx(*paragraphs: str) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return archive(
        {
            "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}<w:p><w:r><w:delText>deleted</w:delText>'
            "</w:r></w:p></w:body></w:document>",
            "word/footer1.xml": f'<x:ftr xmlns:x="{W}"><x:p><x:t>footer words</x:t></x:p></x:ftr>',
        }
    )


def xlsx() -> bytes:
    return archive(
        {
            "xl/sharedStrings.xml": f'<sst xmlns="{S}"><si><t>Umsatz</t></si><si><r><t>zwei</t></r><r><t>teilig</t></r>'
            "<rPh><t>yomi</t></rPh></si></sst>",
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{S}"><sheetData><row><c t="inlineStr"><is><t>Hier</t></is>'
            "</c><c><f>A1+secretformula</f><v>4711</v></c></row></sheetData></worksheet>",
        }
    )


def pptx() -> bytes:
    slide = f'<p:sld xmlns:p="p" xmlns:a="{A}"><a:p><a:r><a:t>Folie eins</a:t></a:r></a:p></p:sld>'
    return archive({"ppt/slides/slide1.xml": slide, "ppt/notesSlides/notesSlide1.xml": slide.replace("eins", "Notiz")})


def odt() -> bytes:
    text = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
    return archive(
        {
            "content.xml": f'<o:document-content xmlns:o="o" xmlns:t="{text}"><o:body><t:h>Überschrift</t:h>'
            "<t:p>ein<t:s/>Wort<t:tab/>mehr</t:p></o:body></o:document-content>"
        }
    )


def pdf(text: str, *, pages: int = 1, compress: bool = False) -> bytes:
    """A PDF with the text on each page (Latin letters only)."""
    stream = b"BT /F1 12 Tf 72 720 Td (" + text.encode("latin-1") + b") Tj ET"
    filters = b""
    if compress:
        stream, filters = zlib.compress(stream), b" /Filter /FlateDecode"
    kids = b" ".join(b"%d 0 R" % (5 + n) for n in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, pages),
        b"<< /Length %d%b >>\nstream\n%b\nendstream" % (len(stream), filters, stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        *[
            b"<< /Type /Page /Parent 2 0 R /Contents 3 0 R /MediaBox [0 0 612 792]"
            b" /Resources << /Font << /F1 4 0 R >> >> >>"
        ]
        * pages,
    ]
    return assembled(objects)


def assembled(objects: list[bytes]) -> bytes:
    """Objects from number 1 on, the first being the catalogue."""
    out = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def pdf_with_looping_pages() -> bytes:
    """The page tree contains itself."""
    return assembled([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"])


def pdf_bomb(megabytes: int) -> bytes:
    """A content stream that unpacks to so much of text operators, packed twice."""
    raw = zlib.compress(zlib.compress(b"(a) Tj " * (megabytes * 1_000_000 // 7), 9), 9)
    return assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
            b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%b\nendstream" % (len(raw), raw),
            b"<< /Type /Page /Parent 2 0 R /Contents 3 0 R /MediaBox [0 0 612 792] /Resources << >> >>",
        ]
    )


@functools.cache
def zip_bomb(megabytes: int) -> bytes:
    """A docx whose document unpacks to so much white space between two tags."""
    return archive({"word/document.xml": b"<a>" + b" " * (megabytes << 20) + b"</a>"})


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + f']><w:document xmlns:w="{W}"><w:t>&a9;</w:t></w:document>'
)
OUTSIDE = f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><w:document xmlns:w="{W}"><w:t>&f;</w:t></w:document>'
