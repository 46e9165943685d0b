"""Who knows NT hashes: our own directory, for accounts that an administrator lets use NTLM."""

from __future__ import annotations

import hmac

from postern.directory.interface import Account, Directory
from postern.formats.ntlm import keys
from postern.formats.ntlm.messages import Authenticate
from postern.model.ports import Entropy
from postern.services.login_names import LoginNames
from postern.services.mechanisms.ntlm import Known, Verifier

KIND = "nt"
"""Of derived keys (`Directory.derived_key`)."""


class DirectoryHashes:
    """Accounts with a stored NT hash; others are `elsewhere`'s, such as a domain's."""

    def __init__(
        self,
        directory: Directory,
        names: LoginNames,
        entropy: Entropy,
        elsewhere: Verifier | None = None,
        domain: str = "",
    ) -> None:
        """`domain`: NetBIOS name of the domain whose users are ours even if the directory does not know them so."""
        self._names = names
        self._domain = domain.upper()
        self._directory = directory
        self._decoy = entropy.token(keys.NT_HASH_BYTES)
        self._elsewhere = elsewhere

    async def login(self, message: Authenticate) -> str:
        """See `Verifier`."""
        account = await self._account(message)
        return account.address if account is not None else written(message)

    async def verify(self, message: Authenticate, challenge: bytes) -> Known | str:
        """See `Verifier`. An unknown user costs and answers what a wrong password does."""
        account = await self._account(message)
        hashed = await self._directory.derived_key(account.id, KIND) if account is not None else None
        if hashed is None and self._elsewhere is not None:
            return await self._from_elsewhere(await self._elsewhere.verify(message, challenge), message)
        key = keys.response_key(hashed or self._decoy, message.user, message.domain)
        right = hmac.compare_digest(keys.proof(key, challenge, message.blob), message.proof)
        if account is None:
            return "no such account"
        if hashed is None:
            return "the account has no NT hash: postern mailbox ntlm allows it"
        if not right:
            return "wrong password"
        return Known(account.address, keys.session_base_key(key, message.proof))

    async def _from_elsewhere(self, answer: Known | str, message: Authenticate) -> Known | str:
        """Whose account a user of a domain has. One of a trusted domain is nobody here unless the directory says so."""
        if isinstance(answer, str):
            return answer
        account = await self._directory.login(written(message))
        mail_domain = self._names.mail_domain(message.domain)
        if account is None and mail_domain:
            account = await self._directory.login(f"{message.user}@{mail_domain}")
        elif account is None and message.domain.upper() in {"", self._domain}:
            account = await self._account(message)
        return Known(account.address, answer.base_key) if account is not None else "right, but no account here"

    async def _account(self, message: Authenticate) -> Account | None:
        """`user@domain`, or a user of the domain named beside it, which is one of ours or of a directory's."""
        user, domain = message.user, message.domain
        if "@" in user:
            names = [user]
        else:
            names = [*self._names.spellings(written(message)), f"{user}@{domain}"] if domain else []
            names += [f"{user}@{one.name}" for one in await self._directory.domains()]
        for name in names:
            account = await self._directory.login(name)
            if account is not None:
                return None if account.shared else account
        return None


def written(message: Authenticate) -> str:
    """A name as the client wrote it."""
    return f"{message.domain}\\{message.user}" if message.domain else message.user
