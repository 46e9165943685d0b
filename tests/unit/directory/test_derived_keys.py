"""Keys that mechanisms keep of a password: gone with it, and with the account."""

from __future__ import annotations

from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemClock, SystemEntropy


async def test_derived_keys_go_with_the_password_they_are_of(tmp_path):
    directory = SqliteDirectory(tmp_path / "directory.db", SystemEntropy(), SystemClock())
    await directory.put_domain(Domain("example.org"))
    anna, bert = await directory.create_accounts([NewAccount("anna@example.org"), NewAccount("bert@example.org")])
    await directory.put_derived_keys(anna.id, {"nt": b"1", "digest-md5 mail": b"2"})
    await directory.put_derived_keys(bert.id, {"nt": b"3"})
    await directory.put_derived_keys(anna.id, {"nt": b"4"})
    assert await directory.derived_key(anna.id, "nt") == b"4"
    assert await directory.derived_key(anna.id, "digest-md5 mail") == b"2"
    assert await directory.derived_key(anna.id, "digest-md5 other") is None
    await directory.drop_derived_key(anna.id, "digest-md5 mail")
    assert await directory.derived_key(anna.id, "digest-md5 mail") is None
    assert await directory.derived_key(anna.id, "nt") == b"4"
    await directory.set_password(anna.id, *new_credentials("another one", SystemEntropy(), CHEAP))
    assert await directory.derived_key(anna.id, "nt") is None
    await directory.delete_account("bert@example.org")
    assert await directory.derived_key(bert.id, "nt") is None
    await directory.close()
