"""What is in the package: files and their modes, what it depends on, how large it is."""

from __future__ import annotations

import re
import shutil
import stat
import struct
import subprocess
from configparser import ConfigParser
from email.parser import HeaderParser
from fnmatch import fnmatch
from pathlib import Path

import pytest

from deb.vendor import is_kept
from plivostatusd import __version__
from plivostatusd.config import example
from tests.meta.documents import DOCS, links
from tests.package.built import ROOT, Package, build, native_architecture

pytestmark = [
    pytest.mark.takes(30),
    pytest.mark.timeout(300),  # the first to ask for the package may have to build it
]

DEB_MIB_MAX = 10
INSTALLED_MIB_MAX = 45
# Measured on Debian 12: what py3compile adds is 1.7 times the modules' own size, at most.
COMPILED_SHARE_MAX = 1.7

VENDOR = "usr/lib/plivostatusd/vendor"
FILES = {
    "etc/plivostatusd/plivostatusd.conf": 0o640,
    "etc/plivostatusd/credentials": 0o700,
    "etc/nginx/sites-available/plivostatusd": 0o644,
    "usr/bin/plivostatusctl": 0o755,
    "usr/sbin/plivostatusd": 0o755,
    "usr/lib/nagios/plugins/check_plivostatus": 0o755,
    "usr/lib/plivostatusd/plivostatusd/__main__.py": 0o644,
    f"{VENDOR}/plivo/__init__.py": 0o644,
    "usr/lib/systemd/system/plivostatusd.service": 0o644,
    "usr/lib/sysusers.d/plivostatusd.conf": 0o644,
    "usr/share/bash-completion/completions/check_plivostatus": 0o644,
    "usr/share/bash-completion/completions/plivostatusctl": 0o644,
    "usr/share/bash-completion/completions/plivostatusd": 0o644,
    "usr/share/doc/plivostatusd/README.Debian": 0o644,
    "usr/share/doc/plivostatusd/changelog.gz": 0o644,
    "usr/share/doc/plivostatusd/copyright": 0o644,
    "usr/share/doc/plivostatusd/README.md": 0o644,
    "usr/share/doc/plivostatusd/docs/install.md": 0o644,
    "usr/share/doc/plivostatusd/docs/troubleshooting.md": 0o644,
    "usr/share/doc/plivostatusd/examples/encrypted-credentials.conf": 0o644,
    "usr/share/doc/plivostatusd/examples/nginx/plivostatusd.conf": 0o644,
    "usr/share/doc/plivostatusd/examples/plivostatusd.conf.example": 0o644,
    "usr/share/doc/plivostatusd/examples/plivostatusd-textfile.service": 0o644,
    "usr/share/doc/plivostatusd/examples/plivostatusd-textfile.timer": 0o644,
    "usr/share/man/man1/check_plivostatus.1.gz": 0o644,
    "usr/share/man/man1/plivostatusctl.1.gz": 0o644,
    "usr/share/man/man5/plivostatusd.conf.5.gz": 0o644,
    "usr/share/man/man7/plivostatusd-webhook.7.gz": 0o644,
    "usr/share/man/man8/plivostatusd.8.gz": 0o644,
    "usr/share/plivostatusd/prometheus/plivostatusd-dashboard.json": 0o644,
    "usr/share/plivostatusd/prometheus/plivostatusd.rules.yml": 0o644,
    "usr/share/python3/runtime.d/plivostatusd.rtupdate": 0o755,
    "usr/share/zsh/vendor-completions/_check_plivostatus": 0o644,
    "usr/share/zsh/vendor-completions/_plivostatusctl": 0o644,
    "usr/share/zsh/vendor-completions/_plivostatusd": 0o644,
}
CONFFILES = {"/etc/plivostatusd/plivostatusd.conf", "/etc/nginx/sites-available/plivostatusd"}
MACHINES = {"amd64": 62, "arm64": 183}  # EM_X86_64, EM_AARCH64 (elf.h)


def test_files_and_modes(package: Package) -> None:
    """Everything an admin expects is there, root's, with the mode it should have."""
    found = {name: stat.S_IMODE(package.members[name].mode) for name in FILES}
    assert found == FILES
    assert {("root", "root")} == {(each.uname, each.gname) for each in package.members.values()}


def test_nothing_is_open_to_others(package: Package) -> None:
    """Nobody but root may write anything that is installed, and nothing runs as somebody else."""
    loose = stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID
    assert [] == [name for name, each in package.members.items() if each.mode & loose]


def test_conffiles(package: Package) -> None:
    """Settings and site are conffiles: an upgrade keeps what the admin wrote there."""
    assert set((package.scripts() / "conffiles").read_text().split()) == CONFFILES


def test_no_secret_is_shipped(package: Package) -> None:
    """The credentials' folder is empty: each machine makes or stores its own."""
    inside = [name for name in package.members if name.startswith("etc/plivostatusd/credentials/")]
    assert [] == inside


def test_settings_are_the_defaults_but_for_the_socket(package: Package) -> None:
    """The configuration file says the defaults, with the API on a Unix socket as well."""
    text = package.text("etc/plivostatusd/plivostatusd.conf")
    ours = {"api.listen": "unix:/run/plivostatusd/api.sock, 127.0.0.1:8788"}
    assert example(ours) == text
    settings = ConfigParser(delimiters=("=",), interpolation=None)
    settings.read_string(text)
    said = {f"{name}.{key}": settings[name][key] for name in settings for key in settings[name]}
    assert said == {"plivo.auth_id": "", "callbacks.public_url": "", **ours}


def test_site_is_the_one_that_is_tested(package: Package) -> None:
    """Nginx gets the very site that the tests put before the daemon."""
    site = (ROOT / "packaging" / "nginx" / "plivostatusd.conf").read_text()
    assert site == package.text("etc/nginx/sites-available/plivostatusd")


def test_version(package: Package) -> None:
    """The package bears the program's version, and its architecture."""
    assert (__version__, package.arch) == (
        package.control["Version"],
        package.control["Architecture"],
    )


@pytest.mark.parametrize(
    ("python", "is_good"),
    [
        ("3.10.6-1", False),
        ("3.11.2-1+b1", True),
        ("3.12.3-0", False),
        ("3.12~rc1-1", False),
        ("3.13~rc1-1", True),
        ("3.13.5-1", True),
        ("3.14.0-1", False),
    ],
)
def test_pythons(native: Package, python: str, *, is_good: bool) -> None:
    """Depends admits the Pythons that the package has modules for, and no other."""
    wanted = [each for each in native.control["Depends"].split(", ") if "python3" in each]
    assert len(wanted) == 3
    assert is_good == all(
        any(holds(python, one) for one in each.split(" | ")) for each in wanted
    ), wanted


def holds(version: str, relation: str) -> bool:
    """Say whether *version* of python3 satisfies *relation*, by dpkg's own judgement."""
    match = re.fullmatch(r"python3 \((\S+) (\S+)\)", relation)
    assert match, relation
    command = ["dpkg", "--compare-versions", version, match[1], match[2]]
    return not subprocess.run(command, check=False).returncode


def test_size(package: Package) -> None:
    """The package is small, and with the modules compiled at installation still is."""
    assert package.path.stat().st_size <= DEB_MIB_MAX << 20
    modules = sum(each.size for name, each in package.members.items() if name.endswith(".py"))
    installed = int(package.control["Installed-Size"]) * 1024 + COMPILED_SHARE_MAX * modules
    assert installed <= INSTALLED_MIB_MAX << 20


def test_modules_are_for_the_machine(package: Package) -> None:
    """Every compiled module is for the package's architecture, by its ELF header."""
    compiled = list(package.compiled())
    assert compiled
    for path in compiled:
        magic, machine = struct.unpack_from("<4s14xH", path.read_bytes())
        assert (b"\x7fELF", MACHINES[package.arch]) == (magic, machine), path


def test_modules_for_each_python(package: Package) -> None:
    """What is compiled is there for Python 3.11 and 3.13, or for any."""
    for_each: dict[str, set[str]] = {}
    for path in package.compiled():
        stem, tag = path.name.removesuffix(".so").split(".", 1)
        for_each.setdefault(f"{path.parent}/{stem}", set()).add(tag.split("-linux")[0])
    assert for_each
    for module, tags in for_each.items():
        assert tags in ({"abi3"}, {"cpython-311-x86_64", "cpython-313-x86_64"}) or tags == {
            "cpython-311-aarch64",
            "cpython-313-aarch64",
        }, module


def test_modules_need_the_c_library_alone(package: Package) -> None:
    """No compiled module needs more than the C library, of the version that Depends names."""
    assert "libc6 (>= 2.28)" in package.control["Depends"]
    for path in package.compiled():
        said = subprocess.run(
            ["readelf", "--dynamic", "--version-info", "--wide", path],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", said))
        parts = {"libc.so.6", "libm.so.6", "libpthread.so.0", "librt.so.1"}
        assert needed <= parts | {"ld-linux-aarch64.so.1"}, path
        versions = [
            tuple(map(int, each.split("."))) for each in re.findall(r"GLIBC_([\d.]+)", said)
        ]
        assert max(versions) <= (2, 28), path


def test_lintian(package: Package) -> None:
    """Lintian has neither errors nor warnings."""
    assert shutil.which("lintian")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", package.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stdout)


def test_overrides_have_reasons(native: Package) -> None:
    """Each tag of lintian's that is overridden has its reason above it."""
    lines = native.text("usr/share/lintian/overrides/plivostatusd").splitlines()
    overrides = [number for number, line in enumerate(lines) if not line.startswith("#")]
    assert overrides
    assert [] == [lines[each] for each in overrides if not lines[each - 1].startswith("# ")]


def test_twice_the_same(tmp_path: Path, native: Package) -> None:
    """Built again, elsewhere and in another locale and zone, the package is the same to the bit."""
    again = build(
        native_architecture(),
        BUILD=str(tmp_path / "build"),
        DIST=str(tmp_path / "dist"),
        LC_ALL="C",
        TZ="Pacific/Auckland",
        HOME=str(tmp_path),
    )
    assert again.read_bytes() == native.path.read_bytes()


def vendored(package: Package) -> dict[str, Path]:
    """Return what each library that the package brings says of itself, by name."""
    found = {}
    for metadata in sorted((package.root / VENDOR).glob("*.dist-info/METADATA")):
        found[HeaderParser().parsestr(metadata.read_text("utf-8"))["Name"].lower()] = metadata
    return found


def test_everything_locked_is_vendored(package: Package) -> None:
    """The libraries are those of the run-time lock, at its versions, and no others."""
    lock = (ROOT / "requirements" / "runtime.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    found = {
        name.replace("_", "-"): HeaderParser().parsestr(metadata.read_text("utf-8"))["Version"]
        for name, metadata in vendored(package).items()
    }
    assert found == locked


def test_the_lock_has_no_conditions() -> None:
    """The lock holds for every Python alike: pip would judge a marker by the one it runs on."""
    lines = (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
    assert [] == [line for line in lines if "==" in line and ";" in line]


def stanzas(text: str) -> list[dict[str, str]]:
    """Return the paragraphs of a machine-readable copyright file."""
    return [
        {key: value or "" for key, value in HeaderParser().parsestr(each.strip()).items()}
        for each in text.split("\n\n")
    ]


SAME = {"mit": "expat", "mit license": "expat", "apache 2.0": "apache-2.0"}
UNSAID = {"aiosqlite": "Expat"}
"""Those whose metadata names a licence by classifier alone."""


def licence_of(name: str, metadata: Path) -> set[str]:
    """Return the licences that a library's metadata names, in Debian's spelling."""
    said = HeaderParser().parsestr(metadata.read_text("utf-8"))
    text = said["License-Expression"] or said["License"] or UNSAID[name]
    return {SAME.get(each, each) for each in re.split(r" and | or ", text.lower())}


def test_copyright_covers_every_library(native: Package) -> None:
    """Each library's files have a paragraph in copyright, with the licence its authors name."""
    paragraphs = stanzas(native.text("usr/share/doc/plivostatusd/copyright"))
    files = [each for each in paragraphs if "Files" in each]
    for name, metadata in vendored(native).items():
        folder = metadata.parent.relative_to(native.root)
        matching = [
            each
            for each in files
            for pattern in each["Files"].split()
            if pattern != "*" and fnmatch(f"{folder}/", pattern)
        ]
        assert len(matching) == 1, name
        named = set(re.split(r" and | or ", matching[0]["License"].lower()))
        more = {"bsd-2-clause"} if name == "prometheus_client" else set()  # one file's, below
        assert named | more == licence_of(name, metadata), name
    texts = {each.get("License", "").split("\n")[0] for each in paragraphs if "Files" not in each}
    wanted = {word for each in files for word in re.split(r" and | or ", each["License"])}
    assert wanted <= texts


def test_every_file_is_somebodys(native: Package) -> None:
    """No vendored file is left to the paragraph for our own."""
    patterns = [
        pattern
        for each in stanzas(native.text("usr/share/doc/plivostatusd/copyright"))
        for pattern in each.get("Files", "").split()
        if pattern != "*"
    ]
    names = [name for name in native.members if name.startswith(f"{VENDOR}/")]
    names = [name for name in names if native.members[name].isfile()]
    assert names
    assert [] == [name for name in names if not any(fnmatch(name, each) for each in patterns)]


def test_documents_lead_somewhere(native: Package) -> None:
    """Every document of the project's docs/ is installed, and so is what each links to."""
    folder = native.root / "usr/share/doc/plivostatusd"
    installed = {path.name for path in (folder / "docs").iterdir()}
    assert {path.name for path in DOCS.iterdir()} == installed
    for path in (folder / "docs").iterdir():
        for file, _ in links(path):
            assert (path.parent / file).exists(), f"{path.name}: {file}"


def test_nothing_superfluous(package: Package) -> None:
    """Tests, headers, sources of compiled modules and what is not text for a person stay out."""
    names = [name for name in package.members if name.startswith(f"{VENDOR}/")]
    kept = [name.removeprefix(f"{VENDOR}/") for name in names if package.members[name].isfile()]
    assert [] == [name for name in kept if not is_kept(name)]
    assert [] == [name for name in package.members if "__pycache__" in name or ".egg-info" in name]
