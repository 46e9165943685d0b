"""STORE (RFC 9051 6.4.6), conditional (RFC 7162 3.1.3)."""

from __future__ import annotations

from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.selected import SelectedFolder
from postern.model.ids import ChangeNumber
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import sequence
from postern.protocols.imap.commands.store import Store
from postern.services.mailboxes import FlagChange


def writable(selected: SelectedFolder) -> None:
    """Raises Refusal(NOT_PERMITTED) in a folder opened with EXAMINE."""
    if selected.read_only:
        raise Refusal(Reason.NOT_PERMITTED, "opened read-only")
    if selected.gone:
        raise Refusal(Reason.NO_SUCH_FOLDER, "deleted meanwhile")


async def ranges_of(connection: Connection, messages: sequence.SequenceSet, *, uid: bool) -> list[tuple[int, int]]:
    """UID ranges of a command's messages. UID commands look for news first; numbers mean what was told."""
    selected = connection.view
    if messages is sequence.SAVED:
        await selected.sync(connection.out, expunge=uid)
        return merged((saved, saved) for saved in connection.saved or () if selected.number(saved))
    if uid:
        await selected.sync(connection.out, expunge=True)
        return sequence.uids_to_uids(messages, selected.uids)
    return sequence.sequence_to_uids(messages, selected.uids)


async def store(connection: Connection, arguments: Store, uid: bool) -> bytes:
    """Flags of many messages in one commit."""
    selected = connection.view
    writable(selected)
    said = len(connection.out)
    ranges = await ranges_of(connection, arguments.messages, uid=uid)
    since = arguments.unchanged_since
    if since is not None:
        enable_condstore(connection)
    if not ranges:
        return b"OK STORE completed"
    if not uid:
        await selected.sync(connection.out, expunge=False)
    quiet = len(connection.out) == said
    system, keywords = arguments.flags
    # what a silent change made of each message is wanted only where its echo has to be known among others
    untold = arguments.silent and not selected.condstore and not selected.told and selected.contexts is None
    if arguments.mode == b"-":
        change = FlagChange(remove=system, remove_keywords=keywords, untold=untold)
    else:
        change = FlagChange(add=system, add_keywords=keywords, replace=not arguments.mode, untold=untold)
    result = await selected.mailbox.set_flags(
        selected.folder, ranges, change, None if since is None else ChangeNumber(since)
    )
    connection.changed(selected.mailbox)
    if not arguments.silent or selected.condstore:
        connection.out.append(
            await selected.flag_responses(result.changed, with_uid=uid, with_flags=not arguments.silent)
        )
    if quiet or not arguments.silent:
        # otherwise others' news came with this answer: a client that had made the silent change in its own copy
        # before has now lost it there, so that it has to be told the flags as they are
        selected.own(result, silent=arguments.silent)
    if result.failed:
        failed = [n for n in ((u if uid else selected.number(u)) for u in result.failed) if n]
        if failed:
            return b"OK [MODIFIED %b] Conditional STORE failed for some" % sequence.render(failed)
    return b"OK STORE completed"
