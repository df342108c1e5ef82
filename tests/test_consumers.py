from __future__ import annotations

import configparser
import tomllib

import pytest
from click.testing import CliRunner

from wheelbuilder.cli.config import command
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.consumers import Installer, Kind, snippet

ROOT = "https://mirror.example.org/wheels/"
GAP = f"{ROOT}channels/stable/simple/"
WHOLE = f"{ROOT}channels/stable/whole/"


def of(installer: Installer, kind: Kind | None = None, url: str = ROOT) -> str:
    return snippet(installer, url, channel="stable", kind=kind)


def ini(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return dict(parser["global"])


def test_pip_reads_it() -> None:
    assert ini(of(Installer.PIP)) == {"extra-index-url": GAP}
    assert ini(of(Installer.PIP, Kind.WHOLE)) == {"index-url": WHOLE}
    assert f"export PIP_EXTRA_INDEX_URL={GAP}" in of(Installer.PIP)


def test_pip_must_trust_a_host_without_tls_unless_it_is_this_one() -> None:
    assert ini(of(Installer.PIP, url="http://m.example.org:8080"))["trusted-host"] == "m.example.org:8080"
    assert "trusted-host" not in of(Installer.PIP, url="http://127.0.0.1:8080")


def test_uv_has_the_whole_view_as_its_only_index() -> None:
    assert tomllib.loads(of(Installer.UV)) == {
        "index": [{"name": "wheelbuilder", "url": WHOLE, "default": True}]
    }


def test_uv_looks_at_all_indexes_for_the_gap_view() -> None:
    assert tomllib.loads(of(Installer.UV, Kind.GAP)) == {
        "index-strategy": "unsafe-best-match",
        "index": [{"name": "wheelbuilder", "url": GAP, "ignore-error-codes": [403]}],
    }


def test_poetry() -> None:
    def source(kind: Kind | None) -> object:
        return tomllib.loads(of(Installer.POETRY, kind))["tool"]["poetry"]["source"]

    assert source(None) == [{"name": "wheelbuilder", "url": WHOLE, "priority": "primary"}]
    assert source(Kind.GAP) == [{"name": "wheelbuilder", "url": GAP, "priority": "explicit"}]


def test_pdm() -> None:
    def source(kind: Kind | None) -> object:
        return tomllib.loads(of(Installer.PDM, kind))["tool"]["pdm"]["source"]

    assert source(None) == [{"name": "wheelbuilder", "url": GAP}]
    assert source(Kind.WHOLE) == [{"name": "pypi", "url": WHOLE}]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mirror.example.org",
        "ftp://mirror.example.org",
        "https://",
        "https:///x",
        "https://x y",
        'https://x"y',
        "https://x\ny",
        "https://x/?a=b",
        "https://x/#a",
        "https://[x",
        "https://x:port/",
        "https://x/$(id)",
        "file://host\\x",
        "HTTPS//x",
    ],
)
@pytest.mark.parametrize("installer", list(Installer))
def test_what_is_no_url_is_refused(installer: Installer, url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the URL of a mirror"):
        of(installer, url=url)


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        of(Installer.PIP, url="https://me:secret@mirror.example.org/")
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_folder_is_for_pip_and_uv() -> None:
    assert "file:///srv/store/channels/stable/simple/" in of(Installer.PIP, url="file:///srv/store")
    with pytest.raises(ConfigurationError, match="reads no index from a folder"):
        of(Installer.POETRY, url="file:///srv/store")


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(command, ["pip", ROOT, "--channel", "candidate", "--view", "whole"])
    assert result.exit_code == 0
    assert ini(result.stdout) == {"index-url": f"{ROOT}channels/candidate/whole/"}
