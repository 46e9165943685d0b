"""Whole sessions against a mailbox in memory, alone and beside each other."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode

import msgspec
import pytest
from fake_mailbox import FakeMailbox

from postern.frontends.imap import selected
from postern.frontends.imap.selected import SelectedFolder
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap.sequence import render
from postern.protocols.sasl import scram


async def test_greeting_and_capabilities_without_tls(world):
    client = world.connect(tls=False)
    greeting = await client.until(b"* OK")
    assert b"STARTTLS" in greeting
    assert b"LOGINDISABLED" in greeting
    assert b"AUTH=SCRAM-SHA-256" in greeting
    assert b"AUTH=PLAIN" not in greeting
    assert await client.cmd(b"LOGIN ann@example.org secret") == b"NO [PRIVACYREQUIRED] TLS is required\r\n"
    assert b"PRIVACYREQUIRED" in await client.cmd(b"AUTHENTICATE PLAIN")


async def test_signing_in_opens_no_mailbox(world):
    client = await world.login()
    for command in (b"NOOP", b"CAPABILITY", b"ENABLE CONDSTORE", b'ID ("name" "x")'):
        assert b"OK" in await client.cmd(command)
    assert world.mailboxes.opened == 0
    assert b"OK [READ" in await client.cmd(b"SELECT INBOX")
    assert b"OK" in await client.cmd(b"STATUS INBOX (MESSAGES)")
    assert world.mailboxes.opened == 1


async def test_a_mailbox_that_cannot_be_opened_is_asked_again(world):
    client = await world.login()
    world.mailboxes.refusal = Refusal(Reason.CORRUPT)
    for command in (b"SELECT INBOX", b'LIST "" *', b"IDLE", b"APPEND INBOX {1+}\r\nx"):
        assert (await client.cmd(command)).startswith(b"NO ["), command
    world.mailboxes.refusal = None
    assert b"OK [READ" in await client.cmd(b"SELECT INBOX")


async def test_who_has_no_mailbox_is_refused_at_the_sign_in(world):
    client = world.connect()
    await client.until(b"* OK")
    world.mailboxes.unfit = Refusal(Reason.NO_SUCH_RECIPIENT)
    assert (await client.cmd(b"LOGIN ann@example.org secret")).startswith(b"NO")
    assert (await client.cmd(b"SELECT INBOX")).startswith(b"BAD")


async def test_clear_text_on_loopback_when_allowed(world):
    world.settings = msgspec.structs.replace(world.settings, cleartext_login="loopback")
    near, far = world.connect(tls=False, peer="127.0.0.1"), world.connect(tls=False, peer="192.0.2.9")
    assert b"AUTH=PLAIN" in await near.until(b"* OK")
    assert b"LOGINDISABLED" in await far.until(b"* OK")
    assert b"OK [CAPABILITY" in await near.cmd(b"LOGIN ann@example.org secret")


async def test_starttls_and_what_is_smuggled_behind_it(world):
    client = world.connect(tls=False)
    await client.until(b"* OK")
    answer = await client.raw(b"a STARTTLS\r\nb LOGIN ann@example.org secret\r\n", b"a ")
    assert answer.startswith(b"a BAD nothing may follow STARTTLS")
    assert client.stream.tls is None
    assert await client.cmd(b"STARTTLS") == b"OK Begin TLS negotiation\r\n"
    assert b"OK" in await client.cmd(b"LOGIN ann@example.org secret")


async def test_wrong_password(world):
    client = world.connect()
    await client.until(b"* OK")
    for command in (b"LOGIN ann@example.org wrong", b"LOGIN nobody@example.org secret"):
        assert await client.cmd(command) == b"NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n"
    assert b"BAD" in await client.cmd(b"SELECT INBOX")


async def test_authenticate_plain_with_and_without_initial_response(world):
    response = b64encode(b"\0ann@example.org\0secret")
    client = world.connect()
    await client.until(b"* OK")
    assert b"OK [CAPABILITY" in await client.cmd(b"AUTHENTICATE PLAIN " + response)
    client = world.connect()
    await client.until(b"* OK")
    await client.raw(b"a AUTHENTICATE PLAIN\r\n", b"+ ")
    assert b"a OK" in await client.raw(response + b"\r\n", b"a ")


async def test_authentication_cancelled_or_broken(world):
    client = world.connect()
    await client.until(b"* OK")
    await client.raw(b"a AUTHENTICATE PLAIN\r\n", b"+ ")
    assert await client.raw(b"*\r\n", b"a ") == b"a BAD authentication cancelled\r\n"
    assert b"BAD invalid base64" in await client.cmd(b"AUTHENTICATE PLAIN !!!")
    assert b"NO [CANNOT]" in await client.cmd(b"AUTHENTICATE GSSAPI")


async def test_authenticate_scram(world):
    client = world.connect()
    await client.until(b"* OK")
    exchange = scram.client("ann@example.org", "secret", b"clientnonce", ("tls-server-end-point", b"x" * 32))
    message = next(exchange)
    answer = await client.raw(b"a AUTHENTICATE SCRAM-SHA-256-PLUS " + b64encode(message) + b"\r\n", b"+ ")
    message = exchange.send(b64decode(answer[2:]))
    answer = await client.raw(b64encode(message) + b"\r\n", b"+ ")
    with pytest.raises(StopIteration) as stop:
        exchange.send(b64decode(answer[2:]))
    assert stop.value.value is True
    assert b"a OK" in await client.raw(b"\r\n", b"a ")
    assert world.authentication.finished == [("ann@example.org", True)]


async def test_scram_with_a_wrong_password_counts(world):
    client = world.connect()
    await client.until(b"* OK")
    exchange = scram.client("ann@example.org", "wrong", b"clientnonce")
    world.settings = msgspec.structs.replace(world.settings, mechanisms=("SCRAM-SHA-256",))
    client = world.connect()
    await client.until(b"* OK")
    first = b64encode(next(exchange))
    answer = await client.raw(b"a AUTHENTICATE SCRAM-SHA-256 " + first + b"\r\n", b"+ ")
    answer = await client.raw(b64encode(exchange.send(b64decode(answer[2:]))) + b"\r\n", b"a ")
    assert b"AUTHENTICATIONFAILED" in answer
    assert world.authentication.finished == [("ann@example.org", False)]


async def test_pipelined_commands_are_answered_in_one_write_and_one_sync(world):
    world.fill(3)
    client = await world.inbox()
    writes, syncs = client.stream.writes, world.mailbox.durable_calls
    await client.raw(b"".join(b"p%d STORE %d +FLAGS (\\Seen)\r\n" % (i, i) for i in (1, 2, 3)), b"p3 OK")
    assert client.stream.writes == writes + 1
    assert world.mailbox.durable_calls == syncs + 1


async def test_select_tells_the_state(world):
    first, *_ = world.fill(3)
    world.mailbox.messages[world.mailbox.by_name("INBOX")][first]["flags"] = 1
    client = await world.login()
    answer = await client.cmd(b"SELECT inbox (CONDSTORE)")
    for part in (b"* 3 EXISTS", b"* 3 RECENT", b"[UNSEEN 2]", b"[UIDVALIDITY 77]", b"[HIGHESTMODSEQ 4]", b"\\*)]"):
        assert part in answer
    again = await client.cmd(b"EXAMINE INBOX")
    assert again.startswith(b"* OK [CLOSED]")
    assert b"* 0 RECENT" in again
    assert b"OK [READ-ONLY]" in again
    assert b"[NOPERM]" in await client.cmd(b"STORE 1 +FLAGS (\\Seen)")
    assert b"[NONEXISTENT]" in await client.cmd(b"SELECT nowhere")
    assert b"BAD" in await client.cmd(b"FETCH 1 FLAGS")


async def test_new_mail_and_flags_reach_the_other_session(world):
    world.fill(2)
    one, two = await world.inbox(), await world.inbox()
    assert b"* 1 FETCH (FLAGS (\\Deleted \\Recent $x))" in await one.cmd(b"STORE 1 +FLAGS (\\Deleted $x)")
    assert await one.cmd(b"NOOP") == b"OK NOOP completed\r\n"  # its own change is not echoed
    world.fill(1)
    answer = await two.cmd(b"NOOP")
    assert b"* 3 EXISTS" in answer
    assert b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x)" in answer
    assert b"* 1 FETCH (FLAGS (\\Deleted $x))" in answer


async def test_no_expunge_while_numbers_are_in_use(world):
    world.fill(3)
    one, two = await world.inbox(), await world.inbox()
    await one.cmd(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert b"* 2 EXPUNGE" in await one.cmd(b"EXPUNGE")
    for command in (b"FETCH 3 (UID)", b"STORE 3 +FLAGS (\\Flagged)", b"SEARCH ALL"):
        assert b"EXPUNGE" not in await two.cmd(command)
    assert b"* 3 FETCH (UID 8)" in await two.cmd(b"FETCH 2:3 (UID)")
    world.fill(1)
    assert b"* 4 EXISTS" in await two.cmd(b"FETCH 3 (UID)")
    assert b"* 2 EXPUNGE" in await two.cmd(b"UID FETCH 8 FLAGS")
    assert b"* SEARCH 1 2 3\r\n" in await two.cmd(b"SEARCH ALL")


async def test_silent_store_does_not_hide_what_another_did(world):
    world.fill(1)
    one, two = await world.inbox(), await world.inbox()
    await one.cmd(b"STORE 1 +FLAGS (\\Flagged)")
    assert b"\\Flagged" in await two.cmd(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    assert await two.cmd(b"STORE 1 +FLAGS.SILENT (\\Answered)") == b"OK STORE completed\r\n"
    assert await two.cmd(b"NOOP") == b"OK NOOP completed\r\n"


async def test_own_commits_are_not_asked_for(world):
    """What a session did itself costs no look at the store, unless somebody came between."""
    world.fill(40)
    one, two = await world.inbox(), await world.inbox()
    asked = []
    changes = world.mailbox.changes
    world.mailbox.changes = lambda folder, since: asked.append(since) or changes(folder, since)
    assert b"\\Flagged" in await one.cmd(b"STORE 1 +FLAGS (\\Flagged)")
    assert await one.cmd(b"STORE 1 -FLAGS.SILENT (\\Flagged)") == b"OK STORE completed\r\n"
    assert b"COPYUID" in await one.cmd(b'COPY 2 "Sent Items"')
    answer = await one.cmd(b'MOVE 3,5 "Deleted Items"')
    assert answer.endswith(b"Moved\r\n* 5 EXPUNGE\r\n* 3 EXPUNGE\r\nOK MOVE completed\r\n")
    assert await one.cmd(b"NOOP") == b"OK NOOP completed\r\n"
    assert asked == []

    answer = await two.cmd(b"NOOP")
    assert b"* 5 EXPUNGE\r\n* 3 EXPUNGE\r\n" in answer
    assert len(asked) == 1
    await two.cmd(b"STORE 1 +FLAGS (\\Answered)")
    answer = await one.cmd(b'MOVE 2:30 "Deleted Items"')
    assert answer.count(b" EXPUNGE\r\n") == 29
    assert b"* 1 FETCH (FLAGS (\\Answered \\Recent))" in answer
    assert b"* SEARCH 1 2 3 4 5 6 7 8 9\r\n" in await one.cmd(b"SEARCH ALL")
    assert b"* 1 EXPUNGE" in await two.cmd(b'MOVE 1 "Deleted Items"')
    assert await one.cmd(b"NOOP") == b"* 1 EXPUNGE\r\nOK NOOP completed\r\n"


async def test_conditional_store(world):
    world.fill(2)
    client = await world.inbox(b"SELECT INBOX (CONDSTORE)")
    assert b"MODSEQ (4)" in await client.cmd(b"STORE 1 +FLAGS (\\Flagged)")
    answer = await client.cmd(b"UID STORE 6:7 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Seen)")
    assert b"* 2 FETCH (UID 7 MODSEQ (5))" in answer
    assert b"OK [MODIFIED 6]" in answer
    answer = await client.cmd(b"FETCH 1:* (FLAGS) (CHANGEDSINCE 4)")
    assert b"* 2 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (5))" in answer
    assert b"* 1 FETCH" not in answer


async def test_tombstones_do_not_reach_back(world):
    world.fill(4)
    one, two = await world.inbox(), await world.inbox()
    await one.cmd(b"UID STORE 7 +FLAGS (\\Deleted)")
    await one.cmd(b"EXPUNGE")
    await one.cmd(b"STORE 1 +FLAGS (\\Seen)")
    world.mailbox.horizon = world.mailbox.number
    answer = await two.cmd(b"NOOP")
    assert b"* 2 EXPUNGE" in answer
    assert b"* 1 FETCH (FLAGS (\\Seen))" in answer


async def test_what_left_at_the_end_is_told_though_no_tombstone_tells_it(world):
    world.fill(4)
    one = await world.inbox()
    known = world.mailbox.number
    await one.cmd(b"UID STORE 7:9 +FLAGS (\\Deleted)")
    await one.cmd(b"EXPUNGE")
    world.mailbox.horizon = world.mailbox.number
    two = await world.login()
    await two.cmd(b"ENABLE QRESYNC")
    answer = await two.cmd(b"SELECT INBOX (QRESYNC (77 %d 1:9))" % known)
    assert b"* VANISHED (EARLIER) 1:5,7:9\r\n" in answer
    answer = await two.cmd(b"SELECT INBOX (QRESYNC (77 %d))" % known)
    assert b"* VANISHED (EARLIER) 1:5,7:9\r\n" in answer
    answer = await two.cmd(b"UID FETCH 1:4000 FLAGS (CHANGEDSINCE %d VANISHED)" % known)
    assert b"* VANISHED (EARLIER) 1:5,7:9\r\n" in answer
    # what has come since the client's last news is not said to have gone
    world.fill(1)
    answer = await two.cmd(b"UID FETCH 1:4000 FLAGS (CHANGEDSINCE %d VANISHED)" % known)
    assert b"* VANISHED (EARLIER) 1:5,7:9\r\n" in answer
    assert b"* 2 EXISTS" in answer
    answer = await two.cmd(b"UID FETCH 1:4000 FLAGS (CHANGEDSINCE %d VANISHED)" % known)
    assert b"VANISHED (EARLIER) 1:5,7:9\r\n" in answer


async def test_folder_deleted_under_a_session(world):
    client = await world.login()
    await client.cmd(b"CREATE x")
    world.fill(2, "x")
    await client.cmd(b"SELECT x")
    other = await world.login()
    assert b"OK" in await other.cmd(b"DELETE x")
    assert (await client.cmd(b"NOOP")).count(b"EXPUNGE") == 2
    assert b"OK" in await client.cmd(b"UID FETCH 1:* FLAGS")


async def test_fetch_of_sections(world, message):
    key = world.mailbox.by_name("INBOX")
    uid = world.mailbox.deliver(key, message, prefix=b"Received: x\r\n")
    client = await world.inbox()
    whole = b"Received: x\r\n" + message
    assert b"BODY[] {%d}\r\n%b)" % (len(whole), whole) in await client.cmd(b"FETCH 1 BODY.PEEK[]")
    assert b"BODY[]<9> {6}\r\n x\r\nFr)" in await client.cmd(b"FETCH 1 BODY.PEEK[]<9.6>")
    head = whole[: whole.index(b"\r\n\r\n") + 4]
    assert b"RFC822.HEADER {%d}\r\n%b)" % (len(head), head) in await client.cmd(b"FETCH 1 RFC822.HEADER")
    answer = await client.cmd(b"FETCH 1 (BODY.PEEK[HEADER.FIELDS (subject received)] BODY.PEEK[1] BODY.PEEK[2.HEADER])")
    assert b"BODY[HEADER.FIELDS (subject received)] {31}\r\nReceived: x\r\nSubject: Hello\r\n\r\n BODY[1]" in answer
    assert b"BODY[1] {10}\r\nFirst part BODY[2.HEADER] {41}\r\nSubject: Inner" in answer
    assert b"BODY[7] NIL" in await client.cmd(b"FETCH 1 BODY.PEEK[7]")
    answer = await client.cmd(b"UID FETCH %d BODY[2.HEADER.FIELDS.NOT (Subject)]" % uid)
    assert b"FLAGS (\\Seen \\Recent) BODY[2.HEADER.FIELDS.NOT (Subject)] {25}\r\nFrom: eve@" in answer
    assert b"FLAGS" not in await client.cmd(b"FETCH 1 BODY[TEXT]")  # seen already


async def test_large_message_is_read_in_pieces(world):
    key = world.mailbox.by_name("INBOX")
    big = b"Subject: big\r\n\r\n" + b"0123456789" * 300_000
    world.mailbox.deliver(key, big, prefix=b"A: b\r\n")
    client = await world.inbox()
    assert b"{10}\r\n4567890123)" in await client.cmd(b"FETCH 1 BODY.PEEK[TEXT]<2000004.10>")
    assert b"{10}\r\nSubject: b)" in await client.cmd(b"FETCH 1 BODY.PEEK[]<6.10>")
    assert b"{4}\r\nb\r\nS)" in await client.cmd(b"FETCH 1 BODY.PEEK[]<3.4>")
    assert world.mailbox.loaded < 100
    assert big in await client.cmd(b"FETCH 1 BODY.PEEK[]")


async def test_header_that_is_too_large_to_be_stored(world):
    key = world.mailbox.by_name("INBOX")
    world.mailbox.deliver(key, b"Subject: x\r\nX-Long: " + b"y " * 20_000 + b"\r\n\r\ntext\r\n")
    client = await world.inbox()
    assert b"{14}\r\nSubject: x\r\n\r\n)" in await client.cmd(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject)]")
    assert b"{14}\r\nSubject: x\r\n\r\n)" in await client.cmd(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject)]")


@pytest.mark.parametrize("messages", [b"1", b"1:2", b"1,3"])
async def test_sections_of_headers_alone(world, messages):
    world.fill(3)
    client = await world.inbox()
    asked = b'BODY.PEEK[HEADER.FIELDS (Subject "100%d")] BODY.PEEK[HEADER.FIELDS (To)]<0.5>'
    answer = await client.cmd(b"FETCH %b (%b)" % (messages, asked))
    last = int(messages[-1:])
    for number in {1, last}:
        assert (
            b'* %d FETCH (BODY[HEADER.FIELDS (Subject "100%%d")] {20}\r\nSubject: Hello %d\r\n\r\n'
            b" BODY[HEADER.FIELDS (To)]<0> {5}\r\nTo: b)\r\n" % (number, number)
        ) in answer
    assert answer.count(b" FETCH (") == len({1, last})


async def test_news_reach_a_session_whatever_shared_memory_knows(world):
    world.mailbox.last_change = lambda: 0  # as in a process in which nobody has asked the file yet
    world.fill(1)
    client = await world.inbox()
    world.fill(1)
    assert b"* 2 EXISTS" in await client.cmd(b"NOOP")
    assert b"* 2 FETCH (UID" in await client.cmd(b"FETCH 2 (UID)")
    world.fill(1)
    assert b"* 3 EXISTS" in await client.cmd(b"FETCH 2 (UID)")


async def test_append_and_copy_and_move(world, message):
    client = await world.inbox()
    answer = await client.cmd(
        b'APPEND INBOX (\\Seen) "01-Jan-2024 00:00:00 +0000" {%d+}\r\n%b' % (len(message), message)
    )
    assert answer == b"* 1 EXISTS\r\n* 1 RECENT\r\nOK [APPENDUID 77 6] APPEND completed\r\n"
    assert b'"01-Jan-2024 00:00:00 +0000"' in (await client.cmd(b"FETCH 1 INTERNALDATE")).replace(b'" 1', b'"01')
    assert b"OK [COPYUID 77 6 7]" in await client.cmd(b'COPY 1 "Sent Items"')
    assert b"NO [TRYCREATE]" in await client.cmd(b"COPY 1 nowhere")
    answer = await client.cmd(b'UID MOVE 6 "Deleted Items"')
    assert answer == b"* OK [COPYUID 77 6 8] Moved\r\n* 1 EXPUNGE\r\nOK MOVE completed\r\n"
    assert b"NO [TRYCREATE]" in await client.cmd(b"APPEND nowhere {1+}\r\nx")


async def test_pipelined_appends_wait_together(world):
    client = await world.inbox()
    append, under_way, most = world.mailbox.append, 0, 0

    async def slow(folder, content, *more):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        if content == b"3":
            raise Refusal(Reason.OVER_QUOTA)
        return await append(folder, content, *more)

    world.mailbox.append = slow
    data = b"".join(b"a%d APPEND INBOX {1+}\r\n%d\r\n" % (i, i) for i in range(6))
    answer = await client.raw(data + b"b APPEND nowhere {1+}\r\nx\r\nc NOOP\r\n", b"c ")
    assert most == 6
    assert answer.startswith(b"* 5 EXISTS\r\n")
    tagged = [line.split(b" ")[:2] for line in answer.splitlines() if not line.startswith(b"*")]
    assert tagged == [
        *([b"a%d" % i, b"NO" if i == 3 else b"OK"] for i in range(6)),
        [b"b", b"NO"],
        [b"c", b"OK"],
    ]


async def test_uid_expunge_and_close(world):
    world.fill(3)
    client = await world.inbox()
    await client.cmd(b"STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    assert (await client.cmd(b"UID EXPUNGE 7:9")).startswith(b"* 2 EXPUNGE\r\nOK")
    assert await client.cmd(b"CLOSE") == b"OK CLOSE completed\r\n"
    assert b"MESSAGES 1" in await client.cmd(b"STATUS INBOX (MESSAGES)")


async def test_idle_pushes_at_once(world):
    client = await world.inbox()
    assert await client.raw(b"i IDLE\r\n", b"+ ") == b"+ idling\r\n"
    (uid,) = world.fill(1)
    assert await client.until(b"* 1 RECENT") == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    other = await world.inbox()
    await other.cmd(b"UID STORE %d +FLAGS (\\Deleted)" % uid)
    await other.cmd(b"EXPUNGE")
    assert b"* 1 EXPUNGE" in await client.until(b"* 1 EXPUNGE")
    assert await client.raw(b"DONE\r\n", b"i ") == b"i OK IDLE completed\r\n"
    assert world.mailbox.wakers == []


async def test_idle_ends_badly(world):
    client = await world.inbox()
    await client.raw(b"i IDLE\r\n", b"+ ")
    assert await client.raw(b"NOOP\r\n", b"i ") == b"i BAD expected DONE\r\n"
    await client.raw(b"j IDLE\r\n", b"+ ")
    client.stream.end()
    await asyncio.wait_for(client.task, 60)
    assert world.mailbox.wakers == []


async def test_idle_keepalive(world):
    world.settings = msgspec.structs.replace(world.settings, keepalive_s=0.01)
    client = await world.inbox()
    await client.raw(b"i IDLE\r\n", b"+ ")
    assert b"* OK Still here" in await client.until(b"* OK")
    assert b"i OK" in await client.raw(b"done\r\n", b"i ")


async def test_silence_ends_the_session(world):
    world.settings = msgspec.structs.replace(world.settings, login_timeout_s=0.01)
    client = world.connect()
    await asyncio.wait_for(client.task, 60)
    assert b"* BYE [UNAVAILABLE] Nothing was heard" in client.taken()


async def test_stopping_server_says_bye(world):
    client = await world.inbox()
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    assert b"* BYE [UNAVAILABLE] The server is stopping" in client.taken()
    world.clients.remove(client)


async def test_folders(world):
    client = await world.login()
    assert b"OK" in await client.cmd(b"CREATE a/Entw&APw-rfe/")
    assert b"[ALREADYEXISTS]" in await client.cmd(b"CREATE a")
    answer = await client.cmd(b'LIST "" a*')
    assert answer.startswith(b'* LIST (\\HasChildren) "/" "a"\r\n* LIST (\\HasNoChildren) "/" "a/Entw&APw-rfe"\r\n')
    assert b"[HASCHILDREN]" in await client.cmd(b"DELETE a")
    assert b"OK" in await client.cmd(b"RENAME a/Entw&APw-rfe b/c")
    assert b'"b/c"' in await client.cmd(b"LIST b/ %")
    assert b"[CANNOT]" in await client.cmd(b"RENAME b b/c/d")
    assert b"[CANNOT]" in await client.cmd(b"CREATE a//b")
    assert b"[NOPERM]" in await client.cmd(b"DELETE INBOX")
    assert b"[NONEXISTENT]" in await client.cmd(b"SUBSCRIBE nowhere")
    await client.cmd(b"SUBSCRIBE b/c")
    assert b'* LSUB (\\Noselect) "/" "b"' in await client.cmd(b'LSUB "" %')
    assert b'* LSUB () "/" "b/c"' in await client.cmd(b'LSUB "" *')
    answer = await client.cmd(b'LIST (SUBSCRIBED RECURSIVEMATCH) "" b')
    assert b'* LIST (\\HasChildren) "/" "b" ("CHILDINFO" ("SUBSCRIBED"))' in answer
    assert b"Calendar" not in await client.cmd(b'LIST "" *')
    assert await client.cmd(b'LIST "" ""') == b'* LIST (\\Noselect) "/" ""\r\nOK LIST completed\r\n'
    answer = await client.cmd(b'LIST (SPECIAL-USE) "" *')
    assert answer.count(b"* LIST") == 2


async def test_renaming_inbox_moves_its_messages(world):
    world.fill(2)
    client = await world.login()
    assert b"OK" in await client.cmd(b"RENAME INBOX archive/2024")
    assert b"MESSAGES 2" in await client.cmd(b"STATUS archive/2024 (MESSAGES)")
    assert b"MESSAGES 0" in await client.cmd(b"STATUS inbox (MESSAGES)")


async def test_other_users_folders(world, message):
    world.fill(3)
    desk = world.others["desk@example.org"] = FakeMailbox()
    client = await world.inbox()
    assert b'NAMESPACE (("" "/")) (("Other Users/" "/")) NIL' in await client.cmd(b"NAMESPACE")
    assert b'"Other Users/desk@example.org/Sent Items"' in await client.cmd(b'LIST "" *')
    answer = await client.cmd(b'LIST "" %')
    assert b'(\\Noselect \\HasChildren) "/" "Other Users"\r\n' in answer
    assert b"desk@" not in answer
    await client.cmd(b"STORE 2 +FLAGS.SILENT ($late \\Seen)")
    inbox = b'"Other Users/desk@example.org/inbox"'
    assert b"OK [COPYUID 77 7 6] COPY" in await client.cmd(b"COPY 2 " + inbox)
    answer = await client.cmd(b"UID MOVE 6:7 " + inbox)
    assert answer.startswith(b"* OK [COPYUID 77 6:7 7:8] Moved\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nOK")
    assert desk.durable_calls == 2
    assert b"* 3 EXISTS" in await client.cmd(b"SELECT " + inbox)
    assert b"FLAGS (\\Seen \\Recent $late)" in await client.cmd(b"FETCH 1 FLAGS")
    await client.raw(b"i IDLE\r\n", b"+ ")
    desk.deliver(desk.by_name("INBOX"), message)
    assert b"* 4 EXISTS" in await client.until(b"* 4 EXISTS")
    await client.raw(b"DONE\r\n", b"i ")
    assert b"OK" in await client.cmd(b'CREATE "Other Users/desk@example.org/cases/open"')
    assert b"[CANNOT]" in await client.cmd(b'RENAME "Other Users/desk@example.org/cases" cases')
    assert b"[NONEXISTENT]" in await client.cmd(b'SELECT "Other Users/boss@example.org/INBOX"')
    assert b"[NOPERM]" in await client.cmd(b'CREATE "Other Users"')


async def test_copying_to_another_mailbox_is_all_or_nothing(world):
    world.fill(3)
    desk = world.others["desk@example.org"] = FakeMailbox()
    client = await world.inbox()
    append, count = desk.append, 0

    async def full_after_two(*arguments):
        nonlocal count
        count += 1
        if count > 2:
            raise Refusal(Reason.OVER_QUOTA)
        return await append(*arguments)

    desk.append = full_after_two
    assert b"NO [OVERQUOTA]" in await client.cmd(b'MOVE 1:3 "Other Users/desk@example.org/INBOX"')
    assert not desk.messages[desk.by_name("INBOX")]
    assert b"MESSAGES 3" in await client.cmd(b"STATUS INBOX (MESSAGES)")


async def test_searching(world):
    world.fill(12)
    client = await world.inbox()
    await client.cmd(b"STORE 2:3 +FLAGS.SILENT ($x \\Seen)")
    assert b"* SEARCH 2 3\r\n" in await client.cmd(b"SEARCH KEYWORD $X")
    assert b"* SEARCH 7 8\r\n" in await client.cmd(b"UID SEARCH 1:5 SEEN")
    assert b"* SEARCH\r\n" in await client.cmd(b"SEARCH NOT 1:*")
    assert b"UID MIN 6 MAX 17 COUNT 12" in await client.cmd(b"UID SEARCH RETURN (MIN MAX COUNT) ALL")
    assert b"* SEARCH 2 3 (MODSEQ " in await client.cmd(b"SEARCH SEEN MODSEQ 1")
    assert b"* SEARCH 1 2" in await client.cmd(b"SEARCH RECENT")
    assert b"NO [BADCHARSET (US-ASCII UTF-8)]" in await client.cmd(b"SEARCH CHARSET X-Y ALL")
    assert b"* ESEARCH (TAG " in await client.cmd(b"SEARCH RETURN () SUBJECT nothing")


async def test_bad_input_leaves_the_session_alive(world):
    client = await world.inbox()
    for command in (
        b"X" * 100_000,
        b"CREATE {99999999+}"[:8] + b"{100000+}\r\n" + b"z" * 100_000,
        b"SEARCH " + b"(" * 5000,
        b'LOGIN "\xff\xfe" x',
        b"SELECT gr\xc3\xbcn",
        b"SEARCH SUBJECT {2+}\r\n\xff\xfe",
        b"FETCH 1:99 FLAGS",
        b"",
    ):
        assert b"BAD" in await client.cmd(command)
    assert b"NO [TOOBIG]" in await client.raw(b"q APPEND INBOX {99999999}\r\n", b"q ")
    assert b"OK NOOP" in await client.cmd(b"NOOP")


async def test_too_many_bad_commands_end_it(world):
    client = await world.login()
    client.stream.send(b"x NONSENSE\r\n" * 100)
    await asyncio.wait_for(client.task, 60)
    answer = client.taken()
    assert answer.count(b"x BAD") == 30
    assert answer.endswith(b"* BYE Too many bad commands\r\n")


@pytest.mark.parametrize("reason", list(Reason))
async def test_refusals_are_answered(world, reason):
    client = await world.login()
    world.mailbox.refuse = reason
    assert (await client.cmd(b"CREATE x")).startswith(b"NO [")


async def test_bug_ends_the_session_without_detail(world, caplog):
    client = await world.inbox()
    world.mailbox.search = None
    client.stream.send(b"a SEARCH SEEN\r\n")
    await asyncio.wait_for(client.task, 60)
    assert client.taken() == b"* BYE [SERVERBUG] Internal error\r\n"
    assert "Traceback" in caplog.text


async def test_a_silent_store_of_nothing_does_not_hide_what_another_does_meanwhile(world):
    world.fill(1)
    one, two = await world.inbox(), await world.inbox()
    mailbox = world.mailbox
    set_flags = mailbox.set_flags

    async def overtaken(folder, ranges, change, unchanged_since=None):
        mailbox.set_flags = set_flags
        await one.cmd(b"STORE 1 +FLAGS (\\Flagged)")
        return await set_flags(folder, ranges, change, unchanged_since)

    await two.cmd(b"STORE 1 +FLAGS (\\Seen)")
    await two.cmd(b"NOOP")
    mailbox.set_flags = overtaken
    answer = await two.cmd(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    assert b"\\Flagged" in answer + await two.cmd(b"NOOP")


async def test_pipelined_fetches_of_one_message_each_see_every_change(world):
    world.fill(5)
    client = await world.inbox()
    commands = [b"a%d FETCH %d (UID FLAGS BODY.PEEK[])\r\n" % (n, n) for n in range(1, 6)]
    commands[2:2] = [b"s STORE 4 +FLAGS.SILENT (\\Flagged)\r\n"]
    client.stream.send(b"".join(commands))
    answer = await client.until(b"a5 OK")
    for n in range(1, 6):
        assert answer.count(b"* %d FETCH (UID" % n) == 1
    assert b"\\Flagged" in answer.split(b"* 4 FETCH (UID")[1].split(b"BODY[]")[0]


async def test_a_broken_neighbour_does_not_spoil_a_pipelined_fetch(world):
    world.fill(4)
    client = await world.inbox()
    mailbox = world.mailbox
    read_bodies = mailbox.read_bodies

    async def only_one(refs):
        if len(refs) > 1:
            raise Refusal(Reason.CORRUPT, "another body")
        return await read_bodies(refs)

    mailbox.read_bodies = only_one
    client.stream.send(b"".join(b"a%d FETCH %d BODY.PEEK[]\r\n" % (n, n) for n in range(1, 5)))
    answer = await client.until(b"a4 ")
    assert answer.count(b" FETCH (BODY[] {") == 4


async def test_a_search_for_all_is_what_is_there_at_that_moment(world):
    world.fill(4)
    one, two = await world.inbox(), await world.inbox()
    assert b"* SEARCH 1 2 3 4\r\n" in await one.cmd(b"SEARCH ALL")
    await two.cmd(b"STORE 2 +FLAGS (\\Deleted)")
    await two.cmd(b"EXPUNGE")
    assert b"* SEARCH 1 3 4\r\n" in await one.cmd(b"SEARCH ALL"), "its number is still in use"
    world.fill(1)
    answer = await one.cmd(b"UID SEARCH ALL")
    assert b"* 2 EXPUNGE\r\n" in answer and b"* 5 EXISTS\r\n" in answer
    uids = answer.split(b"* SEARCH ")[1].split(b"\r\n")[0].split()
    assert len(uids) == 4
    assert b"* SEARCH 1 2 3 4\r\n" in await one.cmd(b"SEARCH ALL")
    assert b"* SEARCH " + uids[0] + b" " + uids[3] + b"\r\n" in await one.cmd(b"UID SEARCH OR 1 4")


@pytest.mark.parametrize("between", [False, True])
async def test_an_expunge_tells_what_another_does_meanwhile_too(world, between):
    world.fill(4)
    one, two = await world.inbox(), await world.inbox()
    mailbox = world.mailbox
    expunge = mailbox.expunge

    async def overtaken(folder, ranges, **more):
        mailbox.expunge = expunge
        await two.cmd(b"STORE 4 +FLAGS (\\Flagged)")
        return await expunge(folder, ranges, **more)

    await one.cmd(b"STORE 1,3 +FLAGS (\\Deleted)")
    await one.cmd(b"NOOP")
    if between:
        mailbox.expunge = overtaken
    answer = await one.cmd(b"EXPUNGE")
    assert b"* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n" in answer
    assert (b"\\Flagged" in answer + await one.cmd(b"NOOP")) is between
    assert b"* SEARCH 1 2\r\n" in await one.cmd(b"SEARCH ALL")
    assert b"* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n" in await two.cmd(b"NOOP")


async def test_news_of_too_many_folders_are_ended_and_the_client_is_told(world, monkeypatch):
    watching, maker = await world.login(), await world.login()
    assert b"OK" in await watching.cmd(b"NOTIFY SET (personal (MailboxName))")
    count = (await maker.cmd(b'LIST "" "*"')).count(b"* LIST")
    monkeypatch.setattr("postern.frontends.imap.notify.MAX_FOLDERS", count)
    assert b"OK" in await maker.cmd(b"CREATE More")
    assert b"More" in await watching.until(b"* OK [NOTIFICATIONOVERFLOW]")
    assert b"OK" in await maker.cmd(b"CREATE Again")
    assert b"LIST" not in await watching.cmd(b"NOOP")
    answer = await watching.cmd(b"NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
    assert b"[NOTIFICATIONOVERFLOW]" in answer and b"OK NOTIFY" in answer


@pytest.mark.parametrize("complete", [True, False])
async def test_what_leaves_while_a_folder_is_selected_anew_is_not_counted(world, complete):
    """Neither what the client knew, which is told as gone, nor what came after it and is told nowhere."""
    world.fill(3)
    inbox = next(iter(world.mailbox.messages))
    first, second, third = sorted(world.mailbox.messages[inbox])
    known = world.mailbox.number
    await world.mailbox.expunge(inbox, [(first, first)], only_deleted=False)
    world.fill(2)
    came, stays = sorted(world.mailbox.messages[inbox])[-2:]
    asked = world.mailbox.changes

    async def changes(folder, since):
        for uid in (second, came):
            if uid in world.mailbox.messages[inbox]:
                await world.mailbox.expunge(inbox, [(uid, uid)], only_deleted=False)
        return await asked(folder, since)

    if not complete:
        world.mailbox.horizon = known + 1
    client = await world.login()
    await client.cmd(b"ENABLE QRESYNC")
    world.mailbox.changes = changes
    answer = await client.cmd(b"SELECT INBOX (QRESYNC (77 %d))" % known)
    assert b"* 2 EXISTS" in answer
    # who forgets the tombstones tells all numbers below UIDNEXT that nothing has
    gone = (first, second, came) if complete else (*range(1, third), *range(third + 1, stays))
    assert b"* VANISHED (EARLIER) %b\r\n" % render(gone) in answer
    assert b"* 2 FETCH (UID %d " % stays in answer and b"UID %d " % came not in answer
    assert b"VANISHED" not in await client.cmd(b"NOOP")
    assert b"* SEARCH %d %d\r\n" % (third, stays) in await client.cmd(b"UID SEARCH ALL")


async def test_what_leaves_between_two_looks_of_a_fetch_is_told_afterwards(world):
    world.fill(3)
    inbox = next(iter(world.mailbox.messages))
    first, second, _ = sorted(world.mailbox.messages[inbox])
    client = await world.login()
    await client.cmd(b"ENABLE QRESYNC")
    await client.cmd(b"SELECT INBOX")
    known = world.mailbox.number
    await world.mailbox.expunge(inbox, [(first, first)], only_deleted=False)
    await client.cmd(b"NOOP")
    asked = world.mailbox.changes

    async def changes(folder, since):
        if second in world.mailbox.messages[inbox]:
            await world.mailbox.expunge(inbox, [(second, second)], only_deleted=False)
        return await asked(folder, since)

    world.mailbox.changes = changes
    answer = await client.cmd(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % known)
    assert b"* VANISHED (EARLIER) %d\r\n" % first in answer
    assert b"* VANISHED %d\r\n" % second in answer


async def test_flags_of_many_are_told_with_turns_for_others_in_between(world, monkeypatch):
    monkeypatch.setattr(selected, "TOLD_AT_A_TIME", 2)
    world.fill(5)
    client, other = await world.inbox(), await world.inbox()
    turns, seen = 0, []

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    lines = SelectedFolder._flag_lines

    def told(folder, found, **more):
        seen.append(turns)
        return lines(folder, found, **more)

    monkeypatch.setattr(SelectedFolder, "_flag_lines", told)
    at_work = asyncio.create_task(others())
    answer = await client.cmd(b"STORE 1:* +FLAGS (\\Seen $new)")
    told_of = [line.split()[1] for line in answer.split(b"\r\n") if b" FETCH (FLAGS (" in line]
    assert told_of == [b"1", b"2", b"3", b"4", b"5"]
    assert answer.count(b"* FLAGS (") == 1 and b"$new" in answer.split(b"* 1 FETCH")[1].split(b"\r\n")[0]
    assert len(set(seen)) == 3, "each two messages in a turn of their own"
    seen.clear()
    assert (await other.cmd(b"NOOP")).count(b"$new") >= 5 and len(set(seen)) == 3
    at_work.cancel()
