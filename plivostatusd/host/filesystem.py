"""
What kind of file system a path lies on, and how much room is left there.

Read from /proc/self/mountinfo (proc_pid_mountinfo(5)); nothing is mounted or changed. Used at
start, before the store is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_FILE_SYSTEMS = {
    # The store keeps a write-ahead log whose index is shared memory, and SQLite asks that every
    # process which opens it be on one machine (sqlite.org/wal.html, read 2026-11-23). A file
    # system belongs here when another machine can open the same file, or when its locks and
    # shared mappings are known not to hold.
    "nfs": "NFS",  # locks by a second protocol that may be off; mappings are not shared
    "nfs4": "NFS",
    "cifs": "SMB",  # byte-range locks are the server's, or none with `nobrl`
    "smb3": "SMB",
    "smbfs": "SMB",  # the old driver of the same protocol
    "9p": "9P",  # WSL's and QEMU's shares: no shared mappings unless the cache is told so
    "afs": "AFS",  # written back at close(), whole files; byte-range locks are advisory at best
    "ceph": "CephFS",
    "fuse.ceph": "CephFS",
    "fuse.ceph-fuse": "CephFS",
    "glusterfs": "GlusterFS",
    "fuse.glusterfs": "GlusterFS",
    "lustre": "Lustre",  # flock only when mounted with `flock`
    "beegfs": "BeeGFS",  # locks off by default
    "orangefs": "OrangeFS",  # no locks at all
    "gpfs": "GPFS",
    "coda": "Coda",  # written back at close(), as AFS
    "fuse.sshfs": "SSHFS",  # no locks between machines
    "fuse.s3fs": "S3",  # whole objects, written at close()
    "fuse.rclone": "rclone",  # the same
    "davfs": "WebDAV",  # the same
    "fuse.davfs2": "WebDAV",
    "gfs2": "GFS2",  # a shared disk: other machines mount the same blocks
    "ocfs2": "OCFS2",  # the same
    # Not here: virtiofs, which is the root of some virtual machines and keeps locks and mappings
    # within the guest; overlay, whose lower layers are judged by whoever mounted them.
}
"""Type as the kernel names it, and the name people know it by."""

_ESCAPE = re.compile(r"\\([0-7]{3})")


def filesystem_type(path: Path, *, mountinfo: Path = MOUNTINFO) -> str:
    """
    Return the type of the file system that *path* lies on, or would once it is made.

    An empty string when the kernel's table of mounts cannot be read, as in some sandboxes.
    """
    nearest = os.path.realpath(path)
    try:
        table = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    found, depth = "", -1
    for point, kind in _mounts(table):
        # Of two mounts on one point the later one hides the earlier one, hence >=.
        if _is_under(nearest, point) and len(point) >= depth:
            found, depth = kind, len(point)
    return found


def refuse_network(path: Path, *, mountinfo: Path = MOUNTINFO) -> str | None:
    """Return a sentence why the store must not lie at *path*, or None when it may."""
    kind = filesystem_type(path, mountinfo=mountinfo)
    name = NETWORK_FILE_SYSTEMS.get(kind)
    if name is None:
        return None
    return (
        f"{path} lies on a network file system ({name}, type {kind}), where SQLite's write-ahead "
        "log can be damaged: its locks and shared memory hold on one machine only. "
        "Put the store on a local disk"
    )


def free_bytes(path: Path) -> int:
    """
    Return how many bytes an ordinary user may still write where *path* lies.

    Raises:
        OSError: *path* does not exist or cannot be asked.
    """
    figures = os.statvfs(path)
    return figures.f_bavail * figures.f_frsize


def _mounts(table: str) -> Iterator[tuple[str, str]]:
    """Give mount point and type of each line: `ID PARENT DEV ROOT POINT OPTIONS ... - TYPE ...`."""
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if len(fields) > 4 and kind:  # noqa: PLR2004 - the mount point is the fifth field
            yield _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4]), kind


def _is_under(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
