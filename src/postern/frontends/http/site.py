"""Virtual directories: which application answers below which path, and whom it lets in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from postern.frontends.http.asgi import Answer, Application


class Access(msgspec.Struct, frozen=True):
    """Who may call an application, and how they prove who they are."""

    anonymous: bool = False
    """Nobody needs to sign in; whoever does so is known all the same."""
    mechanisms: frozenset[str] | None = None
    """In small letters: of the listener's mechanisms only these; None: all."""
    browser: bool = False
    """A browser that asks for a page is sent to the sign-in form instead of being asked for a password."""
    body_bytes: int | None = None
    """Largest body; None: the listener's limit."""
    budgeted: bool = True
    """Requests count against the budget of whoever signed in."""

    def takes(self, mechanism: str) -> bool:
        """Whether a mechanism may be used here."""
        return self.mechanisms is None or mechanism.lower() in self.mechanisms


ANYBODY = Access(anonymous=True, mechanisms=frozenset())


class Mount(msgspec.Struct, frozen=True):
    """One virtual directory."""

    prefix: str
    """`/EWS`: without a slash at its end; empty for the root. Compared without case, as IIS does."""
    application: Application
    access: Access = Access()
    exact: bool = False
    """Nothing below it."""
    busy: Callable[[float], Answer] | None = None
    """What is answered over budget, given the seconds to wait, in the protocol's own words; None: 503 by itself."""


class Site:
    """The virtual directories of a listener."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._mounts = {mount.prefix.lower(): mount for mount in mounts}

    def find(self, path: str) -> Mount | None:
        """The mount with the longest prefix; None if nobody answers there."""
        prefix = path.lower().rstrip("/")
        whole = prefix
        while True:
            mount = self._mounts.get(prefix)
            if mount is not None and (prefix == whole or not mount.exact):
                return mount
            if not prefix or not prefix.startswith("/"):
                return None
            prefix = prefix.rpartition("/")[0]
