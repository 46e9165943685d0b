"""A replaced certificate is taken over by a worker without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from postern.config.settings import Settings
from postern.formats.certificate import Purpose, facts, flaw, read
from postern.model.ports import Clock
from postern.net.tls import FileState, file_state
from postern.roles.instance import StartError
from postern.roles.sockets import TlsContexts, tls_contexts

LOOK_EVERY_S = 1.0


class CertificateWatch:
    """Looks at two files; one in each worker.

    New connections get the new certificate and its channel binding, open ones keep theirs. The new context has session
    ticket keys of its own: a session resumed over the change would be bound to a certificate that is no longer shown.
    """

    def __init__(
        self,
        settings: Settings,
        contexts: TlsContexts,
        use: Callable[[TlsContexts], None],
        clock: Clock,
        log: Any,
    ) -> None:
        """`contexts` are in use now; `use` is called with new ones."""
        self._settings = settings
        self._files = (settings.certificate, settings.key)
        self._seen = contexts.mail.files
        self._use = use
        self._clock = clock
        self._log = log
        self._refused: FileState | None = None
        self._told: FileState | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Take over what is new and fit. What is broken is told about when it is still so at the next look.

        (A certificate and its key are two files, replaced one after the other.)
        """
        state = file_state(*self._files)
        if state in (self._seen, self._told):
            return
        try:
            contexts, shown = self._load()
        except (OSError, ValueError, StartError) as problem:
            if state == self._refused:
                self._told = state
                self._log.error(
                    "certificate.refused",
                    certificate=str(self._files[0]),
                    reason=str(problem),
                    advice="the one before stays in use; `postern cert check` shows what is wrong",
                )
            self._refused = state
            return
        self._seen, self._refused, self._told = contexts.mail.files, None, None
        self._use(contexts)
        self._log.info("certificate.replaced", certificate=str(self._files[0]), **shown)

    def _load(self) -> tuple[TlsContexts, dict[str, object]]:
        """Raises OSError, ValueError, StartError for what clients could not use."""
        contexts = tls_contexts(self._settings)
        own = read(self._settings.certificate.read_bytes())[0]
        wrong = flaw(own, Purpose.SERVER, self._clock.now())
        if wrong is not None:
            raise ValueError(wrong.text)
        known = facts(own)
        return contexts, {"names": known.names, "fingerprint": known.fingerprint, "not_after": known.not_after}
