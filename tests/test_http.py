from __future__ import annotations

import pytest
import requests
from simple_index import Answer, SimpleIndex

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.http import bound, fetch_text, is_address, session, shown
from wheelbuilder.inputs.texts import MOST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://index.example.org/simple", True),
        ("http://[::1]:8080/", True),
        ("file:///srv/simple", False),
        ("index.example.org/simple", False),
        ("https://", False),
        ("constraints.txt", False),
    ],
)
def test_addresses(text: str, expected: bool) -> None:
    assert is_address(text) is expected


def test_names_and_passwords_are_not_shown() -> None:
    assert shown("https://me:secret@index.example.org/simple/") == "https://index.example.org/simple/"
    with SimpleIndex() as index:
        url = index.url.replace("//", "//me:secret@")
        with pytest.raises(UnreachableError) as error:
            fetch_text(url)
    assert "secret" not in error.value.message


def test_text_is_utf_8_whatever_the_server_says() -> None:
    with SimpleIndex() as index:
        index.serve("pins", Answer(body="# é\n".encode(), content_type="text/plain; charset=latin-1"))
        assert fetch_text(f"{index.url}pins/") == "# é\n"


def test_a_body_without_end_is_not_read_to_its_end() -> None:
    with SimpleIndex() as index:
        index.serve("pins", Answer(body=b"a===1\n" * (MOST // 6 + 1), content_type="text/plain"))
        with pytest.raises(ConfigurationError, match=r"/pins/ gives more than 16 MiB\."):
            fetch_text(f"{index.url}pins/")


def test_who_is_not_there_is_told_without_numbers_of_the_system() -> None:
    with SimpleIndex() as index:
        gone = index.url
    for url, words in ((gone, "Connection refused"), ("http://none.invalid/", "Failed to resolve")):
        with pytest.raises(UnreachableError, match=words) as error:
            fetch_text(url)
        assert "Errno" not in error.value.message


def test_the_environment_is_read_once_for_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", "direct.example.org")
    for host, proxied in (("index.example.org", True), ("direct.example.org", False)):
        made: requests.Session = bound(session(), f"https://{host}/simple/")
        assert ("https" in made.proxies) is proxied
        assert made.trust_env is False
