"""The embedded directory's groups, contacts, aliases and proxy addresses: writing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from postern.directory import filtering
from postern.directory.administration import AdministrationTables
from postern.directory.book import AddressBookTables
from postern.directory.objects import Alias, Contact, Group
from postern.directory.resolving import CONTACTS, Resolving
from postern.model import filters
from postern.model.addresses import check, normalise, split
from postern.model.ids import AccountId
from postern.model.refusal import Reason, Refusal


class RecipientTables(Resolving, AddressBookTables, AdministrationTables):
    """Whoever has no mailbox, and every further address."""

    def _free_address(self, address: str, *, elsewhere: bool = False) -> str:
        """Key form of an address that nothing has yet and whose domain is ours."""
        key = check(address)
        domain = split(key)[1]
        if not elsewhere and not self._row("SELECT 1 FROM domains WHERE name = ?", (domain,)):
            raise Refusal(Reason.BAD_NAME, f"{domain} is not an accepted domain of this organisation")
        if self._object_at(key) or self._alias_at(key):
            raise Refusal(Reason.ALREADY_EXISTS, f"{key} is taken")
        return key

    def _new_object(self, kind: str, key: str, display_name: str, source: int = 0) -> AccountId:
        row = self._row(
            "INSERT INTO objects (kind, address, display_name, source) VALUES (?, ?, ?, ?) RETURNING id",
            (kind, key, display_name, source),
        )
        assert row is not None
        return AccountId(row[0])

    def _delete_object(self, number: AccountId, key: str) -> None:
        gone = [key, *(address for (address,) in self._rows("SELECT address FROM proxies WHERE object = ?", (number,)))]
        self._db.execute("DELETE FROM folder_permissions WHERE grantee = ?", (number,))
        for alias, targets in self._rows("SELECT address, targets FROM aliases"):
            listed = json.loads(targets)
            left = [target for target in listed if target not in gone]
            if left == listed:
                continue
            if left:
                self._db.execute("UPDATE aliases SET targets = ? WHERE address = ?", (json.dumps(left), alias))
            else:
                self._db.execute("DELETE FROM aliases WHERE address = ?", (alias,))
                gone.append(alias)
        for address in gone:
            self._db.execute("DELETE FROM members WHERE address = ?", (address,))
        self._db.execute("DELETE FROM objects WHERE id = ?", (number,))
        self._next_generation("rights")

    def _rename_object(self, number: int, old: str, new: str, *, keep: bool = True) -> None:
        """A new primary address; what pointed to the old one (groups, aliases) points to the new one."""
        self._db.execute("UPDATE objects SET address = ? WHERE id = ?", (new, number))
        self._db.execute("UPDATE OR REPLACE members SET address = ? WHERE address = ?", (new, old))
        self._db.execute("UPDATE details SET manager = ? WHERE manager = ?", (new, old))
        for name, targets in self._rows("SELECT address, targets FROM aliases WHERE instr(targets, ?)", (old,)):
            listed = json.loads(targets)
            if old in listed:
                renamed = [new if target == old else target for target in listed]
                self._db.execute("UPDATE aliases SET targets = ? WHERE address = ?", (json.dumps(renamed), name))
        if keep:
            self._db.execute("INSERT INTO proxies VALUES (?, ?)", (old, number))

    # --- aliases and proxy addresses
    async def put_alias(self, alias: Alias) -> None:
        """Make or replace an alias. One that leads to one recipient of ours is its proxy address."""
        targets = list(dict.fromkeys(check(target) for target in alias.targets))
        if not targets:
            raise Refusal(Reason.BAD_VALUE, "an alias needs at least one target")
        with self._writing():
            key = check(alias.address)
            held = self._row("SELECT object FROM proxies WHERE address = ?", (key,))
            if held:
                self._check_own(held[0])
            elif not self._alias_at(key):
                key = self._free_address(alias.address)
            if key in targets:
                raise Refusal(Reason.LOOP, f"{key} would be an alias of itself")
            self._db.execute("DELETE FROM proxies WHERE address = ?", (key,))
            self._db.execute("DELETE FROM aliases WHERE address = ?", (key,))
            row = self._row("SELECT id FROM objects WHERE address = ?", (targets[0],)) if len(targets) == 1 else None
            if row is not None:
                self._db.execute("INSERT INTO proxies VALUES (?, ?)", (key, row[0]))
            else:
                self._db.execute("INSERT INTO aliases VALUES (?, ?)", (key, json.dumps(targets)))

    async def delete_alias(self, address: str) -> None:
        """Remove an alias or proxy address."""
        key = normalise(address)
        with self._writing():
            held = self._row("SELECT object FROM proxies WHERE address = ?", (key,))
            if held:
                self._check_own(held[0])
                self._db.execute("DELETE FROM proxies WHERE address = ?", (key,))
                return
            self._db.execute("DELETE FROM aliases WHERE address = ?", (key,))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such alias: {address}")

    async def put_proxy(self, address: str, proxy: str, *, present: bool = True) -> None:
        """Give an account, contact or group another address, or take it away."""
        with self._writing():
            number = self._object_id(address)
            if present:
                self._db.execute("INSERT INTO proxies VALUES (?, ?)", (self._free_address(proxy), number))
                return
            self._db.execute("DELETE FROM proxies WHERE address = ? AND object = ?", (normalise(proxy), number))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"{address} has no address {proxy}")

    # --- contacts
    async def put_contact(
        self, address: str, *, target: str | None = None, display_name: str | None = None, hidden: bool | None = None
    ) -> Contact:
        """Make a contact, or change one."""
        key = check(address)
        with self._writing():
            found = self._object_at(key)
            if found is None:
                goal = check(target or address)
                ours = self._row("SELECT 1 FROM domains WHERE name = ?", (split(key)[1],))
                if ours and goal == key:
                    raise Refusal(Reason.LOOP, f"{key} is an address of ours: say where its mail goes")
                if not ours and goal != key:
                    raise Refusal(Reason.BAD_NAME, f"{split(key)[1]} is not an accepted domain of this organisation")
                number = self._new_object(
                    "contact", self._free_address(address, elsewhere=not ours), display_name or split(goal)[0]
                )
                self._db.execute("INSERT INTO contacts VALUES (?, ?)", (number, goal))
            elif found[1] != "contact":
                raise Refusal(Reason.ALREADY_EXISTS, f"{key} is taken")
            else:
                number = AccountId(found[0])
                self._check_own(number)
                if target is not None:
                    self._db.execute("UPDATE contacts SET target = ? WHERE id = ?", (check(target), number))
                if display_name is not None:
                    self._db.execute("UPDATE objects SET display_name = ? WHERE id = ?", (display_name, number))
            if hidden is not None:
                self._db.execute("UPDATE objects SET hidden = ? WHERE id = ?", (int(hidden), number))
        return self._existing_contact(key)

    def _existing_contact(self, address: str) -> Contact:
        found = self._object_at(normalise(address))
        row = self._row(f"{CONTACTS} WHERE o.id = ?", (found[0],)) if found else None
        if row is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such contact: {address}")
        return self._contact_of(row)

    async def delete_contact(self, address: str) -> None:
        """Remove a contact."""
        with self._writing():
            contact = self._existing_contact(address)
            self._check_own(contact.id)
            self._delete_object(contact.id, contact.address)

    # --- groups
    async def put_group(
        self,
        address: str,
        *,
        display_name: str | None = None,
        authenticated_only: bool | None = None,
        owner: str | None = None,
        filter: str | None = None,
        hidden: bool | None = None,
    ) -> Group:
        """Make a group, or change one."""
        key = check(address)
        wanted = filters.render(filtering.check(filters.parse(filter))) if filter else filter
        with self._writing():
            group = self._group_at(key)
            if group is None:
                number = self._new_object("group", self._free_address(address), display_name or split(key)[0])
                self._db.execute("INSERT INTO groups (id, authenticated_only, owner) VALUES (?, 0, '')", (number,))
            else:
                number = group.id
                self._check_own(number)
            if display_name is not None:
                self._db.execute("UPDATE objects SET display_name = ? WHERE id = ?", (display_name, number))
            if hidden is not None:
                self._db.execute("UPDATE objects SET hidden = ? WHERE id = ?", (int(hidden), number))
            if authenticated_only is not None:
                self._db.execute(
                    "UPDATE groups SET authenticated_only = ? WHERE id = ?", (int(authenticated_only), number)
                )
            if owner is not None:
                self._db.execute("UPDATE groups SET owner = ? WHERE id = ?", (check(owner) if owner else "", number))
            if wanted is not None:
                self._set_filter(number, key, wanted)
        return self._existing_group(key)

    def _set_filter(self, number: int, key: str, wanted: str) -> None:
        if wanted and self._row(
            "SELECT 1 FROM recipient_permissions WHERE grantee = ?1 UNION ALL"
            " SELECT 1 FROM folder_permissions WHERE grantee = ?1 UNION ALL"
            " SELECT 1 FROM role_assignments WHERE grantee = ?1",
            (number,),
        ):
            raise Refusal(Reason.CONFLICT, f"{key} holds rights or roles, which dynamic groups cannot have")
        if wanted:
            self._db.execute("DELETE FROM members WHERE grp = ?", (number,))
        self._db.execute("UPDATE groups SET filter = ? WHERE id = ?", (wanted, number))
        self._next_generation("rights")

    def _existing_group(self, address: str) -> Group:
        found = self._object_at(normalise(address))
        group = self._group_numbered(found[0]) if found else None
        if group is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such group: {address}")
        return group

    async def set_members(self, address: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Group:
        """Change who is in a group."""
        with self._writing():
            group = self._existing_group(address)
            self._check_own(group.id)
            if group.filter:
                raise Refusal(Reason.CONFLICT, f"{group.address} is dynamic: its filter {group.filter} says who is in")
            for member in remove:
                self._db.execute("DELETE FROM members WHERE grp = ? AND address = ?", (group.id, normalise(member)))
            for member in add:
                key = check(member)
                if key == group.address:
                    raise Refusal(Reason.LOOP, f"{key} would be a member of itself")
                self._db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (group.id, key))
            if remove:
                self._next_generation("rights")
        return self._existing_group(address)

    async def delete_group(self, address: str) -> None:
        """Remove a group with its aliases, memberships and permissions."""
        with self._writing():
            group = self._existing_group(address)
            self._check_own(group.id)
            self._delete_object(group.id, group.address)
