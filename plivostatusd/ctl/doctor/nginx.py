"""Nginx: does it take /plivo/ of public_url to our listener, unchanged, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plivostatusd.config import Config
from plivostatusd.ctl.doctor import nginx_site as site
from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.nginx_dump import Directive, Dump
from plivostatusd.ctl.doctor.public_address import Place
from plivostatusd.ctl.doctor.scene import Scene

NAME = "nginx"
_SAY, _PATH, _BODY, _EXPOSED = (
    Named(name) for name in (NAME, "nginx path", "nginx body", "nginx exposure")
)
_REF = "0123456789abcdef0123456789abcdef"
_API_DEFAULT = "127.0.0.1:8788"
_GUARDS = ("allow", "deny", "auth_basic", "auth_request", "satisfy", "internal")


@dataclass(frozen=True, slots=True)
class _Way:
    """How a callback goes through Nginx: the blocks it comes to, and its path there."""

    place: Place
    blocks: list[Directive]
    prefix: str
    listens: tuple[str, ...]

    @property
    def location(self) -> Directive:
        """The innermost block."""
        return self.blocks[-1]

    @property
    def pass_line(self) -> str:
        """The line that the location should have."""
        upstream = self.listens[0] if self.listens else "127.0.0.1:8787"
        tail = "/plivo/" if self.prefix else ""
        passes = (
            f"proxy_pass http://{upstream}{':' if tail and upstream.startswith('unix:') else ''}"
        )
        return f"in Nginx: location {self.prefix}/plivo/ {{ {passes}{tail}; }}"


def check(scene: Scene) -> Iterator[Check]:
    """Read what `nginx -T` says, and follow a callback through it."""
    dump = scene.nginx()
    urls = scene.public_urls()
    if dump.root is None:
        yield _unread(dump, urls)
        return
    listens = scene.listens()
    ways = [_way(dump.root, url, listens) for url in urls]
    for way in ways:
        if isinstance(way, Check):
            yield way
        else:
            yield from _server(way)
            yield from _path(way)
            yield from _body(way, scene.config)
    if not urls:
        yield _SAY.warning("not looked through: no public_url is known")
    yield from _exposed(dump.root, scene.config, listens)


def _unread(dump: Dump, urls: tuple[str, ...]) -> Check:
    said = dump.said
    if said.is_missing:
        if urls and all(Place.of(url).is_loopback for url in urls):
            return _SAY.ok("none here, and public_url is this machine: nothing stands between")
        return _SAY.warning("there is none on this machine: the way here cannot be looked through")
    if "ermission denied" in said.err:
        return _SAY.warning(
            "its configuration may be read by root alone", "sudo plivostatusctl doctor"
        )
    return _SAY.fault(f"its configuration is not good: {said.last_line or 'no answer'}", "nginx -t")


def _way(root: Directive, url: str, listens: tuple[str, ...]) -> _Way | Check:
    place = Place.of(url)
    served = site.served(root, place.host, str(place.port), tls=place.is_tls)
    if served is None:
        if place.is_loopback:
            return _SAY.ok(f"{url} is this machine: Nginx has no part in it")
        kind = "https" if place.is_tls else "http"
        return _SAY.warning(
            f"no server of it takes {kind} at port {place.port}",
            "ln -s ../sites-available/plivostatusd /etc/nginx/sites-enabled/ && nginx -t"
            " && systemctl reload nginx",
        )
    prefix = url.partition("://")[2].partition("/")
    path = f"/{prefix[2]}" if prefix[1] else ""
    if not served.by_name:
        return _SAY.fault(
            f"no server is called {place.host}; {served.server.place} takes it in its stead",
            f"in Nginx: server_name {place.host};",
        )
    blocks = site.chain(served, f"{path}/plivo/{_REF}/status")
    return _Way(place, blocks, path, listens)


def _server(way: _Way) -> Iterator[Check]:
    yield _SAY.ok(f"{way.place.url} is served by {way.blocks[1].place}")


# The path


def _path(way: _Way) -> Iterator[Check]:
    faults = list(_path_faults(way))
    if faults:
        yield from faults
    else:
        yield _PATH.ok(f"{way.prefix}/plivo/ goes to {', '.join(way.listens)} as it came")


def _path_faults(way: _Way) -> Iterator[Check]:
    location, place = way.location, way.location.place
    passes = next(location.find("proxy_pass"), None)
    for each in site.rewrites(way.blocks, f"{way.prefix}/plivo/{_REF}/status"):
        yield _PATH.fault(f"a rewrite at {each.place} changes it", f"remove it: {each.place}")
    yield from _taken_away(way)
    if passes is None:
        yield _PATH.fault(f"{place} does not pass {way.prefix}/plivo/ on", way.pass_line)
        return
    target = site.target(passes, way.blocks[0])
    if target is None:
        yield _PATH.warning(f"{passes.place} passes it on to what only Nginx knows (a variable)")
        return
    if not any(_same(address, listen) for address in target.addresses for listen in way.listens):
        yield _PATH.fault(
            f"{passes.place} passes it on to {', '.join(target.addresses)}, and the daemon listens"
            f" at {', '.join(way.listens)}",
            way.pass_line,
        )
    for tail in (f"/plivo/{_REF}/status", "/plivo/status"):
        arrives = site.passed_path(location, target, way.prefix + tail)
        if arrives != tail:
            shown = arrives.replace(_REF, "REF")
            yield _PATH.fault(
                f"{passes.place} makes {shown} of {way.prefix + tail.replace(_REF, 'REF')}",
                way.pass_line,
            )
            return


def _taken_away(way: _Way) -> Iterator[Check]:
    """Look for what keeps a request, or what it is signed by, from going on."""
    for name in ("auth_basic", "return"):
        found = site.in_force(way.blocks[1:] if name == "return" else way.blocks, name)
        if found is not None and found.words[:1] != ["off"]:
            yield _PATH.fault(
                f"{name} at {found.place} keeps Plivo out", f"remove it: {found.place}"
            )
    allowed = site.all_in_force(way.blocks, "allow")
    for each in site.all_in_force(way.blocks, "deny"):
        if each.words[:1] == ["all"] and allowed:
            yield _PATH.warning(f"{allowed[0].place} lets some addresses in: are they Plivo's?")
        elif each.words[:1] == ["all"]:
            yield _PATH.fault(
                f"deny all at {each.place} keeps Plivo out", f"remove it: {each.place}"
            )
    for name in ("proxy_pass_request_headers", "proxy_pass_request_body"):
        found = site.in_force(way.blocks, name)
        if found is not None and found.words[:1] == ["off"]:
            yield _PATH.fault(f"{name} is off at {found.place}", f"remove it: {found.place}")
    for each in site.all_in_force(way.blocks, "proxy_set_header"):
        if each.words and each.words[0].lower().startswith("x-plivo-signature"):
            yield _PATH.fault(
                f"{each.place} sets {each.words[0]}, by which callbacks are verified",
                f"remove it: {each.place}",
            )


def _same(address: str, listen: str) -> bool:
    """Say whether Nginx's *address* is where the daemon listens."""
    if address == listen:
        return True
    host, _, port = address.rpartition(":")
    ours, _, our_port = listen.rpartition(":")
    here = {"127.0.0.1", "localhost", "[::1]"}
    all_ = {"0.0.0.0", "[::]"}  # noqa: S104 - recognised here, not bound
    is_one = "localhost" in {host, ours} and {host, ours} <= here
    return port == our_port and (is_one or (host in here and ours in all_))


# The body, and what else is open


def _body(way: _Way, config: Config | None) -> Iterator[Check]:
    if config is None:
        return
    most = config.callbacks.body_max
    found = site.in_force(way.blocks, "client_max_body_size")
    text = found.words[0] if found and found.words else site.DEFAULT_BODY
    allowed = site.size(text)
    if allowed and allowed < most:
        yield _BODY.fault(
            f"client_max_body_size {text} is less than callbacks.body_max ({most} bytes)",
            "in Nginx: client_max_body_size 64k;",
        )
    else:
        yield _BODY.ok(f"bodies up to {text} pass; callbacks.body_max is {most} bytes")


def _exposed(root: Directive, config: Config | None, listens: tuple[str, ...]) -> Iterator[Check]:
    apis = tuple(map(str, config.api.listen)) if config else (_API_DEFAULT,)
    has_tokens = bool(config and config.secrets.api_tokens)
    found = [check for each in _passing(root) for check in _one(each, apis, listens, has_tokens)]
    if found:
        yield from found
    else:
        yield _EXPOSED.ok("nothing of the daemon but /plivo/ is public")


def _passing(root: Directive) -> Iterator[tuple[Directive, Directive, Directive]]:
    """Give each proxy_pass with its location and the http block."""
    for http, server in site.servers(root):
        for location in server.walk():
            if location.name == "location":
                for passes in location.find("proxy_pass"):
                    yield http, location, passes


def _one(
    found: tuple[Directive, Directive, Directive],
    apis: tuple[str, ...],
    listens: tuple[str, ...],
    has_tokens: bool,  # noqa: FBT001 - read by one caller
) -> Iterator[Check]:
    http, location, passes = found
    target = site.target(passes, http)
    addresses = target.addresses if target else ()
    if any(_same(address, api) for address in addresses for api in apis):
        if any(next(location.find(name), None) for name in (*_GUARDS, "if")) and has_tokens:
            yield _EXPOSED.ok(f"{passes.place} lets others send, guarded there and by tokens")
        else:
            yield _EXPOSED.fault(
                f"{passes.place} makes the local API public: anybody may send",
                "remove that location, or add allow and deny to it and set api.token_file",
            )
    elif any(_same(address, listen) for address in addresses for listen in listens):
        pattern = location.words[-1] if location.words else ""
        if "/plivo" not in pattern and not pattern.startswith("@"):
            yield _EXPOSED.warning(
                f"{location.place} passes more than /plivo/ to the daemon",
                "in Nginx: location /plivo/ in place of it",
            )
