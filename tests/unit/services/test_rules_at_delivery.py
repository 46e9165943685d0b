"""Rules where mail arrives: what goes where, who is answered, and how often."""

from __future__ import annotations

import shutil
import threading

import pytest

from postern.config.loading import load
from postern.formats.sieve.message import Message
from postern.model.actions import Target
from postern.model.ids import NO_BLOB, DeliveryKey
from postern.model.items import Flag, ItemClass, NewItem, SpecialUse
from postern.model.properties import pack
from postern.model.refusal import Reason, Refusal
from postern.model.rules import Audience, InboxRule, Junk, Oof, OofState, Predicates, RuleActions
from postern.services.rules import acquaintances, inbox_rules, stored
from postern.services.rules.deciding import Seen
from unit.services.rules_world import ANNA, BORIS, make, world

MESSAGE = """From: Bob <bob@example.net>
To: anna@example.org
Subject: {subject}
Message-ID: <{subject}@example.net>
{more}
Hello.
"""


def message(subject="one", more=""):
    return MESSAGE.format(subject=subject, more=more + "\n" if more else "")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    directory = tmp_path_factory.mktemp("organisation")
    make(directory)
    return directory


@pytest.fixture
async def here(pattern, tmp_path):
    shutil.copytree(pattern, tmp_path, ignore=shutil.ignore_patterns("reserve"), dirs_exist_ok=True)
    async with world(load(tmp_path / "postern.toml")) as opened:
        yield opened


async def sieve(here, script, address=ANNA):
    book = await here.book(address)
    await book.put("main", script.encode())
    await book.activate("main")


async def test_a_mailbox_without_rules_is_known_as_such(here):
    await here.send(message())
    assert await here.folders() == {"INBOX": [("one", 0, ())]}
    assert len(here.rules.without) == 1


async def test_a_script_files_with_flags_and_copies_in_one_commit(here):
    await here.send(message("zero"))
    await sieve(
        here,
        'require ["fileinto","imap4flags","mailbox","copy"];'
        'fileinto :create :copy :flags ["\\\\Seen","work"] "Lists/Postern"; keep :flags "\\\\Flagged";',
    )
    mailbox = await here.mailbox()
    before = await mailbox.change_number()
    await here.send(message())
    found = await here.folders()
    assert found["Postern"] == [("one", Flag.SEEN, ("work",))]
    assert found["INBOX"] == [("zero", 0, ()), ("one", Flag.FLAGGED, ())]
    # two folders made, two subscriptions, one delivery
    assert await mailbox.change_number() - before <= 5


async def test_a_missing_folder_means_inbox(here):
    await sieve(here, 'require "fileinto"; fileinto "Nowhere";')
    await here.send(message())
    assert await here.folders() == {"INBOX": [("one", 0, ())]}


async def test_discard_keeps_nothing(here):
    await sieve(here, 'if header :contains "subject" "spam" { discard; }')
    await here.send(message("spam"))
    await here.send(message("ham"))
    assert await here.folders() == {"INBOX": [("ham", 0, ())]}


async def test_header_edits_are_in_the_copy(here):
    await sieve(here, 'require "editheader"; addheader "X-Seen" "yes ©"; deleteheader "Subject";')
    await here.send(message())
    (content,) = await here.messages()
    head = content.partition(b"\r\n\r\n")[0]
    assert b"X-Seen: =?utf-8?b?" in head
    assert b"Subject:" not in head
    assert content.endswith(b"Hello.\r\n")


async def test_redirect_keeps_the_sender_and_nothing_here(here):
    await sieve(here, 'redirect "carol@elsewhere.example";')
    await here.send(message())
    assert await here.folders() == {}
    ((sender, to, content),) = await here.outgoing()
    assert (sender, to) == ("bob@example.net", ["carol@elsewhere.example"])
    assert b"X-Loop: anna@example.org\r\n" in content
    assert b"\r\nFrom: Bob <bob@example.net>\r\n" in content
    assert not content.startswith(b"Return-Path")


async def test_redirect_to_oneself_is_a_keep(here):
    await sieve(here, 'redirect "Anna@Example.org";')
    await here.send(message())
    assert await here.folders() == {"INBOX": [("one", 0, ())]}
    assert await here.outgoing() == []


async def test_two_who_redirect_to_each_other_do_not_loop(here):
    await sieve(here, 'redirect "boris@example.org";')
    await sieve(here, 'redirect "anna@example.org";', BORIS)
    await here.send(message())
    for _ in range(5):
        await here.settled()
    assert await here.folders() == {"INBOX": [("one", 0, ())]}
    assert await here.folders(BORIS) == {}


async def test_vacation_answers_once_and_never_machines(here):
    await sieve(here, 'require "vacation"; vacation :days 3 :subject "Away" "I am away.";')
    for number in range(3):
        await here.send(message(str(number)))
    await here.send(message("list", "List-Id: <x.example.net>"))
    await here.send(message("auto", "Auto-Submitted: auto-replied"))
    await here.send(message("bulk", "Precedence: bulk"))
    await here.send(message("null"), sender="")
    await here.send(message("robot"), sender="no-reply@example.net")
    await here.send(message("blind").replace("To: anna@example.org", "To: others@example.net"), sender="d@example.net")
    ((sender, to, content),) = await here.outgoing()
    assert (sender, to) == ("", ["bob@example.net"])
    for line in (
        b'From: "Anna"\r\n <anna@example.org>\r\n',
        b"Subject: Away\r\n",
        b"In-Reply-To: <0@example.net>\r\n",
        b"Auto-Submitted: auto-replied (vacation)\r\n",
        b"\r\n\r\nI am away.",
    ):
        assert line in content
    assert len((await here.folders())["INBOX"]) == 9


async def test_vacation_of_two_answers_each_other_never(here):
    await sieve(here, 'require "vacation"; vacation "a";')
    await sieve(here, 'require "vacation"; vacation "b";', BORIS)
    await here.send(message(), sender=BORIS)
    for _ in range(4):
        await here.settled()
    ((_, _, _),) = (await here.folders(BORIS))["INBOX"]
    assert len((await here.folders())["INBOX"]) == 1


async def test_reject_gives_the_message_back(here):
    await sieve(here, 'require "reject"; reject "Go away.";')
    await here.send(message())
    await here.send(message("null"), sender="")
    ((sender, to, content),) = await here.outgoing()
    assert (sender, to) == ("", ["bob@example.net"])
    assert b"report-type=disposition-notification" in content
    assert b"Go away." in content
    assert await here.folders() == {"INBOX": [("null", 0, ())]}, "there was nobody to give it back to"


async def test_ereject_is_a_delivery_status(here):
    await sieve(here, 'require "ereject"; ereject "Not here.";')
    await here.send(message())
    ((_, _, content),) = await here.outgoing()
    assert b"report-type=delivery-status" in content
    assert b"Status: 5.7.1" in content


async def test_the_owner_is_told_of_trouble_once(here):
    await sieve(here, 'require ["fileinto","variables"]; set "x" "${1}"; fileinto "${x}";')
    for number in range(3):
        await here.send(message(str(number)))
    found = (await here.folders())["INBOX"]
    assert sorted(subject for subject, _, _ in found) == ["0", "1", "2", "A problem with your mail rules"]


async def test_duplicates_are_known_by_their_id(here):
    await sieve(here, 'require "duplicate"; if duplicate { discard; }')
    for _ in range(3):
        await here.send(message())
    assert await here.folders() == {"INBOX": [("one", 0, ())]}


async def test_inbox_rules(here):
    book = await here.book()
    await book.change_rules(
        {
            "a": InboxRule(
                "lists",
                1,
                conditions=Predicates(contains_subject_strings=("LIST",)),
                exceptions=Predicates(from_addresses=("boss@example.net",)),
                actions=RuleActions(
                    move_to_folder=Target(special=SpecialUse.ARCHIVE),
                    mark_as_read=True,
                    assign_categories=("Red category",),
                    stop_processing=True,
                ),
            ),
            "b": InboxRule("rest", 2, actions=RuleActions(copy_to_folder=Target("Notes"), mark_importance="High")),
            "c": InboxRule("off", 0, enabled=False, actions=RuleActions(permanent_delete=True)),
        }
    )
    await here.send(message("a list"))
    await here.send(message("other"))
    await here.send(message("list of the boss").replace("bob@", "boss@"))
    found = await here.folders()
    assert found["Archive"] == [("a list", Flag.SEEN, ("Red_category",))]
    assert [subject for subject, _, _ in found["INBOX"]] == ["other", "list of the boss"]


async def test_a_rule_deletes_forwards_and_redirects(here):
    book = await here.book()
    rule = InboxRule(
        "x",
        conditions=Predicates(sent_only_to_me=True, maximum_kib=10),
        actions=RuleActions(delete=True, forward_to=("c@elsewhere.example",), redirect_to=("d@elsewhere.example",)),
    )
    await book.change_rules({"x": rule})
    await here.send(message())
    assert list(await here.folders()) == ["Deleted Items"]
    sent = {to[0]: (sender, content) for sender, to, content in await here.outgoing()}
    assert sent["c@elsewhere.example"][0] == ANNA
    assert b"Subject: FW: one" in sent["c@elsewhere.example"][1]
    assert sent["d@elsewhere.example"][0] == "bob@example.net"


async def test_out_of_office(here):
    book = await here.book()
    await book.set_oof(Oof(OofState.ENABLED, internal_reply="Inside.", external_reply="<p>Outside.</p>"))
    await here.send(message("1"))
    await here.send(message("2"))
    await here.send(message("3").replace("bob@example.net", BORIS), sender=BORIS)
    ((_, to, content),) = await here.outgoing()
    assert to == ["bob@example.net"]
    assert b"Content-Type: text/html" in content
    assert b"Subject: Automatic reply: 1" in content
    (inside,) = await here.messages(BORIS)
    assert b"Inside." in inside
    # switched off and on again, everybody is told anew; nobody outside if that is the wish
    await book.set_oof(Oof(OofState.ENABLED, Audience.NONE, internal_reply="Again.", external_reply="x"))
    await here.send(message("4"))
    await here.send(message("5").replace("bob@example.net", BORIS), sender=BORIS)
    assert await here.outgoing() == []
    assert len(await here.messages(BORIS)) == 2
    await book.set_oof(Oof(OofState.SCHEDULED, starts_at=1, ends_at=2, external_reply="x"))
    await here.send(message("6"), sender="new@example.net")
    assert await here.outgoing() == []


async def test_junk_by_lists_and_header(here):
    book = await here.book()
    await book.set_junk(Junk(blocked_senders=("spam.example",), safe_senders=("bob@example.net",)))
    await book.set_oof(Oof(OofState.ENABLED, external_reply="x"))
    await here.send(message("1", "X-Spam-Flag: YES"))
    await here.send(message("2", "X-Spam-Flag: YES").replace("bob@", "eve@"))
    await here.send(message("3").replace("bob@example.net", "x@spam.example"), sender="x@spam.example")
    await here.send(message("4", "Authentication-Results: x; dmarc=fail (p=quarantine)"))
    found = await here.folders()
    assert [subject for subject, _, _ in found["INBOX"]] == ["1"]
    assert [subject for subject, _, _ in found["Junk Email"]] == ["2", "3", "4"]


async def test_what_a_crash_left_is_sent_once(here):
    await sieve(here, 'require "vacation"; vacation "away";')
    await here.send(message("1"), settle=False)
    await here.send(message("2"), settle=False)
    await here.mailflow._journal.all_applied()
    mailbox = await here.mailbox()
    entries = await mailbox.outbox()
    assert len(entries) == 2
    assert await here.parts.store.with_outbox() == [mailbox.id]

    submitted = []

    async def dies(key, envelope, content):
        submitted.append(key)
        raise Refusal(Reason.DISK_FULL)

    submit, here.sender.submit = here.sender.submit, dies
    await here.assistant.settle_all()
    assert len(await mailbox.outbox()) == 2

    async def dies_after(key, envelope, content):
        await submit(key, envelope, content)
        raise Refusal(Reason.TRY_LATER)

    here.sender.submit = dies_after
    await here.assistant.settle_all()
    here.sender.submit = submit
    await here.settled()
    assert await mailbox.outbox() == []
    assert await here.parts.store.with_outbox() == []
    assert len(await here.outgoing()) == 1


async def test_a_body_that_is_only_in_the_outbox_is_live(here):
    await sieve(here, 'redirect "carol@elsewhere.example";')
    await here.send(message(), settle=False)
    await here.mailflow._journal.all_applied()
    (entry,) = await (await here.mailbox()).outbox()
    live = await here.parts.store.live([entry.blob.segment])
    assert live == {entry.blob.segment: {entry.blob.record}}
    await here.settled()
    assert await here.parts.store.live([entry.blob.segment]) == {}


async def test_many_rules_read_a_large_message_once_and_elsewhere(here, monkeypatch):
    """Each rule took the text out of the message anew, on the loop that everybody waits for."""
    asked = []

    def counted(original):
        def counting(*arguments):
            asked.append((original.__name__, threading.current_thread() is threading.main_thread()))
            return original(*arguments)

        return counting

    for method in (Message.text_parts, Message.content_parts, Message.addresses):
        monkeypatch.setattr(Message, method.__name__, counted(method))
    rules = {}
    for number in range(20):
        kind = ("contains_body_strings", "sent_to_addresses", "contains_recipient_strings", "contains_header_strings")
        asks = {kind[number % 4]: (f"none{number}@example.net",)}
        rules[f"rule{number}"] = InboxRule(f"rule{number}", number, conditions=Predicates(**asks))
    rules["last"] = InboxRule(
        "last", 99, conditions=Predicates(contains_body_strings=("PLUGH",)), actions=RuleActions(mark_as_read=True)
    )
    await (await here.book()).change_rules(rules)
    await here.send(message(more="\n" + "x" * 70 + "\n" + "filling\n" * 8000 + "plugh"))
    assert await here.folders() == {"INBOX": [("one", Flag.SEEN.value, ())]}
    by_name = [name for name, _ in asked]
    assert by_name.count("text_parts") == 1
    assert by_name.count("addresses") <= 4
    assert not any(on_loop for name, on_loop in asked if name == "text_parts")


async def befriend(here, address):
    """A contact, put there as another process does."""
    mailbox = await here.mailbox()
    contacts = (await mailbox.special(SpecialUse.CONTACTS)).id
    properties = pack({"PidLidEmail2EmailAddress": address})
    new = NewItem(NO_BLOB, 0, b"", 0, b"", b"", b"", b"", "", None, "", 0, (), ItemClass.CONTACT, properties)
    (placed,) = await mailbox.add(contacts, [new])
    return contacts, placed.uid


async def test_out_of_office_for_those_in_the_contacts(here, monkeypatch):
    """Each message from a stranger had all contacts read; what is kept of them holds until they change."""
    book = await here.book()
    await book.set_oof(Oof(OofState.ENABLED, Audience.KNOWN, external_reply="Away."))
    reads = []
    original = acquaintances.addresses_in

    async def counted(*arguments):
        reads.append(1)
        return await original(*arguments)

    monkeypatch.setattr(acquaintances, "addresses_in", counted)
    await befriend(here, "Zoe@Example.net")

    async def answered(sender):
        await here.send(message("x").replace("bob@example.net", sender), sender=sender)
        return [to for _, to, _ in await here.outgoing()]

    for stranger in ("a@example.net", "b@example.net", "bob@example.net"):
        assert await answered(stranger) == []
    assert await answered("zoe@example.net") == [["zoe@example.net"]]
    assert len(reads) == 1
    contacts, uid = await befriend(here, "bob@example.net")
    assert await answered("bob@example.net") == [["bob@example.net"]]
    await (await here.mailbox()).expunge(contacts, [(uid, uid)], only_deleted=False)
    await book.set_oof(Oof(OofState.ENABLED, Audience.KNOWN, external_reply="Away again."))
    assert await answered("bob@example.net") == []
    assert len(reads) == 3


async def test_what_is_kept_of_contacts_is_bounded(here):
    known = acquaintances.Acquaintances(most=3)
    mailbox = await here.mailbox()
    await befriend(here, "a@example.net")
    contacts = await mailbox.special(SpecialUse.CONTACTS)
    assert await known.knows(mailbox, contacts, "A@example.net")
    assert known._total == 2
    for number in range(3):
        await befriend(here, f"{number}@example.net")
    contacts = await mailbox.special(SpecialUse.CONTACTS)
    assert await known.knows(mailbox, contacts, "2@example.net")
    assert (known._total, len(known._kept)) == (0, 0)


async def test_many_words_are_looked_for_in_a_thread(here, monkeypatch):
    """256 rules of thousands of words each held the loop for a second with each message."""
    threads = []
    original = inbox_rules.evaluate

    def evaluate(rules, facts):
        threads.append(threading.current_thread() is threading.main_thread())
        return original(rules, facts)

    monkeypatch.setattr(inbox_rules, "evaluate", evaluate)
    book = await here.book()
    few = InboxRule(
        "few", conditions=Predicates(contains_body_strings=("never", "hello")), actions=RuleActions(delete=True)
    )
    await book.change_rules({"few": few})
    await here.send(message("1"))
    words = tuple(f"word{number}" for number in range(1000))
    many = InboxRule("many", conditions=Predicates(contains_body_strings=words, contains_header_strings=words))
    await book.change_rules({f"many{number}": many for number in range(8)})
    await here.send(message("2"))
    assert threads == [True, False]
    assert [subject for subject, _, _ in (await here.folders())["Deleted Items"]] == ["1", "2"]


async def test_the_words_of_all_rules_are_bounded(here):
    book = await here.book()
    large = InboxRule("x", exceptions=Predicates(contains_subject_strings=("y" * 1000,) * 100))
    await book.change_rules({"1": large, "2": large})
    with pytest.raises(Refusal, match="262144 characters in all"):
        await book.change_rules({"3": large})
    await book.change_rules({"1": None, "3": large})
    assert sorted(await book.rules()) == ["2", "3"]


async def test_who_was_answered_while_the_clock_was_ahead_is_answered_again(here):
    mailbox = await here.mailbox()
    await (await here.book()).set_oof(Oof(OofState.ENABLED, external_reply="Away."))
    await here.send(message("1"))
    assert len(await here.outgoing()) == 1
    ((answered, _),) = [(one, one.value) for one in await mailbox.settings(stored.ANSWERED)]
    then = stored.decode_memory(answered.value)
    ahead = stored.Memory(then.until + 365 * 86_400, then.segment, then.record)
    await mailbox.set_settings(stored.ANSWERED, {answered.key: stored.encode(ahead)})
    await here.send(message("2"))
    assert len(await here.outgoing()) == 1
    seen = Seen({"x": stored.encode(ahead)}, DeliveryKey(0, 0))
    assert (seen.until("x", then.until), seen.until("x", ahead.until - 10.0)) == (0.0, float(ahead.until))
