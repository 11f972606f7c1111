"""
A Debian machine, booted for tests: systemd as PID 1 in a container, with loopback alone.

Owns a folder with the layer that the machine writes, the process of systemd-nspawn, and a control
group; `close` leaves none of them, whatever became of the machine. Commands are run as root at the
machine's own root, with an environment of their own. Made with `boot`, which says why each flag.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

from tests.boot.rootfs import CannotBoot, check_host, root_of

BOOT = Path(__file__).with_name("boot")
BOOT_S_MAX = 60.0
POWER_OFF_S_MAX = 30.0
COMMAND_S_MAX = 120
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1)
_LOOK_EVERY_S = 0.05

# What a root shell on Debian has, and nothing of ours.
_ENVIRON = (
    *("HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER="),
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


def until(reached: Callable[[], object], what: str, *, within_s: float = 10.0) -> float:
    """Wait until *reached* gives something true, and give the seconds it took."""
    began_s = time.monotonic()
    while not reached():
        passed_s = time.monotonic() - began_s
        assert passed_s < within_s, f"{what}: not within {within_s:g} s"
        time.sleep(_LOOK_EVERY_S)  # what is waited for is in another machine, and tells nobody here
    return time.monotonic() - began_s


class Done:
    """What a command came to: its exit status, and both its outputs."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def text(self) -> str:
        """All that it wrote."""
        return self.out + self.err


class Machine:
    """One machine; `with Machine("bookworm", "fresh", folder) as machine:` it is up."""

    def __init__(self, suite: str, name: str, folder: Path, *, syncs: bool = True) -> None:
        self.suite = suite
        # Nobody pulls this one's plug, so where no time is told nobody waits for its disk either.
        self.syncs = syncs
        # The last part says whose it is, for `sweep`.
        self.name = f"{suite}-{name}-{os.getpid()}"
        self.folder = folder / self.name
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Its life

    def boot(self) -> None:
        """Boot, and return once all that starts with the machine has started."""
        check_host()
        base = root_of(self.suite)
        for part in ("up/etc", "work", "root", "memory"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "up/etc/hostname").write_text(f"{self.suite}\n")
        (self.folder / "up/etc/hosts").write_text(f"127.0.0.1 localhost {self.suite}\n")
        # Should the tests be killed, the machine is powered off.
        guard = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount"]
        with (self.folder / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [*guard, BOOT, base, self.folder, self.name, "" if self.syncs else "volatile"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        until(self._find_leader, "systemd starts", within_s=BOOT_S_MAX)
        until(self._is_up, "the machine is up", within_s=BOOT_S_MAX)

    def _find_leader(self) -> bool:
        """Look for the machine's PID 1, as it is numbered here."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise CannotBoot(f"systemd-nspawn could not boot {self.suite} here:\n{self.console}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for child in children.read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            if status.startswith("Name:\tsystemd\n") and status.partition("\nNSpid:")[2]:
                self._leader = int(child)
        return self._leader > 0

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running", status=None).out.strip() in {
            "running",
            "degraded",
        }

    @property
    def is_on(self) -> bool:
        """Whether it has been booted and not powered off."""
        return self._leader > 0 and self._process is not None and self._process.poll() is None

    @property
    def console(self) -> str:
        """What it wrote onto its console."""
        return (self.folder / "console").read_text(errors="replace")

    def power_off(self) -> float:
        """Press the button, wait until it is off, and give the seconds it took; `boot` it again."""
        assert self._process is not None
        assert self.syncs, "what was not synced is not there the next time"
        began_s = time.monotonic()
        os.kill(self._leader, _POWER_OFF)
        self._process.wait(POWER_OFF_S_MAX)
        self._leader = 0
        _remove_group(self.name)
        return time.monotonic() - began_s

    def close(self) -> None:
        """Leave nothing of it; whatever still runs in it is killed."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()  # its PID 1 goes with it, and with that one all that it started
            self._process.wait()
        _remove_group(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is done in it

    def command(self, *command: str) -> list[str]:
        """Return what runs *command* in it."""
        enter = ["nsenter", "--target", str(self._leader), "--all", "--wd"]
        # Ended from within: who kills nsenter leaves its child behind, and power-off waits for it.
        limit = ["timeout", "--kill-after=5", str(COMMAND_S_MAX)]
        return [*enter, "--", "env", "-i", *_ENVIRON, *limit, *command]

    def run(self, *command: str, status: int | None = 0, given: str = "") -> Done:
        """Run *command*, *given* as its input; another exit *status* is a failure (None: any)."""
        done = Done(
            subprocess.run(
                self.command(*command), input=given, capture_output=True, text=True, check=False
            )
        )
        assert status in {None, done.status}, f"{command}: {done.status}\n{done.text}"
        return done

    def sh(self, typed: str, *, status: int | None = 0, given: str = "") -> str:
        """Run a line as it is typed into a shell, and return what it shows."""
        return self.run("bash", "-c", typed, status=status, given=given).text

    def write(self, path: str, text: str) -> None:
        """Write a file in it, with the folders above."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "sh", path, given=text)

    def read(self, path: str) -> str:
        """Read a file in it."""
        return self.run("cat", path).out

    def copy(self, source: Path, path: str) -> None:
        """Copy a file of this machine's into it."""
        with source.open("rb") as content:
            subprocess.run(self.command("sh", "-c", f"cat >{path}"), stdin=content, check=True)

    def beside(
        self, *command: str, folder: Path, output: IO[bytes] | int | None = None
    ) -> subprocess.Popen[bytes]:
        """Run a program of this machine's on the other's network; its input is a pipe."""
        network = f"--net=/proc/{self._leader}/ns/net"
        return subprocess.Popen(
            ["nsenter", network, "--", *command], cwd=folder, stdin=subprocess.PIPE, stdout=output
        )


def sweep(folder: Path) -> None:
    """Remove what machines in *folder* have left whose tests were killed."""
    for left in folder.glob("*-*-*"):
        if not Path(f"/proc/{left.name.split('-')[-1]}").exists():
            _remove_group(left.name)
            shutil.rmtree(left)


# Empty control groups stay until somebody removes them, from below.
_REMOVE_GROUP = """
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup && cd "/sys/fs/cgroup/$1" 2>/dev/null || exit 0
echo 1 >cgroup.kill
for _ in $(seq 100); do grep -qx 'populated 0' cgroup.events && break; sleep 0.05; done
find "$PWD" -depth -type d -exec rmdir {} +
"""


def _remove_group(name: str) -> None:
    """End whatever still runs in a machine's control group, and remove it."""
    subprocess.run(["unshare", "--mount", "sh", "-c", _REMOVE_GROUP, "sh", name], check=True)
