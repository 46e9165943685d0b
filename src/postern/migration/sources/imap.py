"""Any IMAP server as a source, through IMAPClient: the account's own password, a master user, or a token.

A connection that breaks is made again, and reading goes on with the message it broke at.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from postern.migration.sources.managesieve import ScriptServer, fetch_scripts
from postern.migration.values import (
    BATCH_BYTES,
    BATCH_MESSAGES,
    SourceError,
    SourceFolder,
    SourceMessage,
    State,
    special_of,
    state_of,
)

ATTEMPTS = 5
PAUSE_S = 2.0
"""Before the second attempt; doubles with each one."""
TIMEOUT_S = 120.0
_SLICE = 2000
"""UIDs whose sizes and flags are asked for at a time."""
_BROKEN = (IMAPClient.AbortError, OSError)


class Server(NamedTuple):
    """Where, and as whom."""

    host: str
    port: int
    tls: str
    """implicit, starttls, none."""
    context: ssl.SSLContext | None
    user: str
    password: str
    master_user: str = ""
    """Signs in by SASL PLAIN with its own password and acts for `user` (RFC 4616 2)."""
    token: bool = False
    """`password` is an OAuth 2 access token (XOAUTH2)."""
    sieve_port: int = 0
    """Where its Sieve scripts are, by ManageSieve; 0: they stay there."""


class ImapSource:
    """Implements migration.values.Source."""

    def __init__(self, server: Server) -> None:
        """Raises SourceError."""
        self._server = server
        self.name = f"imap {server.user}@{server.host}:{server.port}"
        self._selected = ""
        self._client = self._retried(self._connected, first=True)

    # --- the connection

    def _connected(self) -> IMAPClient:
        server = self._server
        if server.tls == "none" and server.host not in {"localhost", "127.0.0.1", "::1"}:
            raise SourceError("a password is not sent in clear text: use --tls implicit or --tls starttls")
        client = IMAPClient(
            server.host,
            server.port,
            ssl=server.tls == "implicit",
            ssl_context=server.context,
            timeout=TIMEOUT_S,
        )
        client.normalise_times = False
        try:
            if server.tls == "starttls":
                client.starttls(server.context)
            self._sign_in(client)
        except BaseException:
            with contextlib.suppress(Exception):
                client.shutdown()
            raise
        return client

    def _sign_in(self, client: IMAPClient) -> None:
        server = self._server
        try:
            if server.token:
                client.oauth2_login(server.user, server.password)
            elif server.master_user:
                client.plain_login(server.master_user, server.password, server.user)
            else:
                client.login(server.user, server.password)
        except _BROKEN:
            raise
        except IMAPClientError as refused:
            who = server.master_user or server.user
            raise SourceError(f"{server.host} does not let {who} in: {_told(refused)}") from refused

    def _retried(self, attempt: Any, *, first: bool = False) -> Any:
        """`first`: where nobody was ever met, nobody is waited for."""
        pause = PAUSE_S
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return attempt()
            except ssl.SSLCertVerificationError as untrusted:
                raise SourceError(
                    f"the certificate of {self._server.host} cannot be trusted: {untrusted.verify_message};"
                    " name the authority's certificate with --ca FILE"
                ) from untrusted
            except _BROKEN as broken:
                if first and isinstance(broken, ssl.SSLError):
                    raise SourceError(
                        f"{self._server.host} speaks no TLS on port {self._server.port}: give --tls starttls, or the"
                        " --port for TLS"
                    ) from broken
                absent = first and isinstance(broken, ConnectionRefusedError | socket.gaierror)
                if not left or absent:
                    raise SourceError(
                        f"{self._server.host} port {self._server.port} does not answer: {_told(broken)}."
                        " Are --host, --port and --tls right?"
                    ) from broken
                time.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    def _asked(self, question: Any, folder: SourceFolder | None = None) -> Any:
        """Ask; on a broken connection, connect again, select again and ask again."""

        def attempt() -> Any:
            if self._client is None:
                self._client = self._connected()
            try:
                if folder is not None and self._selected != folder.key:
                    self._select(folder)
                return question(self._client)
            except _BROKEN:
                self._drop()
                raise
            except IMAPClientError as refused:
                raise SourceError(f"{self._server.host} refuses: {_told(refused)}") from refused

        return self._retried(attempt)

    def _select(self, folder: SourceFolder) -> None:
        found = self._client.select_folder(folder.key, readonly=True)
        if folder.generation and str(found.get(b"UIDVALIDITY", "")) != folder.generation:
            raise SourceError(f"{folder.key} was made anew on {self._server.host} meanwhile: run the import once more")
        self._selected = folder.key

    def _drop(self) -> None:
        self._selected = ""
        with contextlib.suppress(Exception):
            self._client.shutdown()
        self._client = None

    # --- the source

    def folders(self) -> Sequence[SourceFolder]:
        """All that can be selected, without the namespace's prefix."""
        listed, subscribed, prefix = self._asked(self._listed)
        found = []
        for marks, delimiter, name in listed:
            names = [mark.decode("ascii", "replace") for mark in marks]
            if {"\\noselect", "\\nonexistent"} & {mark.lower() for mark in names}:
                continue
            path = _path(name, _text(delimiter), prefix)
            if not path or "\\all" in {mark.lower() for mark in names}:
                continue  # Gmail's view of everything would double each message
            status = self._asked(lambda client, name=name: client.folder_status(name, ["MESSAGES", "UIDVALIDITY"]))
            found.append(
                SourceFolder(
                    name,
                    path,
                    str(status.get(b"UIDVALIDITY", "")),
                    special_of(path, names),
                    name in subscribed or path == ("INBOX",),
                    int(status.get(b"MESSAGES", 0)),
                )
            )
        return sorted(found, key=lambda folder: (folder.path != ("INBOX",), len(folder.path), folder.path))

    @staticmethod
    def _listed(client: IMAPClient) -> tuple[list[Any], set[str], str]:
        prefix = ""
        if client.has_capability("NAMESPACE"):
            personal = client.namespace().personal
            prefix = _text(personal[0][0]) if personal else ""
        listed = client.list_folders(pattern=prefix + "*")
        if prefix and not any(name.upper() == "INBOX" for _, _, name in listed):
            listed = [*client.list_folders(pattern="INBOX"), *listed]
        subscribed = {name for _, _, name in client.list_sub_folders(pattern="*")}
        return listed, subscribed, prefix

    def messages(self, folder: SourceFolder, known: Container[str]) -> Iterator[Sequence[SourceMessage]]:
        """By UID, ascending."""
        uids = self._asked(lambda client: client.search("ALL"), folder)
        wanted = [uid for uid in sorted(uids) if str(uid) not in known]
        for start in range(0, len(wanted), _SLICE):
            part = wanted[start : start + _SLICE]
            sizes = self._asked(lambda client, part=part: client.fetch(part, ["RFC822.SIZE"]), folder)
            batch: list[int] = []
            octets = 0
            for uid in part:
                if uid not in sizes:
                    continue  # expunged meanwhile
                size = int(sizes[uid][b"RFC822.SIZE"])
                if batch and (octets + size > BATCH_BYTES or len(batch) >= BATCH_MESSAGES):
                    yield self._fetched(folder, batch)
                    batch, octets = [], 0
                batch.append(uid)
                octets += size
            if batch:
                yield self._fetched(folder, batch)

    def _fetched(self, folder: SourceFolder, uids: Sequence[int]) -> list[SourceMessage]:
        items = ["BODY.PEEK[]", "FLAGS", "INTERNALDATE"]
        rows = self._asked(lambda client: client.fetch(uids, items), folder)
        found = []
        for uid in uids:
            row = rows.get(uid)
            content = row.get(b"BODY[]") if row else None
            if row is None or content is None:
                continue
            date = row.get(b"INTERNALDATE")
            found.append(SourceMessage(str(uid), content, _state(row), None if date is None else int(date.timestamp())))
        return found

    def states(self, folder: SourceFolder) -> Mapping[str, State]:
        """FETCH 1:* FLAGS."""
        uids = self._asked(lambda client: client.search("ALL"), folder)
        found: dict[str, State] = {}
        for start in range(0, len(uids), _SLICE):
            part = uids[start : start + _SLICE]
            rows = self._asked(lambda client, part=part: client.fetch(part, ["FLAGS"]), folder)
            found.update({str(uid): _state(row) for uid, row in rows.items()})
        return found

    def extras(self) -> Mapping[str, bytes]:
        """Sieve scripts, which do not come by IMAP, from the ManageSieve port if there is one."""
        server = self._server
        if not server.sieve_port:
            return {}
        user, password = server.user.encode(), server.password.encode()
        if server.token:
            initial = b"user=%b\1auth=Bearer %b\1\1" % (user, password)
        elif server.master_user:
            initial = b"%b\0%b\0%b" % (user, server.master_user.encode(), password)
        else:
            initial = b"\0%b\0%b" % (user, password)
        context = None if server.tls == "none" else server.context
        mechanism = "XOAUTH2" if server.token else "PLAIN"
        return fetch_scripts(ScriptServer(server.host, server.sieve_port, context, mechanism, initial))

    def close(self) -> None:
        """Sign out."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.logout()
            self._client = None


def _path(name: str, delimiter: str, prefix: str) -> tuple[str, ...]:
    if name.upper() == "INBOX":
        return ("INBOX",)
    name = name.removeprefix(prefix)
    parts = name.split(delimiter) if delimiter else [name]
    if parts[0].upper() == "INBOX":
        parts[0] = "INBOX"
    return tuple(part for part in parts if part)


def _state(row: Mapping[bytes, Any]) -> State:
    return state_of([_text(flag) for flag in row.get(b"FLAGS", ())])


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _told(problem: BaseException) -> str:
    """A server's words, or the system's."""
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return text[2:-1] if text.startswith(("b'", 'b"')) else text
