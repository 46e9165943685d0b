"""The stress test (tests/stress/imap.py) for twenty seconds, with kills that come quickly; and that it can fail."""

from __future__ import annotations

import pytest
from tests.stress.imap import Plan, run
from tests.stress.model import Box, Violations, content, is_keeper
from tests.stress.view import View
from tests.stress.wire import Answer, parse, uid_set


@pytest.mark.crash
@pytest.mark.slow(22)
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nobody_is_told_nonsense(tmp_path):
    figures = run(Plan(20, clients=20, mailboxes=3, rate=100, kill_every_s=6), tmp_path / "data")
    assert figures["violations"] == 0, figures
    assert figures["kills"] >= 2 and figures["connections_lost"] > 0, figures
    assert figures["operations"] > 300 and figures["acknowledged"] > 30, figures
    assert figures["verified"]["items"] > 300, figures


@pytest.fixture
def bad():
    return Violations()


@pytest.fixture
def box(bad):
    return Box("anna@example.org", "", ("INBOX", "Stress"), bad)


def view_of(box, *uids):
    for uid in uids:
        box.folders["INBOX"].saw(uid, f"a1-{uid}")
    view = View(box.folders["INBOX"], b"$c1", {})
    view.uids = list(uids)
    return view


def told(view, *lines, may_expunge=True):
    return view.take(Answer(b"", [[line] for line in lines]), may_expunge=may_expunge, cause="FETCH")


def test_an_expunge_of_what_nobody_touched_is_found(box, bad):
    view = view_of(box, 4, 7, 9)
    box.folders["INBOX"].doomed.add(7)
    told(view, b"* 2 EXPUNGE\r\n")
    assert (view.uids, bad.found) == ([4, 9], [])
    told(view, b"* 2 EXPUNGE\r\n")
    assert "UID 9 (a1-9) went away" in bad.found[0]


def test_an_expunge_in_the_wrong_command_is_found(box, bad):
    view = view_of(box, 4)
    box.folders["INBOX"].doomed.add(4)
    told(view, b"* 1 EXPUNGE\r\n", may_expunge=False)
    assert bad.found == ["anna@example.org/INBOX by $c1: EXPUNGE during FETCH"]


def test_a_reused_uid_is_found(box, bad):
    inbox = box.folders["INBOX"]
    inbox.saw(4, "a1-1")
    inbox.saw(4, "a1-2")
    inbox.promised(5, "a1-5", 7)
    assert len(bad.found) == 2


def test_a_lost_keyword_is_found(box, bad):
    view = view_of(box, 4)
    told(view, b"* 1 FETCH (UID 4 FLAGS (\\Seen $c1))\r\n")
    told(view, b"* 1 FETCH (FLAGS (\\Seen))\r\n")
    assert "own keyword is False, should be True" in bad.found[0]


def test_vanished_finds_a_message_whose_uid_was_not_asked_for(box, bad):
    view = view_of(box, 4, 9)
    view.uids = [4, None, 9]
    box.folders["INBOX"].doomed.add(6)
    told(view, b"* VANISHED 6\r\n")
    assert (view.uids, bad.found) == ([4, 9], [])


def test_lost_doubled_and_returned_messages_are_found(box, bad):
    inbox, stress = box.folders.values()
    inbox.promised(1, "a1-1", 0)
    inbox.promised(2, "a1-2", 1)
    inbox.promised(3, "a1-3", 2)
    box.accepted |= {"a1-1", "a1-2", "a1-3", "s0-9"}
    box.sent.add("s0-9")
    inbox.doomed.add(2)
    inbox.told_gone(2)
    stress.possible["a1-3"] += 1
    box.check({"INBOX": {2: "a1-2", 3: "a1-3"}, "Stress": {8: "a1-3", 9: "a1-3"}})
    assert sorted(text.partition(": ")[2] for text in bad.found) == [
        "UID 2 (a1-2) is there again after it was said to be gone",
        "a1-3 came 2 times, 1 expected beside those that are known",
        "a1-3 is in 3 places: ['INBOX:3', 'Stress:8', 'Stress:9']",
        "accepted s0-9 was never seen",
        "acknowledged UID 1 (a1-1) is lost",
        "s0-9 is in 0 places: []",
    ]


def test_messages_follow_from_their_tokens():
    assert content("a1-1") == content("a1-1") != content("a1-2")
    assert is_keeper("a1-3") and not is_keeper("a1-4")


def test_responses_are_taken_apart():
    line = [b"(UID 4 FLAGS (\\Seen) BODY[HEADER.FIELDS (X-Token)] {3}\r\n", b"abc", b' ENVELOPE ("a \\"b" NIL))\r\n']
    assert parse(line) == [
        [b"UID", b"4", b"FLAGS", [b"\\Seen"], b"BODY[HEADER.FIELDS (X-Token)]", b"abc", b"ENVELOPE", [b'a "b', None]]
    ]
    assert uid_set(b"9,4:6") == [9, 4, 5, 6]
