"""What a SCRAM exchange is verified by: the password's keys, those of app passwords, or some that nobody can prove."""

from __future__ import annotations

from postern.directory import app_passwords, passwords
from postern.directory.interface import Account, Directory
from postern.directory.safeguards import Safeguards
from postern.model.credentials import ScramCredentials
from postern.model.networks import parse_address
from postern.model.ports import Clock
from postern.services.access import APP_PASSWORD_NEEDED, Bar


class ScramKeys:
    """One per worker."""

    def __init__(self, directory: Directory, clock: Clock, cost: passwords.HashCost) -> None:
        self._directory = directory
        self._clock = clock
        self._iterations = cost.scram_iterations

    async def credentials(
        self, user: str, account: Account | None, guards: Safeguards, bar: Bar | None, protocol: str, peer_address: str
    ) -> ScramCredentials:
        """For an unknown user steady ones that no proof fits; so are those where the password is not accepted.

        App passwords are taken where the password is not: SCRAM names one salt, before it knows which one will be
        proved, and theirs is another than the password's.
        """
        fake = passwords.fake_scram(user, await self._directory.secret("scram"), self._iterations)
        if account is None or account.shared:
            return fake
        found = await self._directory.scram(account.id)
        if found is not None and bar is None:
            return found
        if bar is None or bar.cause == APP_PASSWORD_NEEDED:
            address, now = parse_address(peer_address), self._clock.timestamp()
            others = tuple(
                (one.scram_stored, one.scram_server)
                for one in guards.app_passwords.values()
                if not one.refuses(protocol, address, now)
            )
            if others:
                salt = app_passwords.scram_salt(await self._directory.secret("app passwords"), account.id)
                return ScramCredentials(salt, self._iterations, fake.stored_key, fake.server_key, others)
        if found is None:
            return fake
        return ScramCredentials(found.salt, found.iterations, fake.stored_key, fake.server_key)
