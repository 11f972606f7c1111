"""Nginx as `nginx -T` prints it: read as Nginx reads it, and judged."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, cast

import pytest

from plivostatusd.config import Address, Api, Callbacks, Config, Plivo, Secrets
from plivostatusd.ctl.doctor import nginx, nginx_dump, nginx_site
from plivostatusd.ctl.doctor.check import Check
from plivostatusd.ctl.doctor.command import Said
from plivostatusd.ctl.doctor.nginx_dump import Directive, Dump, parse
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.domain.secret import Secret

SHIPPED = Path(__file__).parents[2] / "packaging" / "nginx" / "plivostatusd.conf"
URL = "https://sms.example.com"
PASS = "location /plivo/ { proxy_pass http://127.0.0.1:8787; }"


def dump(*servers: str, **files: str) -> Directive:
    """Print a configuration with these servers in its http block, and parse it."""
    text = f"# configuration file /etc/nginx/nginx.conf:\nhttp {{\n{' '.join(servers)}\n}}\n"
    for name, content in files.items():
        text += f"# configuration file /etc/nginx/{name.replace('__', '/')}:\n{content}\n"
    return parse(text)


def server(*lines: str, listen: str = "443 ssl", name: str = "sms.example.com") -> str:
    """Spell one server."""
    return f"server {{ listen {listen}; server_name {name};\n{chr(10).join(lines)}\n}}\n"


def config(*, has_tokens: bool = True, listen: str = "127.0.0.1:8787") -> Config:
    """Make a configuration."""
    address = (
        Address(path=Path(listen[5:]))
        if listen.startswith("unix:")
        else Address(
            host=listen.rpartition(":")[0].strip("[]"), port=int(listen.rpartition(":")[2])
        )
    )
    return Config(
        plivo=Plivo(auth_id="MA" + "X" * 18),
        callbacks=Callbacks(public_url=(URL,), listen=(address,)),
        api=Api(),
        secrets=Secrets(api_tokens={"a": Secret("b")} if has_tokens else {}),
    )


class Stage:
    """What the check looks at, in place of a scene that asks others."""

    def __init__(self, found: Dump, urls: tuple[str, ...], settings: Config | None) -> None:
        self.run = Namespace(options=Namespace(nginx="nginx"))
        self.config = settings
        self._found, self._urls = found, urls

    def nginx(self) -> Dump:
        """Give what Nginx said."""
        return self._found

    def public_urls(self) -> tuple[str, ...]:
        """Give the public URLs."""
        return self._urls

    def listens(self) -> tuple[str, ...]:
        """Give the public listener."""
        return tuple(map(str, self.config.callbacks.listen)) if self.config else ()


def judged(root: Directive | None, url: str = URL, **options: Any) -> list[Check]:
    """Judge a configuration."""
    told = options.pop("said", Said(0))
    settings = options["settings"] if "settings" in options else config(**options)
    stage = Stage(Dump(root, told), (url,) if url else (), settings)
    return list(nginx.check(cast("Scene", stage)))


def faults(root: Directive, url: str = URL, **options: Any) -> list[tuple[str, str]]:
    """Give name and words of all that is not ok."""
    checks = judged(root, url, **options)
    return [(check.name, check.found) for check in checks if check.state != "ok"]


# Reading


def test_the_site_as_shipped() -> None:
    """The shipped site is read whole, comments aside, and nothing is found against it."""
    root = parse(
        "# configuration file /etc/nginx/nginx.conf:\n"
        "user www-data; # comment {\nhttp { include /etc/nginx/sites-enabled/*; }\n"
        f"# configuration file /etc/nginx/sites-enabled/plivostatusd:\n{SHIPPED.read_text()}"
    )
    checks = judged(root)
    assert ["ok"] * 4 == [check.state for check in checks]
    names = [check.name for check in checks]
    assert ["nginx", "nginx path", "nginx body", "nginx exposure"] == names
    assert "/etc/nginx/sites-enabled/plivostatusd:" in checks[0].found


def test_pieces() -> None:
    """Quotes, escapes, braces in patterns and variables are read as Nginx reads them."""
    (block,) = parse(
        "# configuration file /c:\n"
        'a { b \'x y\' "q\\"r" # z;\n'
        " ${v}w c\\ d; location ~ ^/[a-f]+$ { e; } }\n"
    ).inner
    first, second = block.inner
    assert ("b", ["x y", 'q"r', "${v}w", "c\\ d"], "/c:1") == (first.name, first.words, first.place)
    assert ["~", "^/[a-f]+$"] == second.words
    assert ["location", "e"] == [each.name for each in block.walk()][1:]


def test_includes() -> None:
    """A file stands where it is included, patterns in order; one that includes itself ends."""
    root = parse(
        "# configuration file /etc/nginx/nginx.conf:\ninclude c/*.x; z;\n"
        "# configuration file /etc/nginx/c/2.x:\ntwo;\n"
        "# configuration file /etc/nginx/c/1.x:\none; include c/1.x;\n"
    )
    names = [each.name for each in root.inner]
    assert ("one", "two", "z") == (names[0], names[-2], names[-1])


@pytest.mark.parametrize("text", ["", "}", "a {", "# configuration file /c:\n}}; a;;{", "'\"{"])
def test_whatever_is_printed(text: str) -> None:
    """Nonsense is read as something, never an error."""
    assert isinstance(parse(text), Directive)


# Which server, which location


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a.example.com", "sms.example.com"], 1),
        (["*.example.com", "sms.example.com"], 1),
        (["~^sms", "*.example.com"], 1),
        (["sms.*", ".example.com"], 1),
        (["~^sms", "sms.*"], 1),
        (["~(", "~^SMS$", "~^sms"], 2),
        (["example.com", "SMS.Example.com"], 1),
    ],
)
def test_which_server(names: list[str], chosen: int) -> None:
    """Exact names come before those with a star, and these before patterns."""
    root = dump(*[server(f"mark {at};", name=f'"{name}"') for at, name in enumerate(names)])
    found = nginx_site.served(root, "sms.example.com", "443", tls=True)
    assert found is not None
    assert found.by_name
    assert [str(chosen)] == next(found.server.find("mark")).words


@pytest.mark.parametrize(
    ("listen", "port", "tls", "is_taken"),
    [
        ("443 ssl", "443", True, True),
        ("[::]:443 ssl http2", "443", True, True),
        ("127.0.0.1:443 ssl", "443", True, True),
        ("*:443 ssl", "443", True, True),
        ("443 quic", "443", True, False),
        ("443", "443", True, False),
        ("8443 ssl", "443", True, False),
        ("80", "80", False, True),
        ("localhost", "80", False, True),
        ("[::1]", "80", False, True),
        ("unix:/x:80", "80", False, False),
    ],
)
def test_which_listen(listen: str, port: str, tls: bool, is_taken: bool) -> None:
    """A server takes what comes in at its port, with TLS or without."""
    found = nginx_site.served(dump(server(listen=listen)), "sms.example.com", port, tls=tls)
    assert is_taken == (found is not None)


def test_the_default_server() -> None:
    """Where no name fits, the default takes it: the one called so, or the first."""
    plain = dump(server("mark 0;", name="a"), server("mark 1;", name="b"))
    said = dump(server("mark 0;", name="a"), server("mark 1;", listen="443 ssl default_server"))
    for root, mark in ((plain, "0"), (said, "1")):
        found = nginx_site.served(root, "other.example.com", "443", tls=True)
        assert found is not None
        assert (False, [mark]) == (found.by_name, next(found.server.find("mark")).words)


@pytest.mark.parametrize(
    ("locations", "chosen"),
    [
        (["/", "/plivo/"], 1),
        (["/plivo/", "/plivo/s"], 1),
        (["/plivo/", "= /plivo/status"], 1),
        (["/plivo/", "~ ^/pl"], 1),
        (["^~ /plivo/", "~ ^/pl"], 0),
        (["~ ^/x", "~* ^/PL", "/plivo/"], 1),
        (["@named", "/"], 1),
        (["~ (", "/"], 1),
    ],
)
def test_which_location(locations: list[str], chosen: int) -> None:
    """Locations are chosen by Nginx's own order."""
    lines = [
        f'location {each} {{ mark {at}; location "/plivo/deep" {{ }} }}'
        for at, each in enumerate(locations)
    ]
    found = nginx_site.served(dump(server(*lines)), "sms.example.com", "443", tls=True)
    assert found is not None
    blocks = nginx_site.chain(found, "/plivo/status")
    assert ["http", "server", "location"] == [each.name for each in blocks]
    assert [str(chosen)] == next(blocks[-1].find("mark")).words


@pytest.mark.parametrize(("text", "size"), [("64k", 65_536), ("1M", 2**20), ("0", 0), ("x", None)])
def test_sizes(text: str, size: int | None) -> None:
    """Sizes are read with their units."""
    assert size == nginx_site.size(text)


# What is said

GOOD = {
    "an upstream by name": (
        "upstream up { server 127.0.0.1:8787 max_fails=0; }",
        server("location /plivo/ { proxy_pass http://up; }"),
    ),
    "localhost": ("", server("location /plivo/ { proxy_pass http://localhost:8787; }")),
    "a nested location": (
        "",
        server("location / { location /plivo/ { proxy_pass http://127.0.0.1:8787; } }"),
    ),
    "the same path, spelt": (
        "",
        server("location /plivo/ { proxy_pass http://127.0.0.1:8787/plivo/; }"),
    ),
    "a file first": (
        "",
        server(
            "location /plivo/ { try_files $uri @app; }",
            f"location @app {{ {PASS.partition('{ ')[2]}",
            name="sms.example.com",
        ),
    ),
    "a larger limit": ("client_max_body_size 0;", server(PASS)),
    "a rewrite of other paths": ("", server("rewrite ^/old /new;", PASS)),
    "guards that are off": ("auth_basic off;", server(PASS)),
    "other headers": ("", server("proxy_set_header Host $host;", PASS)),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_good(name: str) -> None:
    """What works is found good."""
    http, site = GOOD[name]
    assert [] == faults(dump(http, site))


def test_a_unix_socket() -> None:
    """A listener that is a Unix socket is known again, by upstream or in the URL."""
    place = "unix:/run/plivostatusd/c.sock"
    upstream = f"upstream up {{ server {place}; }}"
    by_name = dump(upstream, server("location /plivo/ { proxy_pass http://up; }"))
    by_url = dump(server(f"location /plivo/ {{ proxy_pass http://{place}:/plivo/; }}"))
    assert [] == faults(by_name, listen=place) == faults(by_url, listen=place)
    other = dump(server("location /plivo/ { proxy_pass http://unix:/other.sock; }"))
    assert "unix:/other.sock" in faults(other, listen=place)[0][1]


def test_a_prefix() -> None:
    """A prefix of public_url has to be taken away, and that is seen either way."""
    url = f"{URL}/sms"
    good = dump(server("location /sms/plivo/ { proxy_pass http://127.0.0.1:8787/plivo/; }"))
    kept = dump(server("location /sms/plivo/ { proxy_pass http://127.0.0.1:8787; }"))
    assert [] == faults(good, url)
    ((name, found),) = faults(kept, url)
    assert "nginx path" == name
    assert found.endswith("makes /sms/plivo/REF/status of /sms/plivo/REF/status")


BAD = {
    "nothing passed on": (server("location /plivo/ { root /x; }"), "does not pass /plivo/ on"),
    "no location": (server(), "does not pass /plivo/ on"),
    "another port": (
        server("location /plivo/ { proxy_pass http://127.0.0.1:8080; }"),
        "passes it on to 127.0.0.1:8080, and the daemon listens at 127.0.0.1:8787",
    ),
    "another family": (
        server("location /plivo/ { proxy_pass http://[::1]:8787; }"),
        "passes it on to [::1]:8787",
    ),
    "a path that is cut": (
        server("location /plivo/ { proxy_pass http://127.0.0.1:8787/; }"),
        "makes /REF/status of /plivo/REF/status",
    ),
    "a rewrite": (server("rewrite ^/plivo/(.*) /$1;", PASS), "a rewrite at"),
    "a password": (server("auth_basic x;", PASS), "auth_basic at"),
    "nobody": (server("deny all;", PASS), "deny all at"),
    "some": (server("allow 192.0.2.1; deny all;", PASS), "lets some addresses in"),
    "an answer of its own": (
        server("location /plivo/ { return 404; proxy_pass http://127.0.0.1:8787; }"),
        "return at",
    ),
    "an answer to everything": (server("return 301 https://x;", PASS), "return at"),
    "no headers": (server("proxy_pass_request_headers off;", PASS), "proxy_pass_request_headers"),
    "no nonce": (
        server('proxy_set_header X-Plivo-Signature-V3-Nonce "";', PASS),
        "sets X-Plivo-Signature-V3-Nonce",
    ),
    "a small limit": (server("client_max_body_size 8k;", PASS), "client_max_body_size 8k is less"),
    "a variable": (server("location /plivo/ { proxy_pass http://$up; }"), "only Nginx knows"),
    "another name": (server(PASS, name="other.example.com"), "no server is called sms.example.com"),
    "another port of ours": (server(PASS, listen="8443 ssl"), "takes https at port 443"),
    "everything": (
        server(PASS, "location / { proxy_pass http://127.0.0.1:8787; }"),
        "passes more than /plivo/ to the daemon",
    ),
    "the local api": (
        server(PASS, "location / { proxy_pass http://127.0.0.1:8788; }"),
        "makes the local API public: anybody may send",
    ),
    "the local api elsewhere": (
        server(PASS) + server("location / { proxy_pass http://localhost:8788; }", name="x"),
        "makes the local API public: anybody may send",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad(name: str) -> None:
    """What does not work, or is open, is found, and nothing else is."""
    site, words = BAD[name]
    ((_, found),) = faults(dump(site))
    assert words in found


def test_sending_from_elsewhere() -> None:
    """The local API made public with guards and tokens is as the site shows it; else a fault."""
    guarded = "location = /send { allow 192.0.2.1; deny all; proxy_pass http://127.0.0.1:8788; }"
    root = dump(server(PASS, guarded))
    assert [] == faults(root)
    assert 1 == len(faults(root, has_tokens=False))


def test_what_cannot_be_read() -> None:
    """No Nginx, no rights and a configuration that is not good are told apart."""
    missing = judged(None, said=Said(None, is_missing=True))
    here = judged(None, "http://127.0.0.1:8787", said=Said(None, is_missing=True))
    denied = judged(None, said=Said(1, err="nginx: [emerg] x (13: Permission denied)"))
    bad = judged(None, said=Said(1, err="nginx: [emerg] unknown directive\nfailed"))
    states = [each[0].state for each in (missing, here, denied, bad)]
    assert ["warning", "ok", "warning", "fault"] == states
    assert "nginx -t" == bad[0].fix


def test_this_machine_without_nginx() -> None:
    """Where public_url is the listener itself, Nginx has no part in it."""
    root = dump(server(name="x", listen="80"))
    assert [] == faults(root, "http://127.0.0.1:8787")


def test_without_configuration() -> None:
    """Where nobody says what public_url is, that is said, and what is open is still looked for."""
    root = dump(server("location / { proxy_pass http://127.0.0.1:8788; }"))
    names = [name for name, _ in faults(root, "", settings=None)]
    assert ["nginx", "nginx exposure"] == names


def test_take() -> None:
    """Nginx is asked by -T; a program that is not there is missing."""
    assert nginx_dump.take("no-such-program-here").said.is_missing
    printed = nginx_dump.take("printf '# configuration file /c:\\na;%.0s'")
    assert printed.root is not None
    assert ["a"] == [each.name for each in printed.root.inner]
