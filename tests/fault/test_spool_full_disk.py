"""The spool on real small disks: full, full at a restart, read-only, and cut off the power."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from plivostatusd.store.spool import Spool, SpoolUnavailable
from tests.fault.small_disk import KINDS, cut_power, fill, make_read_only, mounted, restart

RESERVE_BYTES = 128 * 1024
RECORD_BYTES = 1000
MEBIBYTES = {"tmpfs": 1, "ext4": 8}


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Mount an empty disk of each kind."""
    with mounted(request.param, tmp_path / "small", mebibytes=MEBIBYTES[request.param]) as where:
        yield where


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    """Mount an empty ext4."""
    with mounted("ext4", tmp_path / "small", mebibytes=MEBIBYTES["ext4"]) as where:
        yield where


def opened(disk: Path, reserve_bytes: int = RESERVE_BYTES) -> Spool:
    """Open the spool on *disk*."""
    spool = Spool(disk / "spool", reserve_bytes=reserve_bytes)
    spool.open()
    return spool


def record(number: int) -> bytes:
    """Make a record of the size of a callback."""
    return f"callback {number} ".encode().ljust(RECORD_BYTES, b"x")


def taken(spool: Spool, first: int = 0) -> list[bytes]:
    """Append one by one until the spool takes no more; return what it took."""
    told: list[bytes] = []
    said = ""
    for number in count(first):
        try:
            spool.append([record(number)])
        except SpoolUnavailable as error:
            said = str(error)
            break
        told.append(record(number))
    assert f"[Errno 28] spool: No space left on device: '{spool.folder}'" == said
    return told


def found(spool: Spool) -> list[bytes]:
    """Return all that the spool gives."""
    return [record for section in spool.sections() for record in section.records]


def drain(spool: Spool) -> None:
    """Drain the spool."""
    for section in spool.sections():
        spool.drained(section)


def test_full_disk(disk: Path) -> None:
    """On a full disk the reserve takes callbacks to its last byte, and then the spool says no."""
    spool = opened(disk)
    fill(disk)
    told = taken(spool)
    assert RESERVE_BYTES // (RECORD_BYTES + 8) - 1 <= len(told)
    assert told == found(spool)
    spool.close()
    again = opened(disk)
    assert (told, len(told)) == (found(again), again.records)
    assert [] == list(again.folder.glob("*.torn"))
    again.close()


def test_full_disk_has_room_again(disk: Path) -> None:
    """As soon as there is room the spool takes records again, and once drained has its reserve."""
    spool = opened(disk)
    filler = fill(disk)
    told = taken(spool)
    filler.unlink()
    spool.append([record(-1)])
    assert [*told, record(-1)] == found(spool)
    drain(spool)
    assert (0, RESERVE_BYTES) == (spool.records, spool.held_bytes)
    assert ["reserve"] == [path.name for path in spool.folder.iterdir()]
    spool.close()


def test_full_disk_drained(disk: Path) -> None:
    """While the disk stays full, draining gives the reserve back to be used again."""
    spool = opened(disk)
    fill(disk)
    for _ in range(2):
        told = taken(spool)
        assert RESERVE_BYTES // (RECORD_BYTES + 8) - 8 <= len(told)
        assert told == found(spool)
        drain(spool)
    spool.close()


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "killed"])
def test_restart_on_a_full_disk(disk: Path, *, is_stopped: bool) -> None:
    """A restart on a full disk holds what the process before it had not used of the reserve."""
    spool = opened(disk)
    fill(disk)
    spool.append([record(1)])
    if is_stopped:
        spool.close()
    again = opened(disk)
    assert RESERVE_BYTES // 4 <= again.held_bytes < RESERVE_BYTES
    told = taken(again, 2)
    assert again.records > RESERVE_BYTES // 4 // (RECORD_BYTES + 8)
    assert [record(1), *told] == found(again)
    again.close()
    spool.close()


def test_start_on_a_full_disk(disk: Path) -> None:
    """A disk too full for any reserve lets the spool open; it says no until there is room."""
    (disk / "spool").mkdir()
    filler = fill(disk)
    spool = opened(disk)
    assert (spool.held_bytes, spool.renew_reserve()) == (0, False)
    with pytest.raises(SpoolUnavailable, match="No space left"):
        spool.append([record(1)])
    filler.unlink()
    assert (spool.renew_reserve(), spool.held_bytes) == (True, RESERVE_BYTES)
    spool.append([record(1)])
    assert [record(1)] == found(spool)
    spool.close()


def test_reserve_is_held_back(disk: Path) -> None:
    """The reserve is room that nobody else can take, not merely the length of a file."""
    spool = opened(disk)
    fill(disk)
    reserve = (disk / "spool" / "reserve").stat()
    assert RESERVE_BYTES == reserve.st_size
    assert RESERVE_BYTES <= reserve.st_blocks * 512
    spool.close()


def test_read_only_disk(disk: Path) -> None:
    """A spool on a read-only disk does not open, and says which folder it is."""
    opened(disk).close()
    make_read_only(disk)
    with pytest.raises(OSError, match=f"Read-only.*{disk / 'spool'}"):
        opened(disk)


def test_read_only_under_way(ext4: Path) -> None:
    """A disk that turns read-only under way is told as such; what was kept is still given."""
    spool = opened(ext4)
    spool.append([record(1)])
    spool.close()
    make_read_only(ext4)
    with pytest.raises(SpoolUnavailable, match="Read-only"):
        spool.append([record(2)])
    sections = list(spool.sections())
    assert [(record(1),)] == [section.records for section in sections]
    with pytest.raises(SpoolUnavailable, match="Read-only"):
        spool.drained(sections[0])
    assert 1 == spool.records
    assert [()] == [section.records for section in spool.sections()]
    spool.close()


@pytest.mark.parametrize("reserve_bytes", [0, RESERVE_BYTES])
def test_power_cut(ext4: Path, reserve_bytes: int) -> None:
    """An ext4 that forgets all it was not made to sync has every record said to be kept."""
    spool = opened(ext4, reserve_bytes)
    (ext4 / "forgotten").write_bytes(b"x" * 100)
    told = [record(number) for number in range(20)]
    for each in told[:10]:
        spool.append([each])
    drain(spool)
    for each in told[10:]:
        spool.append([each])
    cut_power(ext4)
    with pytest.raises(SpoolUnavailable):
        spool.append([record(99)])
    assert spool.records >= 10
    spool.close()
    restart(ext4)
    assert not (ext4 / "forgotten").exists() or not (ext4 / "forgotten").stat().st_size
    again = opened(ext4, reserve_bytes)
    assert told[10:] == found(again)
    again.close()
