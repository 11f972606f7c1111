"""plivostatusd.host.filesystem, on this machine's own mounts and on tables written for it."""

from pathlib import Path

import pytest

from plivostatusd.host.filesystem import (
    NETWORK_FILE_SYSTEMS,
    filesystem_type,
    free_bytes,
    refuse_network,
)


def table(tmp_path: Path, *mounts: tuple[str, str]) -> Path:
    """Write a table of mounts, each a point and a type."""
    lines = [
        f"{36 + n} 35 98:{n} / {point} rw,noatime shared:1 - {kind} /dev/x rw"
        for n, (point, kind) in enumerate(mounts)
    ]
    path = tmp_path / "mountinfo"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_proc_is_proc() -> None:
    """The kernel's own table is understood: /proc/self lies on proc."""
    assert "proc" == filesystem_type(Path("/proc/1"))


def test_a_directory_of_this_machine_is_welcome(tmp_path: Path) -> None:
    """Where the tests keep their stores, the daemon would keep its own."""
    assert None is refuse_network(tmp_path)


def test_longest_mount_point_wins(tmp_path: Path) -> None:
    """The deepest mount above a path decides, wherever it stands in the table."""
    mounts = table(tmp_path, ("/srv/sms", "nfs4"), ("/", "ext4"), ("/srv", "xfs"))
    assert "nfs4" == filesystem_type(Path("/srv/sms/status.db"), mountinfo=mounts)
    assert "xfs" == filesystem_type(Path("/srv/smsx/status.db"), mountinfo=mounts)
    assert "ext4" == filesystem_type(Path("/var"), mountinfo=mounts)


def test_later_mount_hides_earlier(tmp_path: Path) -> None:
    """Of two mounts on one point, the later one is what a path lies on."""
    mounts = table(tmp_path, ("/", "rootfs"), ("/", "ext4"), ("/srv", "ext4"), ("/srv", "nfs"))
    assert "ext4" == filesystem_type(Path("/x"), mountinfo=mounts)
    assert "nfs" == filesystem_type(Path("/srv"), mountinfo=mounts)


def test_octal_escapes(tmp_path: Path) -> None:
    r"""A mount point with a blank, which the kernel writes as \040, is found."""
    mounts = table(tmp_path, ("/", "ext4"), (r"/mnt/my\040share\134x", "cifs"))
    assert "cifs" == filesystem_type(Path(r"/mnt/my share\x/a"), mountinfo=mounts)


def test_optional_fields(tmp_path: Path) -> None:
    """Lines with none, one or several optional fields before the dash are all read."""
    path = tmp_path / "mountinfo"
    path.write_text(
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        "2 1 8:2 / /a rw shared:1 master:2 propagate_from:3 - nfs host:/a rw\n"
        "broken line\n"
    )
    assert "ext4" == filesystem_type(Path("/b"), mountinfo=path)
    assert "nfs" == filesystem_type(Path("/a/b"), mountinfo=path)


def test_a_link_is_followed(tmp_path: Path) -> None:
    """A path that reaches a share through a symbolic link is judged where it leads."""
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    mounts = table(tmp_path, ("/", "ext4"), (str(share), "nfs"))
    assert "nfs" == filesystem_type(tmp_path / "link" / "status.db", mountinfo=mounts)


def test_no_table_is_no_verdict(tmp_path: Path) -> None:
    """Where the table cannot be read, nothing is refused."""
    assert "" == filesystem_type(tmp_path, mountinfo=tmp_path / "missing")
    assert None is refuse_network(tmp_path, mountinfo=tmp_path / "missing")


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
def test_network_file_systems_are_refused(tmp_path: Path, kind: str) -> None:
    """Each network file system is refused in a sentence with the path, its name and a way out."""
    mounts = table(tmp_path, ("/", "ext4"), ("/srv", kind))
    sentence = refuse_network(Path("/srv/status.db"), mountinfo=mounts)
    assert sentence is not None
    assert "/srv/status.db" in sentence
    assert f"({NETWORK_FILE_SYSTEMS[kind]}, type {kind})" in sentence
    assert "local disk" in sentence


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "virtiofs"])
def test_local_file_systems_are_welcome(tmp_path: Path, kind: str) -> None:
    """A local file system is not refused."""
    assert None is refuse_network(Path("/srv"), mountinfo=table(tmp_path, ("/", kind)))


def test_free_bytes(tmp_path: Path) -> None:
    """Free space is a number of bytes, and a missing path is an error."""
    assert free_bytes(tmp_path) > 0
    with pytest.raises(FileNotFoundError):
        free_bytes(tmp_path / "missing")
