"""What people type as their name: an address, a login name of a directory, or Windows' `DOMAIN\\user`."""

from __future__ import annotations

from collections.abc import Mapping

from postern.directory.interface import Account, Directory


class LoginNames:
    """Whose account a written name is."""

    def __init__(self, directory: Directory, domains: Mapping[str, str] | None = None) -> None:
        """`domains`: NetBIOS name -> mail domain of its users; letter case does not matter."""
        self._directory = directory
        self._domains = {name.casefold(): domain for name, domain in (domains or {}).items()}

    async def find(self, written: str) -> Account | None:
        """The account, if there is one; a directory that knows the name as it is written comes first."""
        for name in self.spellings(written):
            account = await self._directory.login(name)
            if account is not None:
                return account
        return None

    def spellings(self, written: str) -> list[str]:
        """As it is written, and as an address: `ACME\\anna`, `example.org\\anna`, `ACME\\anna@example.org`."""
        domain, backslash, user = written.partition("\\")
        if not backslash or not user:
            return [written]
        if "@" in user:
            return [written, user]
        known = self.mail_domain(domain) or (domain if "." in domain else "")
        return [written, f"{user}@{known}"] if known else [written]

    def mail_domain(self, netbios: str) -> str:
        """What the settings say of a Windows domain; empty: nothing."""
        return self._domains.get(netbios.casefold(), "")
