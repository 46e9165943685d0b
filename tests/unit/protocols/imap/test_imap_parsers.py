"""Arguments of commands, sequence sets, modified UTF-7, rendering."""

from __future__ import annotations

import contextlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.items import Flag
from postern.model.query import And, HasFlags, HeaderContains, Not, Or, ReceivedBetween
from postern.model.ranges import merged
from postern.model.refusal import ProtocolViolation, Reason
from postern.protocols.imap import flags, render, sequence, utf7
from postern.protocols.imap.commands.fetch import Section
from postern.protocols.imap.commands.search import MAX_DEPTH, MAX_TEXTS, BadCharset, SequenceIn
from postern.protocols.imap.scanner import Scanner
from postern.protocols.imap.table import COMMANDS


def parse(name: bytes, text: bytes, *literals: bytes):
    return COMMANDS[name].parse(Scanner(text, literals))


def test_login():
    assert parse(b"LOGIN", b'ann "se\\"c\\\\ret"') == ("ann", 'se"c\\ret')
    assert parse(b"LOGIN", b"\0 \0", "ünn".encode(), b"p w") == ("ünn", "p w")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"LOGIN", b"ann"),
        (b"LOGIN", b"ann x y"),
        (b"LOGIN", b'ann "unterminated'),
        (b"NOOP", b"x"),
        (b"SELECT", b"a (QRESYNC)"),
        (b"SELECT", b"gr\xc3\xbcn"),
        (b"SELECT", b'"&broken"'),
        (b"LIST", b'"" (a'),
        (b"LIST", b'(RECURSIVEMATCH) "" *'),
        (b"STATUS", b"a (NONSENSE)"),
        (b"STATUS", b"a ()"),
        (b"FETCH", b"0 FLAGS"),
        (b"FETCH", b"1 (FLAGS"),
        (b"FETCH", b"1 ()"),
        (b"FETCH", b"1 NONSENSE"),
        (b"FETCH", b"1 BODY[MIME]"),
        (b"FETCH", b"1 BODY[1.0]"),
        (b"FETCH", b"1 BODY[]<1.0>"),
        (b"FETCH", b"1 BODY[HEADER.FIELDS ()]"),
        (b"FETCH", b"1 FLAGS (CHANGEDSINCE 0)"),
        (b"FETCH", b"4294967296 FLAGS"),
        (b"STORE", b"1 FLAGS (\\Recent)"),
        (b"STORE", b"1 FLAGS (\\Nonsense)"),
        (b"STORE", b"1 *FLAGS (a)"),
        (b"STORE", b"1 FLAGS"),
        (b"SEARCH", b""),
        (b"SEARCH", b"NONSENSE"),
        (b"SEARCH", b"SINCE 31-Feb-2024"),
        (b"SEARCH", b'SUBJECT "\xff"'),
        (b"SEARCH", b"(ALL"),
        (b"COPY", b"1:2"),
        (b"UID EXPUNGE", b"1,,2"),
        (b"APPEND", b'a "1-Jan-2024" \0'),
        (b"APPEND", b"a text"),
        (b"AUTHENTICATE", b""),
        (b"ID", b"(name)"),
    ],
)
def test_bad_arguments(name, text):
    with pytest.raises(ProtocolViolation):
        parse(name, text, b"literal")


def test_fetch_items():
    found = parse(
        b"FETCH", b"1:3,* (uid BODY.PEEK[HEADER.FIELDS (To Cc)] BODY[1.2.TEXT]<5.10> RFC822) (CHANGEDSINCE 7)"
    )
    assert found.messages == ((1, 3), (sequence.STAR, sequence.STAR))
    assert found.attributes == (b"UID",)
    assert found.changed_since == 7
    assert found.sections == (
        Section(b"BODY[HEADER.FIELDS (To Cc)]", "", b"HEADER.FIELDS", (b"to", b"cc")),
        Section(b"BODY[1.2.TEXT]<5>", "1.2", b"TEXT", (), 5, 10, True),
        Section(b"RFC822", "", b"", sets_seen=True),
    )


def test_names_of_fields_are_quoted_again_in_the_answer():
    asked = parse(b"FETCH", b'1 BODY.PEEK[HEADER.FIELDS (To "X-a(b" "c\\"d" "e]")]')
    assert asked.sections[0].label == b'BODY[HEADER.FIELDS (To "X-a(b" "c\\"d" e])]'


def test_fetch_macros():
    assert parse(b"FETCH", b"1 full").attributes == (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY")


def test_search_tree():
    found = parse(b"SEARCH", b'RETURN (MIN COUNT) CHARSET UTF-8 OR SEEN (NOT 1:5 SUBJECT "x") ON 2-Jan-1970')
    assert found.returns.options == {b"MIN", b"COUNT"}
    assert found.query == And(
        (
            Or((HasFlags(1), And((Not(SequenceIn(((1, 5),))), HeaderContains("subject", "x"))))),
            ReceivedBetween(86400, 172800),
        )
    )


def test_search_for_too_many_texts():
    parse(b"SEARCH", b" ".join([b"OR BODY a FROM b"] * (MAX_TEXTS // 2)))
    with pytest.raises(ProtocolViolation, match="texts"):
        parse(b"SEARCH", b" ".join([b"OR BODY a FROM b"] * (MAX_TEXTS // 2)) + b" HEADER x y")


def test_search_charsets():
    text = parse(b"SEARCH", b"CHARSET KOI8-R SUBJECT \0", "почта".encode("koi8-r")).query
    assert text == HeaderContains("subject", "почта")
    for name in (b"X-NONSENSE", b"idna", b"hex", b"\xff"):
        with pytest.raises((BadCharset, ProtocolViolation)):
            parse(b"SEARCH", b"CHARSET " + name + b" ALL")


@pytest.mark.parametrize("opening", [b"(", b"NOT ", b"OR ALL "])
def test_search_nested_too_deep(opening):
    with pytest.raises(ProtocolViolation, match="nested"):
        parse(b"SEARCH", opening * (MAX_DEPTH * 100) + b"ALL")


def test_append():
    found = parse(b"APPEND", b'x (\\Seen \\Recent k) "17-Jul-1996 02:44:25 -0700" \0', b"message")
    assert found == ("x", ((flags.Flags(Flag.SEEN, ("k",)), 837596665, b"message", ()),))


def test_dates_are_checked():
    for text in (b"17-Jul-1996 24:00:00 +0000", b"32-Jul-1996 00:00:00 +0000", b"1-Jul-1996 00:00:00 +0000"):
        with pytest.raises(ProtocolViolation):
            parse(b"APPEND", b'x "%b" \0' % text, b"m")


def test_inbox_in_any_case():
    assert parse(b"SELECT", b"inBox").mailbox == "INBOX"
    assert parse(b"SELECT", b"inbox/a").mailbox == "INBOX/a"
    assert parse(b"SELECT", b"inboxes").mailbox == "inboxes"


def test_sequence_numbers_become_uids():
    view = array("I", [5, 7, 20, 21])
    assert sequence.sequence_to_uids(sequence.parse(b"2:3,*"), view) == [(7, 21)]
    assert sequence.sequence_to_uids(sequence.parse(b"4:1"), view) == [(5, 21)]
    assert sequence.uids_to_uids(sequence.parse(b"6:*"), view) == [(6, 21)]
    assert sequence.uids_to_uids(sequence.parse(b"100:*"), view) == [(21, 100)]
    assert sequence.uids_to_uids(sequence.parse(b"1:*"), array("I")) == []
    with pytest.raises(ProtocolViolation):
        sequence.sequence_to_uids(sequence.parse(b"5"), view)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"3,5,9", [(3, 3), (5, 5), (9, 9)]),
        (b"3,4,9", [(3, 4), (9, 9)]),
        (b"3:5,6:7,9", [(3, 7), (9, 9)]),
        (b"9,3", [(3, 3), (9, 9)]),
        (b"3,3", [(3, 3)]),
        (b"5:3,9", [(3, 5), (9, 9)]),
        (b"2:6,4:5", [(2, 6)]),
        (b"3,*", [(3, 3), (21, 21)]),
        (b"*:3,30", [(3, 21), (30, 30)]),
    ],
)
def test_a_set_is_resolved_to_ranges_in_order_and_apart(written, meant):
    assert sequence.resolved(sequence.parse(written), 21) == meant


@pytest.mark.parametrize("text", [b"1,4294967296", b"1,4294967296:5", b"0,1", b"1,", b",1", b"1,,2", b"01,2"])
def test_broken_lists_of_numbers(text):
    with pytest.raises(ProtocolViolation):
        sequence.parse(text)


def test_numbers_in_a_search_may_be_beyond_the_view():
    view = array("I", [5, 7, 20, 21])
    assert sequence.numbers_in_view(sequence.parse(b"2:3,*"), view) == [(7, 21)]
    assert sequence.numbers_in_view(sequence.parse(b"3:9,11"), view) == [(20, 21)]
    assert sequence.numbers_in_view(sequence.parse(b"9:*"), view) == [(21, 21)]
    assert sequence.numbers_in_view(sequence.parse(b"5:6"), view) == []
    assert sequence.numbers_in_view(sequence.parse(b"1:*,3"), array("I")) == []


@given(st.sets(st.integers(1, 60), min_size=1))
def test_sequence_set_there_and_back(numbers):
    ranges = merged(sequence.parse(sequence.render(sorted(numbers))))
    assert {n for low, high in ranges for n in range(low, high + 1)} == numbers


def test_copyuid_keeps_its_order():
    assert sequence.ordered([3, 4, 9, 1, 2]) == b"3:4,9,1:2"


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("Entwürfe", b"Entw&APw-rfe"),
        ("A&B", b"A&-B"),
        ("台北", b"&U,BTFw-"),
        ("~peter/mail/日本語", b"~peter/mail/&ZeVnLIqe-"),
    ],
)
def test_modified_utf7(name, wire):
    assert utf7.encode(name) == wire
    assert utf7.decode(wire) == name


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=40))
def test_modified_utf7_there_and_back(name):
    wire = utf7.encode(name)
    assert wire.isascii()
    assert utf7.decode(wire) == name


@pytest.mark.parametrize("wire", [b"&", b"&AAA", b"&A-", b"&2AA-", b"\xff", b"&*-"])
def test_broken_utf7(wire):
    with pytest.raises(ProtocolViolation):
        utf7.decode(wire)


@given(st.binary(max_size=60))
def test_no_name_breaks_the_decoder(wire):
    with contextlib.suppress(ProtocolViolation):
        utf7.decode(wire)


def test_every_reason_has_a_response():
    assert set(render.CODES) == set(Reason)
    assert render.refused(Reason.NO_SUCH_FOLDER, target=True).startswith(b"NO [TRYCREATE]")


def test_flags_render_and_name_what_is_unknown():
    texts = flags.FlagTexts({8: "$a", 9: "$b"})
    assert texts[1 | 1 << 9] == b"(\\Seen $b)"
    assert not texts.unknown
    assert texts[1 << 10] == b"()"
    assert texts.unknown


@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=80))
def test_parsers_raise_nothing_else(name, text):
    with contextlib.suppress(ProtocolViolation):
        parse(name, text.replace(b"\0", b""))


def test_many_numbers_in_order():
    """What begins and ends as a run need not be one."""
    run = list(range(5, 205))
    assert sequence.ordered(run) == b"5:204"
    run[40], run[90] = run[90], run[40]
    assert sequence.ordered(run) == b"5:44,95,46:94,45,96:204"
    assert sequence.ordered(run[::-1]).startswith(b"204,203,")
