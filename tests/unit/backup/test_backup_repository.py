"""A repository is valid at every moment: after kills anywhere, with any bit flipped, it says what is whole."""

import os
import random
import signal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postern.backup.checking import prune, verify
from postern.backup.crypt import Secret, WrongKeyError
from postern.backup.packs import Place, list_path, read_list, scan_pack
from postern.backup.repository import DamagedError, Opened, RepositoryError, chosen, open_repository
from postern.backup.taking import Taking
from postern.net.clock import SystemClock, SystemEntropy
from postern.store import failpoints

SECRETS = [None, Secret("file", b"0123456789abcdef" * 4), Secret("passphrase", "длинная фраза".encode())]


def plain_data(path, seed=1, files=6):
    """Something to back up that needs no organisation."""
    chance = random.Random(seed)
    (path / "journal").mkdir(parents=True, exist_ok=True)
    for number in range(files):
        (path / f"file-{number}").write_bytes(chance.randbytes(chance.randint(0, 700_000)))
    return path


def take(data, where, secret=None, **options):
    repository = open_repository(where, SystemEntropy(), secret, make=True)
    with repository.locked(alone=True):
        return Taking(repository, data, SystemClock(), **options).run()


def contents(where, secret=None, name=None):
    """Every file of a snapshot, read through its chunks."""
    repository = open_repository(where, SystemEntropy(), secret)
    with repository.locked(alone=False):
        repository.load()
        manifest = repository.read_snapshot(chosen(repository, name))
        return {one.path: Opened(repository, one).read(0, one.size) for one in manifest.files}


def files_of(data):
    return {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}


@pytest.mark.parametrize(("secret", "compress"), [*((one, False) for one in SECRETS), (None, True), (SECRETS[1], True)])
def test_what_goes_in_comes_out(tmp_path, secret, compress):
    data = plain_data(tmp_path / "data")
    (data / "zeros").write_bytes(bytes(1_500_000))
    take(data, tmp_path / "r", secret, compress=compress)
    assert contents(tmp_path / "r", secret) == files_of(data)
    repository = open_repository(tmp_path / "r", SystemEntropy(), secret)
    with repository.locked(alone=False):
        checked = verify(repository)
    assert checked.trouble == () and checked.damaged_files == ()


def test_a_wrong_key_and_a_missing_one_are_told_apart_from_damage(tmp_path):
    data = plain_data(tmp_path / "data", files=1)
    take(data, tmp_path / "r", SECRETS[1])
    for secret in (None, Secret("file", b"another key, also long enough"), SECRETS[2]):
        with pytest.raises(WrongKeyError):
            open_repository(tmp_path / "r", SystemEntropy(), secret)
    take(data, tmp_path / "clear")
    with pytest.raises(WrongKeyError, match="not encrypted"):
        open_repository(tmp_path / "clear", SystemEntropy(), SECRETS[1])


def test_what_is_no_repository_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    with pytest.raises(RepositoryError, match="neither empty"):
        open_repository(tmp_path / "mine", SystemEntropy(), None, make=True)
    with pytest.raises(RepositoryError, match="no repository"):
        open_repository(tmp_path / "nothing", SystemEntropy(), None)


def test_one_writer_at_a_time(tmp_path):
    take(plain_data(tmp_path / "data", files=1), tmp_path / "r")
    first, second = (open_repository(tmp_path / "r", SystemEntropy(), None) for _ in range(2))
    with first.locked(alone=False), second.locked(alone=False):
        pass
    with first.locked(alone=True), pytest.raises(RepositoryError, match="another backup"), second.locked(alone=False):
        pass


@pytest.mark.crash
def test_killed_anywhere_it_stays_valid_and_the_next_run_goes_on(tmp_path, monkeypatch):
    """A forked process is killed at the n-th failpoint of a backup or a pruning, then the same is done to the end."""
    monkeypatch.setattr("postern.backup.repository.PACK_BYTES", 200_000)
    data, where = tmp_path / "data", tmp_path / "r"
    plain_data(data, 0)
    expected = {take(data, where).snapshot: files_of(data)}
    for life in range(10):
        (data / f"file-{life % 6}").write_bytes(random.Random(life).randbytes(600_000))
        pruning = life % 4 == 3
        child = os.fork()
        if not child:
            left = [random.Random(life).randint(1, 14)]

            def die(left=left):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

            failpoints.configure(dict.fromkeys(failpoints.BACKUP_NAMES, die))
            try:
                if pruning:
                    repository = open_repository(where, SystemEntropy(), None)
                    with repository.locked(alone=True):
                        prune(repository, 2)
                else:
                    take(data, where)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        repository = open_repository(where, SystemEntropy(), None)
        names = repository.snapshots()
        with repository.locked(alone=False):
            # a list may be missing beside its pack; nothing else may
            checked = verify(repository)
        assert checked.damaged_files == ()
        assert sorted(set(expected) & set(names)) == names[: len(set(expected) & set(names))], "the newest is the last"
        for name in names:
            found = contents(where, None, name)
            assert found == expected.setdefault(name, files_of(data))
    assert len(names) >= 2


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bit_flipped_is_found_and_costs_what_it_hits_only(tmp_path_factory, data):
    base = tmp_path_factory.mktemp("flip")
    source = plain_data(base / "data", files=4)
    take(source, base / "r")
    files = sorted(path for path in (base / "r").rglob("*") if path.is_file() and path.name != "lock")
    victim = files[data.draw(st.integers(0, 5)) % len(files)]
    content = bytearray(victim.read_bytes())
    position = data.draw(st.integers(0, 0xFFFF)) * (len(content) - 1) // 0xFFFF
    if data.draw(st.booleans()):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[position:]
    victim.write_bytes(content)
    repository = open_repository(base / "r", SystemEntropy(), None)
    with repository.locked(alone=False):
        checked = verify(repository)
        manifest = repository.read_snapshot(chosen(repository, None))
        sound = 0
        for entry in manifest.files:
            try:
                assert Opened(repository, entry).read(0, entry.size) == (source / entry.path).read_bytes()
                sound += 1
            except DamagedError:
                assert any(entry.path in one for one in checked.damaged_files)
    if victim.suffix == ".pack" and position >= 8:
        assert checked.trouble
    if victim.suffix != ".pack":
        assert sound == len(manifest.files)


def test_a_damaged_head_before_a_whole_chunk_is_found_and_mended(tmp_path):
    """It is what finds the chunk if the list beside the pack is lost, too."""
    source = plain_data(tmp_path / "data", files=4)
    take(source, tmp_path / "r")
    (pack,) = (tmp_path / "r" / "packs").glob("*.pack")
    content = bytearray(pack.read_bytes())
    content[19] ^= 1
    pack.write_bytes(content)
    found = []
    for _ in range(2):
        repository = open_repository(tmp_path / "r", SystemEntropy(), None)
        with repository.locked(alone=False):
            found.append(verify(repository))
    assert "head was changed" in found[0].trouble[0] and found[0].damaged_files == ()
    assert found[1].trouble == () and found[1].damaged_files == ()
    for lists in (tmp_path / "r" / "packs").glob("*.idx"):
        lists.unlink()
    assert contents(tmp_path / "r") == files_of(source)


def test_what_verify_found_damaged_the_next_run_writes_anew(tmp_path):
    """Else every later backup would rely on the damaged chunk, and say that all is well."""
    source = plain_data(tmp_path / "data", files=4)
    take(source, tmp_path / "r")
    (pack,) = (tmp_path / "r" / "packs").glob("*.pack")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)

    def verified(*, alone: bool):
        repository = open_repository(tmp_path / "r", SystemEntropy(), None)
        with repository.locked(alone=alone):
            return verify(repository)

    reader = open_repository(tmp_path / "r", SystemEntropy(), None)
    with reader.locked(alone=False):
        assert verified(alone=False).set_aside == 0, "somebody reads"
    found = verified(alone=False)
    assert (found.set_aside, len(found.damaged_files)) == (1, 1)
    take(source, tmp_path / "r")
    healed = verified(alone=False)
    assert (healed.damaged_files, healed.trouble, healed.set_aside) == ((), (), 0)


def test_a_list_that_is_lost_is_made_anew_even_from_a_damaged_pack(tmp_path):
    data = plain_data(tmp_path / "data", files=8)
    take(data, tmp_path / "r")
    packs = tmp_path / "r" / "packs"
    (pack,) = packs.glob("*.pack")
    known = read_list(packs, pack.stem)
    list_path(packs, pack.stem).unlink()
    assert list(scan_pack(pack)) == known
    content = bytearray(pack.read_bytes())
    content[known[3].offset - 20] ^= 4  # a head
    pack.write_bytes(content)
    assert list(scan_pack(pack)) == [*known[:3], *known[4:]]
    assert isinstance(known[0], Place)


def test_pruning_keeps_what_others_need(tmp_path, monkeypatch):
    monkeypatch.setattr("postern.backup.repository.PACK_BYTES", 1 << 20)
    data, where = plain_data(tmp_path / "data"), tmp_path / "r"
    expected = {}
    for number in range(5):
        (data / "file-1").write_bytes(random.Random(100 + number).randbytes(1 << 20))
        expected[take(data, where).snapshot] = files_of(data)
    before = sum(path.stat().st_size for path in where.rglob("*") if path.is_file())
    repository = open_repository(where, SystemEntropy(), None)
    with repository.locked(alone=True):
        pruned = prune(repository, 2)
    assert len(pruned.removed) == 3
    assert repository.snapshots() == list(pruned.kept) == sorted(expected)[-2:]
    for name in pruned.kept:
        assert contents(where, None, name) == expected[name]
    after = sum(path.stat().st_size for path in where.rglob("*") if path.is_file())
    assert after < before - (2 << 20)
    # a snapshot that cannot be read says not what it needs
    for path in (where / "snapshots").glob(f"{pruned.kept[0]}*"):
        path.write_bytes(b"")
    repository = open_repository(where, SystemEntropy(), None)
    with repository.locked(alone=True), pytest.raises(RepositoryError, match="nothing is removed"):
        prune(repository, 2)
