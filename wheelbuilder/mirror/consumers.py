"""The snippet with which each installer uses a mirror."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from urllib.parse import urlsplit

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.layout import View, check_channel

NAME = "wheelbuilder"
# Only what a URL is written with: it is put between quotes in TOML and behind '=' in an ini file.
URL = re.compile(r"(https?|file)://[A-Za-z0-9._~:/%@\[\]+-]+", re.ASCII)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Installer(StrEnum):
    """A consumer of indexes."""

    PIP = "pip"
    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"


class Kind(StrEnum):
    """Which view of a channel: our files beside upstream's index, or everything in one index."""

    GAP = "gap"
    WHOLE = "whole"


# Only pip and PDM look at every index for every project; the others need an index that is complete.
USUAL = {
    Installer.PIP: Kind.GAP,
    Installer.UV: Kind.WHOLE,
    Installer.POETRY: Kind.WHOLE,
    Installer.PDM: Kind.GAP,
}


def snippet(installer: Installer, url: str, *, channel: str, kind: Kind | None = None) -> str:
    """Return the configuration for an installer; `url` is the root of the mirror.

    ConfigurationError for a URL that is none, or that the installer cannot use.
    """
    if "/channels/" in url:
        raise ConfigurationError(
            f"{url} points into the mirror, not at its root.",
            "Give what stands before /channels/, and the channel with --channel.",
        )
    kind = kind or USUAL[installer]
    view = View.GAP if kind is Kind.GAP else View.WHOLE
    index = f"{_root(url, installer)}/channels/{check_channel(channel)}/{view}/"
    return _WRITERS[installer](index, kind)


def _root(url: str, installer: Installer) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not URL.fullmatch(url) or not (host or url.startswith("file:///")):
        raise ConfigurationError(
            f"{url!r} is not the URL of a mirror.",
            "Give its root, such as https://mirror.example.org/wheels/",
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            "The URL holds a user name or password, which does not belong into a file.",
            "Leave it out and put it into netrc or the keyring.",
        )
    if parts.scheme == "file" and installer in (Installer.POETRY, Installer.PDM):
        raise ConfigurationError(f"{installer} reads no index from a folder.", "Use 'wheelbuilder serve'.")
    return url.rstrip("/")


def _pip(index: str, kind: Kind) -> str:
    option = "extra-index-url" if kind is Kind.GAP else "index-url"
    lines = [
        "# pip.conf; the same for one shell:",
        f"#   export PIP_{option.upper().replace('-', '_')}={index}",
        "[global]",
        f"{option} = {index}",
    ]
    parts = urlsplit(index)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        lines += ["# pip passes over an index without TLS unless it is told to trust the host:"]
        lines += [f"trusted-host = {parts.netloc}"]
    return _text(lines)


def _uv(index: str, kind: Kind) -> str:
    if kind is Kind.WHOLE:
        why = ["# uv.toml (in pyproject.toml: [[tool.uv.index]]): the only index uv asks."]
        return _text([*why, "[[index]]", f'name = "{NAME}"', f'url = "{index}"', "default = true"])
    return _text(
        [
            "# uv.toml (in pyproject.toml: [tool.uv] and [[tool.uv.index]]). By default uv takes a project",
            "# from the first index that knows it, and this view has our wheels only: uv must look at all.",
            "# That lets any index supply any project; the whole view has no such weakness.",
            'index-strategy = "unsafe-best-match"',
            "",
            "[[index]]",
            f'name = "{NAME}"',
            f'url = "{index}"',
            "# What a bucket answers for what it has not, to those who may not list it.",
            "ignore-error-codes = [403]",
        ]
    )


def _poetry(index: str, kind: Kind) -> str:
    source = ["[[tool.poetry.source]]", f'name = "{NAME}"', f'url = "{index}"']
    if kind is Kind.WHOLE:
        why = "# pyproject.toml: a primary source takes the place of the default index."
        return _text([why, *source, 'priority = "primary"'])
    return _text(
        [
            "# pyproject.toml: Poetry takes all files of a project from one source, so each project that",
            "# this view has must name it; the whole view needs no such lines.",
            *source,
            'priority = "explicit"',
            "",
            "# [tool.poetry.dependencies]",
            f'# some-project = {{ version = "1.0", source = "{NAME}" }}',
        ]
    )


def _pdm(index: str, kind: Kind) -> str:
    name = NAME if kind is Kind.GAP else "pypi"  # PDM's name for the default index
    why = "is asked beside" if kind is Kind.GAP else "replaces"
    return _text(
        [
            f"# pyproject.toml: {why} the default index.",
            "[[tool.pdm.source]]",
            f'name = "{name}"',
            f'url = "{index}"',
        ]
    )


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


_WRITERS: dict[Installer, Callable[[str, Kind], str]] = {
    Installer.PIP: _pip,
    Installer.UV: _uv,
    Installer.POETRY: _poetry,
    Installer.PDM: _pdm,
}
