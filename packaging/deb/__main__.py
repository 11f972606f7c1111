"""
Makes a source tree ready for dpkg-buildpackage.

    python -m deb TREE WHEELS SECONDS

TREE is what is committed, unpacked; WHEELS the folder of its wheels, SECONDS the time of the
commit. TREE/debian comes from packaging/debian, with its changelog; TREE/made holds what
debian/rules installs beside what is in the tree. Without network, and the same every time.
"""

from __future__ import annotations

import shutil
import sys
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deb import completion, manual
from deb.changelog import ChangelogError, debian_changelog
from deb.vendor import Clash, merge
from deb.wheels import ready
from plivostatusd import __version__
from plivostatusd.config import example

PACKAGED: Final = {"api.listen": "unix:/run/plivostatusd/api.sock, 127.0.0.1:8788"}
"""What the package's configuration file says otherwise than the defaults."""


def prepare(tree: Path, wheels: Path, committed: datetime) -> None:
    """
    Make *tree* ready.

    Raises:
        ChangelogError, Clash, FileNotFoundError: what it is made of does not fit together.
    """
    shutil.copytree(tree / "packaging" / "debian", tree / "debian")
    _write(tree / "debian" / "changelog", _changelog(tree, committed))
    made = tree / "made"
    merge(ready(wheels, tree / "requirements" / "runtime.txt"), made / "vendor")
    _write(made / "plivostatusd.conf", example(PACKAGED))
    for source in sorted((tree / "packaging" / "man").glob("*.scd")):
        _write(made / "man" / source.name, manual.page(source.stem, source.read_text("utf-8")))
    for program in completion.PROGRAMS:
        for shell in completion.SHELLS:
            _write(made / shell / program, completion.script(program, shell))


def _changelog(tree: Path, committed: datetime) -> str:
    return debian_changelog(
        (tree / "CHANGELOG.md").read_text("utf-8"),
        version=__version__,
        now=committed,
        maintainer=_maintainer(tree),
    )


def _maintainer(tree: Path) -> str:
    """Return the maintainer as debian/control has it; it reads like an ini file, but for blanks."""
    control = ConfigParser(delimiters=(":",), interpolation=None)
    source = (tree / "debian" / "control").read_text("utf-8").partition("\n\n")[0]
    control.read_string(f"[source]\n{source}")
    return control["source"]["Maintainer"]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Run the command."""
    tree, wheels, seconds = sys.argv[1:]
    try:
        prepare(Path(tree), Path(wheels), datetime.fromtimestamp(int(seconds), tz=UTC))
    except (ChangelogError, Clash, FileNotFoundError) as problem:
        sys.stderr.write(f"build-deb: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
