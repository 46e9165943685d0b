from __future__ import annotations

import email

from postern.formats.mime.body import body
from postern.formats.mime.downgrade import needs
from postern.formats.mime.scan import scan
from postern.formats.sample import KINDS, samples

USERS = ["anna.berg@example.org", "boris@example.org", "chen.wei@example.net"]


def test_the_same_input_gives_the_same_octets() -> None:
    assert list(samples(40, USERS)) == list(samples(40, USERS))


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert list(samples(60, USERS))[:25] == list(samples(25, USERS))


def test_every_sample_can_be_sent_and_read() -> None:
    subjects, identifiers, structures = set(), set(), b""
    for content in samples(len(KINDS) * 5, USERS):
        found = scan(content)
        body(found.bodystructure)
        assert needs(content) != "BINARYMIME"
        assert content.endswith(b"\r\n")
        subjects.add(found.subject)
        if found.message_id:
            assert found.message_id not in identifiers
            identifiers.add(found.message_id)
        structures += found.bodystructure.lower()
    assert any("совещания" in subject for subject in subjects)
    assert any("会议" in subject or "合同" in subject or "出差" in subject for subject in subjects)
    for kind in (b'"text" "calendar"', b'"message" "rfc822"', b'"application" "pdf"', b'"image" "gif"', b"koi8-r"):
        assert kind in structures


def test_whole_kinds_have_no_defects() -> None:
    for index, content in enumerate(samples(len(KINDS) - 1, USERS)):
        message = email.message_from_bytes(content)
        assert not [part.defects for part in message.walk() if part.defects], (index, content[:400])
        assert message["from"] and message["to"] and message["date"]


def test_one_user_alone_writes_to_himself() -> None:
    assert b"solo@example.org" in next(samples(1, ["solo@example.org"]))
