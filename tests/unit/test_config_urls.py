from __future__ import annotations

import pytest

from plivostatusd.config.problem import Unfit
from plivostatusd.config.urls import api_url, is_plain_to_the_world, proxy_url, public_url


@pytest.mark.parametrize(
    "text",
    [
        "https://sms.example.com",
        "https://SMS.Example.com",
        "https://sms.example.com:443",
        "https://sms.example.com:8443/sms",
        "http://127.0.0.1:8787",
        "http://localhost:8787/a/b",
        "https://xn--bcher-kva.example/%C3%A9/a.b~c",
    ],
)
def test_a_public_url_is_kept_verbatim(text: str) -> None:
    """Signatures are over the exact text: case, port and escapes stay as they were written."""
    assert public_url(text) == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("https://a.example/", "ends in a slash"),
        ("https://a.example/sms/", "ends in a slash"),
        ("https://a.example?x=1", "has a query"),
        ("https://a.example/sms?", "has a query"),
        ("https://a.example#x", "has a fragment"),
        ("https://u:p@a.example", "carries a user name or password"),
        ("https://u@a.example/x", "carries a user name or password"),
        ("a.example", "does not begin with https:// or http://"),
        ("ftp://a.example", "does not begin with https:// or http://"),
        ("HTTPS://a.example", "does not begin with https:// or http://"),
        ("https:///sms", "has no valid host name"),
        ("https://", "has no valid host name"),
        ("https://a_b.example", "has no valid host name"),
        ("https://a b.example", "has no valid host name"),
        ("https://1.2.3", "has no valid host name"),
        ("https://[zz]", "has no valid host name"),
        ("https://a.example:", "has no valid port after the colon"),
        ("https://a.example:0", "has no valid port after the colon"),
        ("https://a.example:070", "has no valid port after the colon"),
        ("https://a.example:65536", "has no valid port after the colon"),
        ("https://a.example:80x", "has no valid port after the colon"),
        ("https://a.example//sms", "has an empty step (//) in its path"),
        ("https://a.example/a/../b", "has . or .. for a step of its path"),
        ("https://a.example/a/.", "has . or .. for a step of its path"),
        ("https://a.example/%2e%2E/b", "has . or .. for a step of its path"),
        ("https://a.example/%zz", "has a % that two hexadecimal digits do not follow"),
        ("https://a.example/a%2", "has a % that two hexadecimal digits do not follow"),
        ("https://a.example/a;b", "has a character in its path that is not safe there"),
        ("https://a.example/a b", "has a character in its path that is not safe there"),
        ("https://a.example/a\\b", "has a character in its path that is not safe there"),
    ],
)
def test_what_no_public_url_may_have(text: str, what: str) -> None:
    """A shape that signers or proxies read differently is refused by name."""
    with pytest.raises(Unfit) as caught:
        public_url(text)
    assert caught.value.what == what


@pytest.mark.parametrize(
    "text", ["https://bücher.example", "https://a.example/é", "https://a\u2028b"]
)
def test_a_public_url_is_ascii(text: str) -> None:
    """Raw non-ASCII is refused, with the way to write it."""
    with pytest.raises(Unfit, match="outside ASCII"):
        public_url(text)


def test_a_public_url_has_no_ipv6_literal() -> None:
    """SDKs mangle an IPv6 host, so none is accepted."""
    with pytest.raises(Unfit, match="IPv6"):
        public_url("https://[2001:db8::1]/sms")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.plivo.com", "https://api.plivo.com"),
        ("https://api.plivo.com/", "https://api.plivo.com"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/base/", "http://[::1]:9000/base"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_the_base_of_the_api(text: str, expected: str) -> None:
    """The API's base loses one trailing slash and nothing else."""
    assert api_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://api.plivo.com",
        "http://192.0.2.1",
        "http://localhost.example.com",
        "https://u:p@api.plivo.com",
        "https://api.plivo.com?x",
        "https://api.plivo.com//",
        "api.plivo.com",
    ],
)
def test_the_token_is_not_sent_in_the_clear(text: str) -> None:
    """An API base over plain http to another machine, or of a strange shape, is refused."""
    with pytest.raises(Unfit):
        api_url(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://proxy:3128/", "http://proxy:3128"),
        ("https://u:p%40@10.0.0.1:3128", "https://u:p%40@10.0.0.1:3128"),
    ],
)
def test_a_proxy(text: str, expected: str) -> None:
    """A proxy may carry a user and password."""
    assert proxy_url(text) == expected


@pytest.mark.parametrize(
    "text", ["proxy:3128", "socks5://p:1", "http://p:1/x", "http://p:1?x", "http://u:p@"]
)
def test_what_is_no_proxy(text: str) -> None:
    """What the SDK could not use as a proxy is refused."""
    with pytest.raises(Unfit):
        proxy_url(text)


def test_plain_http_to_the_world() -> None:
    """Only http to another machine is plain to the world."""
    urls = ["http://a.example/x", "https://a.example", "http://localhost:1", "http://127.0.0.1"]
    assert [is_plain_to_the_world(url) for url in urls] == [True, False, False, False]
