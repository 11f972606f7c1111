"""check_plivostatus: what it asks, what it says, and how it ends."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plivostatusd import __version__
from plivostatusd.check.__main__ import main
from plivostatusd.check.verdict import CRITICAL, OK, UNKNOWN, WARNING, Datum, Verdict
from tests.unit.test_ctl_daemon import Answer, Asked, Daemon, always, free_port, problem, serving
from tests.unit.test_ctl_process import HEAVY, START_S_MAX, STARTS_TRIED

PROGRAM = [sys.executable, "-m", "plivostatusd.check"]
READY = "store writable: ok\nspool empty: ok\noutbox moving: ok\ndisk free: ok\n"
METRICS = """\
# TYPE plivostatusd_build info
plivostatusd_build_info{{version="1"}} 1.0
plivostatusd_outbox_messages{{state="pending"}} 3.0
plivostatusd_outbox_messages{{state="unknown"}} {unknown}
plivostatusd_oldest_open_message_seconds {oldest}
plivostatusd_last_callback_timestamp_seconds {last}
"""


class Figures:
    """What the daemon would say."""

    def __init__(self) -> None:
        self.ready = READY
        self.oldest = "100.0"
        self.unknown = "0.0"
        self.age_s: float | None = 50.0
        self.ratio: float | None = 0.975
        self.metrics_status = 200

    @property
    def metrics(self) -> str:
        """Spell them as Prometheus reads them."""
        last = 0.0 if self.age_s is None else time.time() - self.age_s
        return METRICS.format(unknown=self.unknown, oldest=self.oldest, last=last)

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        if asked.path == "/ready":
            is_ready = self.ready == READY
            return Answer(200 if is_ready else 503, raw=self.ready.encode())
        if asked.path == "/metrics" and self.metrics_status == 200:
            return Answer(200, raw=self.metrics.encode())
        if asked.path == "/metrics":
            return problem(self.metrics_status, "a token is wanted")
        assert asked.query["since"].endswith("Z")
        return Answer(200, {"delivery_ratio": self.ratio})


@pytest.fixture
def figures() -> Figures:
    """Good figures, to be spoilt."""
    return Figures()


@pytest.fixture
def daemon(tmp_path: Path, figures: Figures) -> Iterator[Daemon]:
    """Serve them on a Unix socket."""
    with serving("unix", tmp_path) as daemon:
        daemon.obey = figures.answer  # type: ignore[method-assign]  # this test's own good behaviour
        yield daemon


def check(daemon: Daemon, *words: str) -> tuple[int, str]:
    """Run it in this process: exit status, and its one line."""
    return run(*daemon.options, *words)


def run(*words: str) -> tuple[int, str]:
    """Run it in this process: exit status, and its one line."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(words)
    text = out.getvalue()
    assert text.endswith("\n")
    assert 1 == text.count("\n")
    return status, text.rstrip("\n")


def test_ready(daemon: Daemon) -> None:
    """A daemon that is ready is OK, with what else there is to know as performance data."""
    status, line = check(daemon)
    assert OK == status
    text, _, data = line.partition(" | ")
    assert "PLIVOSTATUS OK - ready" == text
    names = [re.match(r"(\w+)=(\d+(?:\.\d+)?)s?;;;0$", each) for each in data.split(" ")]
    assert ["oldest_open", "last_callback", "unknown_sends"] == [each[1] for each in names if each]


def test_not_ready(daemon: Daemon, figures: Figures) -> None:
    """One that is not is CRITICAL, and the line says why; a bar in it does not begin the data."""
    figures.ready = READY.replace("empty: ok", "empty: 3 callbacks wait | so")
    status, line = check(daemon)
    assert CRITICAL == status
    assert line.startswith(
        "PLIVOSTATUS CRITICAL - spool empty: 3 callbacks wait / so | oldest_open="
    )


def test_readiness_needs_no_token(daemon: Daemon, figures: Figures) -> None:
    """Who may not see the metrics still hears whether the daemon is ready."""
    figures.metrics_status = 401
    assert (OK, "PLIVOSTATUS OK - ready") == check(daemon)


@pytest.mark.parametrize(
    ("name", "words", "expected", "data"),
    [
        ("oldest-open", ["-w", "120", "-c", "600"], OK, "oldest_open=100s;120;600;0"),
        ("oldest-open", ["-w", "90", "-c", "600"], WARNING, "oldest_open=100s;90;600;0"),
        ("oldest-open", ["-w", "50", "-c", "90"], CRITICAL, "oldest_open=100s;50;90;0"),
        ("oldest-open", ["--critical", "@90:110"], CRITICAL, "oldest_open=100s;;@90:110;0"),
        ("unknown-sends", ["-c", "0"], OK, "unknown_sends=0;;0;0"),
        ("unknown-sends", ["-w", "1:"], WARNING, "unknown_sends=0;1:;;0"),
        ("delivery-ratio", ["-w", "98:"], WARNING, "delivery_ratio=97.5%;98:;;0;100"),
        ("delivery-ratio", ["-c", "90:"], OK, "delivery_ratio=97.5%;;90:;0;100"),
        ("last-callback", ["-w", "3600"], OK, "last_callback="),
        ("last-callback", ["-w", "10"], WARNING, "last_callback=5"),
    ],
)
def test_thresholds(daemon: Daemon, name: str, words: list[str], expected: int, data: str) -> None:
    """What is named is held against the ranges, the critical one first, whether ready or not."""
    status, line = check(daemon, "--check", name, *words)
    assert expected == status, line
    assert line.startswith(f"PLIVOSTATUS {['OK', 'WARNING', 'CRITICAL'][expected]} - ")
    assert line.partition(" | ")[2].startswith(data)


def test_without_thresholds(daemon: Daemon, figures: Figures) -> None:
    """Without -w and -c readiness alone is judged, and what was named is told."""
    status, line = check(daemon, "--check", "oldest-open")
    text = "PLIVOSTATUS OK - oldest open message 100 s; ready | oldest_open=100s;;;0"
    assert (OK, text) == (status, line)
    figures.ready = READY.replace("moving: ok", "moving: held")
    assert CRITICAL == check(daemon, "--check", "oldest-open")[0]
    assert OK == check(daemon, "--check", "oldest-open", "-c", "200")[0]


def test_nothing_to_tell(daemon: Daemon, figures: Figures) -> None:
    """What is not to be told is U: no ratio is fine, no callback ever is none for long."""
    figures.ratio, figures.age_s = None, None
    status, line = check(daemon, "--check", "delivery-ratio", "-c", "90:")
    assert (OK, "delivery_ratio=U;;90:;0;100") == (status, line.partition(" | ")[2])
    status, line = check(daemon, "--check", "last-callback", "-c", "86400")
    assert (CRITICAL, "last_callback=U;;86400;0") == (status, line.partition(" | ")[2])
    assert "no callback has come yet" in line


def test_a_store_that_cannot_be_read(daemon: Daemon, figures: Figures) -> None:
    """Figures that the store alone knows are CRITICAL while it cannot be read."""
    figures.oldest = "NaN"
    status, line = check(daemon, "--check", "oldest-open", "-w", "100")
    assert (CRITICAL, True) == (status, "the store cannot be read" in line)


def test_a_token_is_wanted(daemon: Daemon, figures: Figures) -> None:
    """A token that is missing is the command line's fault, and the line says what to add."""
    figures.metrics_status = 401
    status, line = check(daemon, "--check", "unknown-sends", "-c", "0")
    assert (UNKNOWN, True) == (status, "--token-file FILE" in line)
    figures.metrics_status = 500
    assert CRITICAL == check(daemon, "--check", "unknown-sends", "-c", "0")[0]


def test_with_a_token(tmp_path: Path, figures: Figures) -> None:
    """Over TCP the token of --token-file is shown."""
    tokens = tmp_path / "tokens"
    tokens.write_text("nagios s3cret-token\n")
    with serving("tcp", tmp_path) as daemon:
        daemon.obey = figures.answer  # type: ignore[method-assign]  # as in `daemon`
        status, _ = check(daemon, "--token-file", str(tokens))
    assert OK == status
    assert {"Bearer s3cret-token"} == {each.headers["Authorization"] for each in daemon.asked}


def test_unreachable(tmp_path: Path) -> None:
    """A daemon that cannot be reached is CRITICAL; what was tried is named, and what to type."""
    for where in (
        ["--socket", str(tmp_path / "no.sock")],
        ["--url", f"http://127.0.0.1:{free_port()}"],
    ):
        status, line = run(*where)
        assert CRITICAL == status
        assert line.startswith("PLIVOSTATUS CRITICAL - the daemon cannot be reached; tried ")
        assert where[1] in line
        assert "systemctl start plivostatusd" in line


def test_somebody_else_answers(daemon: Daemon) -> None:
    """An answer that is not the daemon's is never OK."""
    daemon.script += [always(Answer(200, raw=b"<html>welcome</html>"))] * 3
    for words in (
        [],
        ["--check", "oldest-open", "-c", "5"],
        ["--check", "delivery-ratio", "-c", "5"],
    ):
        assert OK != check(daemon, *words)[0], words


def test_silence(tmp_path: Path) -> None:
    """A daemon that takes the connection and says nothing is given up in time, as CRITICAL."""
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        began_s = time.monotonic()
        status, line = run("--socket", str(path), "-t", "1")
    assert CRITICAL == status
    assert "no answer" in line
    assert 0.9 < time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    "words",
    [
        ["--nonsense"],
        ["-w"],
        ["-w", "5"],
        ["--check", "nothing"],
        ["--check", "oldest-open", "-w", "20:10"],
        ["--check", "delivery-ratio", "-w", "5", "--since", "soon"],
        ["-t", "0"],
        ["-t", "never"],
        ["--socket", "/x", "--url", "http://x"],
        ["--url", "ftp://x"],
        ["--textfile", "/x/y", "--check", "oldest-open"],
        ["--config", "/nonexistent"],
        ["word"],
    ],
)
def test_wrong_usage(words: list[str]) -> None:
    """A command line that makes no sense is UNKNOWN, in one line, and nothing is asked."""
    status, line = run(*words)
    assert UNKNOWN == status
    assert line.startswith("PLIVOSTATUS UNKNOWN - ")
    assert "failed" not in line


@pytest.mark.parametrize("word", ["--help", "-h", "--version", "-V"])
def test_help_and_version(word: str) -> None:
    """Help and version end with UNKNOWN, by the guidelines: no server may take them for a check."""
    ended = subprocess.run([*PROGRAM, word], capture_output=True, text=True, check=False)
    assert (UNKNOWN, "") == (ended.returncode, ended.stderr)
    assert ended.stdout.startswith(
        f"check_plivostatus {__version__}\n" if "v" in word.lower() else "usage: check_plivostatus"
    )


def test_a_bug_is_no_state(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the plug-in itself is UNKNOWN, without a traceback."""
    monkeypatch.setattr("plivostatusd.check.__main__.Questions", lambda _: 1 / 0)
    status, line = check(daemon)
    assert (UNKNOWN, "PLIVOSTATUS UNKNOWN - this plug-in failed: ZeroDivisionError") == (
        status,
        line,
    )


def test_data() -> None:
    """Performance data have four figures behind the value, and no more than are known."""
    assert "a=1.5s;1:;~:9;0;100" == str(Datum("a", 1.5, "s", "1:", "~:9", "100"))
    assert "a=0;;;0" == str(Datum("a", 0.0))
    assert "a=1790000000s;;;0" == str(Datum("a", 1_790_000_000.0, "s"))
    assert (
        "PLIVOSTATUS OK - a / b c | a=U;;;0" == Verdict(OK, "a | b\nc", (Datum("a", None),)).line()
    )


def test_textfile(daemon: Daemon, figures: Figures, tmp_path: Path) -> None:
    """The exporter's file is the daemon's metrics, and says that the daemon is there."""
    path = tmp_path / "out" / "plivostatusd.prom"
    path.parent.mkdir()
    before = os.umask(0o077)
    try:
        status, line = check(daemon, "--textfile", str(path))
    finally:
        os.umask(before)
    assert (OK, f"PLIVOSTATUS OK - metrics written to {path}") == (status, line)
    up, _, rest = path.read_text().partition("plivostatusd_up 1\n")
    assert up.startswith("# HELP plivostatusd_up ")
    assert rest.partition("timestamp")[0] == figures.metrics.partition("timestamp")[0]
    assert 0o644 == stat.S_IMODE(path.stat().st_mode)
    assert [path.name] == [each.name for each in path.parent.iterdir()]


def test_textfile_of_a_daemon_that_is_away(tmp_path: Path) -> None:
    """When the daemon does not answer, the file says so, and no old figure is left in it."""
    path = tmp_path / "plivostatusd.prom"
    path.write_text("plivostatusd_spool_records 0\n")
    status, line = run("--socket", str(tmp_path / "no.sock"), "--textfile", str(path))
    assert CRITICAL == status
    assert "cannot be reached" in line
    assert path.read_text().endswith("\nplivostatusd_up 0\n")
    assert "spool_records" not in path.read_text()


def test_textfile_is_replaced_in_one_step(daemon: Daemon, tmp_path: Path) -> None:
    """Who has the old file open reads it whole: the new one is another file."""
    path = tmp_path / "plivostatusd.prom"
    path.write_text("old\n")
    with path.open() as old:
        check(daemon, "--textfile", str(path))
        assert "old\n" == old.read()
    assert "plivostatusd_up 1" in path.read_text()


def test_textfile_that_cannot_be_written(daemon: Daemon, tmp_path: Path) -> None:
    """A place that cannot be written is UNKNOWN, and named."""
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "gone" / "x.prom", tmp_path / "taken"):
        status, line = check(daemon, "--textfile", str(path))
        assert UNKNOWN == status
        assert f"{path} cannot be written" in line
    assert {"taken", "api.sock"} == {each.name for each in tmp_path.iterdir()}


def test_starts_light(tmp_path: Path) -> None:
    """It imports nothing heavy, and is done as fast as a check every minute should be."""
    script = (
        "import sys; from plivostatusd.check.__main__ import main; "
        "main(['--socket', '/nonexistent']); "
        f"print(sorted(set('{HEAVY}'.split()) & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.endswith("\n[]\n")
    taken_s = []
    for _ in range(STARTS_TRIED):
        process = subprocess.Popen(
            [*PROGRAM, "--socket", "/nonexistent"], stdout=subprocess.DEVNULL
        )
        _, ended_with, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(ended_with)
        taken_s.append(used.ru_utime + used.ru_stime)  # its own time, whoever else is busy here
    assert min(taken_s) < START_S_MAX
