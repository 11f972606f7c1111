"""The sandbox as shipped: it holds, and within it the daemon does all that it must."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.boot.machine import until
from tests.boot.service import STORE, UNIT, Service

PROBE = """
import ctypes, errno, json, mmap, os, socket

libc = ctypes.CDLL(None, use_errno=True)

def called(name, *arguments):
    ctypes.set_errno(0)
    done = getattr(libc, name)(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), "done") if done == -1 else "done"

def tried(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

CLONE_NEWUSER, PTRACE_ATTACH = 0x10000000, 16
found = {
    "memory that is written and run": tried(lambda: mmap.mmap(-1, 4096, prot=7)),
    "a namespace": called("unshare", CLONE_NEWUSER),
    "a mount": called("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "tracing": called("ptrace", PTRACE_ATTACH, 1, None, None),
    "a packet socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "a netlink socket": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "the clock": called("settimeofday", (ctypes.c_long * 2)(0, 0), None),
    "the host's name": called("sethostname", b"x", 1),
    "priority": tried(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
    "writing /etc": tried(lambda: open("/etc/plivostatusd/x", "w")),
    "writing /usr": tried(lambda: open("/usr/lib/plivostatusd/x", "w")),
    "writing /var": tried(lambda: open("/var/tmp/../x", "w")),
    "the stored token": tried(lambda: open("/etc/plivostatusd/credentials/auth_token")),
    "home": tried(lambda: os.listdir("/root")),
    "the store": tried(lambda: open("/var/lib/plivostatusd/probe", "w")),
    "its sockets' folder": tried(lambda: open("/run/plivostatusd/probe", "w")),
    "its token": tried(lambda: open(os.environ["CREDENTIALS_DIRECTORY"] + "/auth_token")),
    "processes of others": "done" if os.path.exists("/proc/1") else "ENOENT",
    "the machine's memory": tried(lambda: open("/proc/meminfo")),
    "a raw device": tried(lambda: open("/dev/kmsg")),
}
os.unlink("/run/plivostatusd/probe")
with open("/var/lib/plivostatusd/probe", "w") as probe:
    json.dump(found, probe)
"""

# What is left to it is what it needs; the rest fails in the way that the unit's line for it says.
ALLOWED = {"the store", "its sockets' folder", "its token"}
REFUSED = {
    "a namespace": "EPERM",
    "a mount": "EPERM",
    "tracing": "EPERM",
    "a packet socket": "EAFNOSUPPORT",
    "a netlink socket": "EAFNOSUPPORT",
    "the clock": "EPERM",
    "the host's name": "EPERM",
    "priority": "EPERM",
    "writing /etc": "EROFS",
    "writing /usr": "EROFS",
    "writing /var": "EROFS",
    "the stored token": "EACCES",
    "home": "EACCES",
    "processes of others": "ENOENT",
    "the machine's memory": "ENOENT",
    "a raw device": "ENOENT",
}


@pytest.fixture
def probed(service: Service) -> dict[str, str]:
    """Run a program under the unit as shipped, in the daemon's place; what it could do."""
    machine = service.machine
    machine.run("systemctl", "stop", UNIT)
    machine.write("/srv/probe.py", PROBE)
    only_that = "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\n"
    service.drop_in(f"{only_that}ExecStart=/usr/bin/python3 -I /srv/probe.py\n")
    machine.run("systemctl", "start", UNIT)
    found = machine.read(f"{STORE}/probe")
    machine.run("rm", f"{STORE}/probe")
    return dict(json.loads(found))


def test_what_is_refused(probed: dict[str, str]) -> None:
    """The kernel refuses whatever a daemon that was taken over would like to do."""
    # By a system call filter until systemd 253, by prctl(2)'s PR_SET_MDWE since.
    assert probed.pop("memory that is written and run") in {"EPERM", "EACCES"}
    assert REFUSED | dict.fromkeys(ALLOWED, "done") == probed


def test_the_kernel_says_so(service: Service) -> None:
    """The running daemon has a system call filter, no capability, and can gain none."""
    status = service.machine.read(f"/proc/{service.pid}/status")
    shown = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "2" == shown["Seccomp"]
    assert "1" == shown["NoNewPrivs"]
    none = {"0" * 16}
    assert none == {shown[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert "0077" == shown["Umask"]


HOLD = f"""
import sqlite3, time
store = sqlite3.connect("{STORE}/status.db", isolation_level=None)
store.execute("BEGIN IMMEDIATE")
open("/run/held", "w").close()
time.sleep(60)
"""
IDS = "SELECT message_uuid FROM events WHERE message_uuid = ?"


@pytest.fixture
def locked(service: Service) -> Iterator[Service]:
    """Lock the store, as somebody's query might; the lock goes with the unit `holder`."""
    machine = service.machine
    machine.write("/srv/hold.py", HOLD)
    machine.sh("rm -f /run/held && systemd-run --quiet --unit=holder python3 /srv/hold.py")
    until(lambda: machine.run("test", "-e", "/run/held", status=None).status == 0, "it is locked")
    yield service
    machine.run("systemctl", "stop", "holder", status=None)


def test_a_locked_store(locked: Service) -> None:
    """Within the sandbox a callback is spooled while the store is locked, and drained later."""
    uuid = "5b0e8d0e-7f5a-11f1-9c1b-0242ac110005"
    assert 200 == locked.deliver(uuid)
    assert [] == locked.rows(IDS, uuid)
    assert "0" != locked.machine.sh(f"ls -A {STORE}/spool | wc -l").strip()
    locked.machine.run("systemctl", "stop", "holder")
    until(lambda: locked.rows(IDS, uuid), "the spool is drained")


def test_nothing_is_missed(service: Service) -> None:
    """In its daily work the daemon meets none of the sandbox's refusals."""
    service.restart()
    assert "delivered" == service.final_status(service.send())
    assert 200 == service.deliver("5b0e8d0e-7f5a-11f1-9c1b-0242ac110006")
    service.machine.run("systemctl", "reload", UNIT)
    refusals = "Operation not permitted|Permission denied|Read-only file system"
    log = ["journalctl", "-q", f"_PID={service.pid}", "--grep", refusals]
    assert "" == service.machine.run(*log, status=None).out
