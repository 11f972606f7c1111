"""The spool on a good day, and what stands in its folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from plivostatusd.store import spool as spool_module
from plivostatusd.store.spool import RECORD_BYTES_MAX, Section, Spool, SpoolUnavailable, read
from plivostatusd.store.spool_file import PREFIX, frame

RESERVE_BYTES = 16 * 1024


def opened(tmp_path: Path, reserve_bytes: int = RESERVE_BYTES) -> Spool:
    """Open the spool in *tmp_path*, as a new process does."""
    spool = Spool(tmp_path / "spool", reserve_bytes=reserve_bytes)
    spool.open()
    return spool


def found(spool: Spool) -> list[tuple[bytes, ...]]:
    """Return the records of each file."""
    return [section.records for section in spool.sections()]


def names(spool: Spool) -> list[str]:
    """Return what is in the folder."""
    return sorted(path.name for path in spool.folder.iterdir())


def write(path: Path, *records: bytes, tail: bytes = b"") -> None:
    """Write a file as an earlier process left it."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PREFIX + b"".join(map(frame, records)) + tail)


def test_folder(tmp_path: Path) -> None:
    """The folder and what is in it are for the daemon's own user alone."""
    spool = opened(tmp_path)
    spool.append([b"1"])
    assert 0o700 == spool.folder.stat().st_mode & 0o777
    assert [0o600] == [path.stat().st_mode & 0o777 for path in spool.folder.iterdir()]
    spool.close()


def test_append(tmp_path: Path) -> None:
    """What is appended is given in order, here and after a restart, and counted."""
    spool = opened(tmp_path)
    spool.append([b"1", b"2"])
    spool.append([b"3"])
    assert ([(b"1", b"2", b"3")], 3) == (found(spool), spool.records)
    spool.close()
    again = opened(tmp_path)
    again.append([b"4"])
    assert ([(b"1", b"2", b"3"), (b"4",)], 4) == (found(again), again.records)
    again.close()


def test_append_nothing(tmp_path: Path) -> None:
    """Appending nothing touches nothing."""
    spool = opened(tmp_path)
    spool.append([])
    assert (["reserve"], 0) == (names(spool), spool.records)
    spool.close()


@pytest.mark.parametrize("payload", [b"", b"x" * (RECORD_BYTES_MAX + 1)], ids=["empty", "long"])
def test_append_impossible(tmp_path: Path, payload: bytes) -> None:
    """What could not be read again is not taken, and nothing beside it."""
    spool = opened(tmp_path)
    with pytest.raises(ValueError, match="want 1 to 16777216"):
        spool.append([b"1", payload])
    assert (["reserve"], 0) == (names(spool), spool.records)
    spool.close()


def test_longest_record(tmp_path: Path) -> None:
    """The longest record that is taken is given back."""
    spool = opened(tmp_path)
    spool.append([b"x" * RECORD_BYTES_MAX])
    (first, *rest) = found(spool)
    assert (b"x" * RECORD_BYTES_MAX,) == first
    assert not any(rest)
    spool.close()


def test_a_long_file_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file longer than what is read at once is given in pieces, and goes with the last."""
    monkeypatch.setattr("plivostatusd.store.spool.PIECE_BYTES", 1000)
    payloads = [b"%03d " % number + b"x" * (number * 37 % 1500) for number in range(40)]
    spool = opened(tmp_path)
    spool.append(payloads)
    file = tmp_path / "spool" / "00000001.spool"
    pieces = []
    for section in spool.sections():
        assert file.exists()
        pieces.append(section.records)
        spool.drained(section)
    assert payloads == [record for piece in pieces for record in piece]
    assert max(map(len, pieces)) < len(payloads)
    assert not file.exists()
    assert 0 == spool.records
    spool.close()


def test_pieces_of_a_torn_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a torn record is kept aside with it, however far behind in the file it is."""
    monkeypatch.setattr("plivostatusd.store.spool.PIECE_BYTES", 100)
    spool = opened(tmp_path)
    spool.append([b"a" * 80, b"b" * 80, b"c" * 80])
    spool.close()
    file = tmp_path / "spool" / "00000001.spool"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"bb", b"b!", 1) + bytes(500) + b"late")
    spool = opened(tmp_path)
    sections = list(spool.sections())
    assert [b"a" * 80] == [record for section in sections for record in section.records]
    assert (80 + 8) * 2 + 504 == sections[-1].torn_bytes
    assert tmp_path / "spool" / "00000001.torn" == spool.drained(sections[-1])
    spool.close()


def test_reserve(tmp_path: Path) -> None:
    """The reserve becomes the first file and, once that is drained, is there again."""
    spool = opened(tmp_path)
    assert (["reserve"], RESERVE_BYTES) == (names(spool), spool.held_bytes)
    spool.append([b"1"])
    assert (["00000001.spool"], 0) == (names(spool), spool.held_bytes)
    assert RESERVE_BYTES == (spool.folder / "00000001.spool").stat().st_size
    for section in spool.sections():
        spool.drained(section)
    assert (["reserve"], RESERVE_BYTES) == (names(spool), spool.held_bytes)
    spool.close()


@pytest.mark.parametrize("wanted", [0, 4096, 64 * 1024])
def test_reserve_of_another_size(tmp_path: Path, wanted: int) -> None:
    """A reserve that an earlier process left is made as large as the setting says now."""
    opened(tmp_path).close()
    spool = opened(tmp_path, wanted)
    assert wanted == spool.held_bytes == (spool.folder / "reserve").stat().st_size
    assert spool.renew_reserve()
    spool.close()


def test_reserve_with_holes(tmp_path: Path) -> None:
    """A reserve that was copied, and has come to be nothing but a length, is allocated anew."""
    (tmp_path / "spool").mkdir()
    reserve = tmp_path / "spool" / "reserve"
    reserve.touch()
    os.truncate(reserve, RESERVE_BYTES)
    assert 0 == reserve.stat().st_blocks
    spool = opened(tmp_path)
    assert RESERVE_BYTES == spool.held_bytes == reserve.stat().st_blocks * 512
    spool.close()


def test_reserve_with_records(tmp_path: Path) -> None:
    """A reserve in which something stands is a file of records."""
    write(tmp_path / "spool" / "reserve", b"1", tail=bytes(5000))
    spool = opened(tmp_path)
    assert (["00000001.spool", "reserve"], [(b"1",)]) == (names(spool), found(spool))
    spool.close()


def test_reserve_is_gone(tmp_path: Path) -> None:
    """A reserve that somebody deleted does not keep the spool from taking records."""
    spool = opened(tmp_path)
    (spool.folder / "reserve").unlink()
    spool.append([b"1"])
    assert [(b"1",)] == found(spool)
    spool.close()


def test_reserve_is_found_again(tmp_path: Path) -> None:
    """A reserve that was let go of after a failure is used when the next file begins."""
    spool = opened(tmp_path)
    spool.close()
    spool.append([b"1"])
    assert RESERVE_BYTES == (spool.folder / "00000001.spool").stat().st_size
    spool.close()


def test_file_is_gone(tmp_path: Path) -> None:
    """Nothing is written into a file that somebody deleted: nobody would ever find it."""
    spool = opened(tmp_path)
    spool.append([b"1"])
    (spool.folder / "00000001.spool").unlink()
    spool.append([b"2"])
    assert ([(b"2",)], 1) == (found(spool), spool.records)
    spool.close()


def test_folder_is_gone(tmp_path: Path) -> None:
    """A folder that somebody deleted is made again."""
    spool = opened(tmp_path)
    (spool.folder / "reserve").unlink()
    spool.folder.rmdir()
    with pytest.raises(SpoolUnavailable, match=str(spool.folder)):
        found(spool)
    spool.append([b"1"])
    assert [(b"1",)] == found(spool)
    spool.close()


def test_drained(tmp_path: Path) -> None:
    """Files that are drained go, one by one."""
    spool = opened(tmp_path)
    spool.append([b"1"])
    spool.close()
    spool.append([b"2"])
    assert (2, ["00000001.spool", "00000002.spool"]) == (spool.records, names(spool))
    for left, section in zip([1, 0], list(spool.sections()), strict=True):
        assert spool.drained(section) is None
        assert left == spool.records
    assert ["reserve"] == names(spool)
    spool.close()


def test_drained_while_it_grows(tmp_path: Path) -> None:
    """A file that grew since it was read stays, and the next time gives only what is new."""
    spool = opened(tmp_path)
    spool.append([b"1", b"2"])
    section = next(spool.sections())
    spool.append([b"3"])
    spool.drained(section)
    assert 1 == spool.records
    spool.append([b"4"])
    section = next(spool.sections())
    assert (b"3", b"4") == section.records
    spool.drained(section)
    assert (0, ["reserve"]) == (spool.records, names(spool))
    spool.close()


def test_drained_after_it_was_left(tmp_path: Path) -> None:
    """A file that grew and was left since it was read stays, too."""
    spool = opened(tmp_path)
    spool.append([b"1"])
    section = next(spool.sections())
    spool.append([b"2"])
    spool.close()
    spool.drained(section)
    assert ([(b"2",)], 1) == (found(spool), spool.records)
    spool.close()


def test_drained_twice(tmp_path: Path) -> None:
    """To let go of a section twice is to let go of it."""
    spool = opened(tmp_path)
    spool.append([b"1"])
    section = next(spool.sections())
    spool.drained(section)
    spool.drained(section)
    spool.append([b"2"])
    assert ([(b"2",)], 1) == (found(spool), spool.records)
    spool.close()


def test_drain_without_stopping(tmp_path: Path) -> None:
    """Looking at the file that is written does not end it: on a full disk there is no other."""
    spool = opened(tmp_path)
    for number in range(5):
        spool.append([b"%d" % number])
        next(spool.sections())
    assert ["00000001.spool"] == names(spool)
    spool.close()


def test_torn_tail(tmp_path: Path) -> None:
    """A torn tail is told and put aside whole; the records before it are given."""
    path = tmp_path / "spool" / "00000007.spool"
    write(path, b"1", b"2", tail=frame(b"3")[:-1])
    content = path.read_bytes()
    spool = opened(tmp_path)
    section = next(spool.sections())
    assert section == Section(path, (b"1", b"2"), torn_bytes=8, whole_bytes=39, blank_bytes=0)
    assert path.with_suffix(".torn") == spool.drained(section)
    assert content == path.with_suffix(".torn").read_bytes()
    assert (0, []) == (spool.records, found(spool))
    spool.append([b"4"])
    assert ["00000007.torn", "00000008.spool"] == names(spool)
    spool.close()


def test_torn_name_is_taken(tmp_path: Path) -> None:
    """What was put aside before is not replaced."""
    folder = tmp_path / "spool"
    write(folder / "00000001.spool", b"1", tail=b"half")
    write(folder / "00000001.torn", tail=b"older")
    spool = opened(tmp_path)
    aside = spool.drained(next(spool.sections()))
    assert folder / "00000002.torn" == aside
    assert ["00000001.torn", "00000002.torn", "reserve"] == names(spool)
    assert (folder / "00000001.torn").read_bytes().endswith(b"older")
    spool.close()


def test_torn_only(tmp_path: Path) -> None:
    """A file without a single whole record is something to be looked at, and counts as one."""
    write(tmp_path / "spool" / "00000001.spool", tail=b"half")
    spool = opened(tmp_path)
    assert 1 == spool.records
    assert 4 == next(spool.sections()).torn_bytes
    spool.close()


@pytest.mark.parametrize("content", [b"", PREFIX, bytes(5000), PREFIX + bytes(5000)])
def test_nothing_was_written(tmp_path: Path, content: bytes) -> None:
    """A file that was begun, and into which nothing was written, goes at the next start."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "00000001.spool").write_bytes(content)
    spool = opened(tmp_path)
    assert (0, ["reserve"]) == (spool.records, names(spool))
    spool.close()


def test_files_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is long enough is followed by another, so that each can be read at once."""
    monkeypatch.setattr(spool_module, "FILE_BYTES_MAX", 300)
    spool = opened(tmp_path, 0)
    for number in range(9):
        spool.append([b"%d" % number * 100])
    assert [3, 3, 3] == [len(records) for records in found(spool)]
    spool.close()


def test_files_hold_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file ends before the reserve that it was made of is used up."""
    monkeypatch.setattr(spool_module, "FILE_BYTES_MAX", 300)
    spool = opened(tmp_path)
    for number in range(9):
        spool.append([b"%d" % number * 100])
    assert ["00000001.spool"] == names(spool)
    spool.close()


def test_odd_names(tmp_path: Path) -> None:
    """Whatever else is in the folder is left alone."""
    folder = tmp_path / "spool"
    folder.mkdir()
    odd = ["1.spool", "0000000x.spool", "99999999999.spool", "00000001.spool.bak", "²0000001.spool"]
    for name in [*odd, "00000003.torn", "00000009.txt"]:
        write(folder / name, b"alien", tail=b"half")
    (folder / "00000002.spool").mkdir()
    (folder / "00000005.spool").symlink_to(folder / "1.spool")
    before = {*folder.iterdir()}
    spool = opened(tmp_path)
    for number in range(4):
        spool.append([b"%d" % number])
        assert [(b"%d" % number,)] == found(spool)
        spool.drained(next(spool.sections()))
    assert before | {folder / "reserve"} == {*folder.iterdir()}
    spool.close()


def test_numbers_begin_anew(tmp_path: Path) -> None:
    """After the last number comes the first that is free; nothing is replaced."""
    folder = tmp_path / "spool"
    write(folder / "99999999.spool", b"last")
    write(folder / "00000001.torn", tail=b"half")
    (folder / "00000002.spool").mkdir()
    spool = opened(tmp_path)
    spool.append([b"first"])
    assert [(b"first",), (b"last",)] == found(spool)
    assert (folder / "00000003.spool").exists()
    spool.close()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_reserve_is_no_file(tmp_path: Path, kind: str) -> None:
    """Something else of the reserve's name means no reserve; the spool works without."""
    (tmp_path / "spool").mkdir()
    reserve = tmp_path / "spool" / "reserve"
    if kind == "folder":
        reserve.mkdir()
    elif kind == "pipe":
        os.mkfifo(reserve)
    else:
        reserve.symlink_to(tmp_path / "elsewhere")
    spool = opened(tmp_path)
    assert (0, False) == (spool.held_bytes, spool.renew_reserve())
    spool.append([b"1"])
    assert [(b"1",)] == found(spool)
    spool.close()


def test_folder_is_a_file(tmp_path: Path) -> None:
    """A spool that cannot be opened names the path."""
    (tmp_path / "spool").touch()
    with pytest.raises(NotADirectoryError, match=re.escape(str(tmp_path / "spool"))):
        opened(tmp_path)


def test_no_place_for_the_folder(tmp_path: Path) -> None:
    """A spool beside a store whose own folder is missing names the path."""
    path = tmp_path / "nowhere" / "spool"
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        Spool(path, reserve_bytes=0).open()


@pytest.mark.parametrize("name", ["00000001.spool", "reserve"])
def test_file_of_another_user(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read keeps the spool from opening: a command mends that."""
    write(tmp_path / "spool" / name, b"1")
    real = os.open

    def refuse(
        path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if Path(path).name == name:  # as root, a test may read every file
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match=re.escape(str(tmp_path / "spool"))):
        opened(tmp_path)


def test_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector keeps back neither a start nor another file, and its file is named."""
    folder = tmp_path / "spool"
    write(folder / "00000001.spool", b"1")
    write(folder / "00000002.spool", b"2")
    bad = os.stat(folder / "00000001.spool").st_ino  # noqa: PTH116 - beside the fstat() below
    real = os.pread

    def fail(descriptor: int, length: int, at: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(5, "Input/output error")
        return real(descriptor, length, at)

    monkeypatch.setattr(os, "pread", fail)
    spool = opened(tmp_path)
    assert 2 == spool.records
    sections = spool.sections()
    spool.drained(next(sections))
    assert [] == list(sections)
    assert ({"00000001.spool"}, 1, 0) == (spool.unreadable, spool.records, spool.readable_records)
    monkeypatch.undo()
    assert [(b"1",)] == found(spool)
    assert (set(), 1) == (spool.unreadable, spool.readable_records)
    spool.close()


def test_read_what_is_not_there(tmp_path: Path) -> None:
    """To read a file that is not there is an `OSError`."""
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "00000001.spool")
