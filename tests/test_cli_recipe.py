"""`wheelbuilder recipe bindep`: files from foreign hands become lines to paste, and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from sdists import cli

FILE = """\
libldap-dev [platform:dpkg]
libsasl2-dev [platform:debian-bookworm] >=2.1  # why
openldap-devel [platform:redhat]
slapd [platform:dpkg test]
/usr/bin/gcc [platform:base-py3]
no-such-package-dev [platform:dpkg]
"""


@pytest.mark.engine
def test_what_the_image_has_is_kept_and_the_rest_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bindep.txt"
    file.write_text(FILE)
    ended = cli("recipe", "bindep", str(file), "--image", "bookworm")
    assert ended.code == 0
    assert tomllib.loads(ended.stdout) == {"system-packages": {"deb": ["libldap-dev", "libsasl2-dev"]}}
    assert '"libsasl2-dev",  # >=2.1 is asked for' in ended.stdout
    assert "left out: '/usr/bin/gcc' is no name of a package" in ended.stderr
    assert "left out: 'no-such-package-dev' is in no package index of the image" in ended.stderr
    tested = cli("recipe", "bindep", str(file), "--image", "bookworm", "--profile", "test", "--json").document
    assert tested["packages"] == ["libldap-dev", "libsasl2-dev", "slapd"]
    assert set(tested["left out"]) == {"/usr/bin/gcc", "no-such-package-dev"}


def test_offline_and_for_pulled_images_names_are_not_looked_up(tmp_path: Path) -> None:
    file = tmp_path / "bindep.txt"
    file.write_text(FILE)
    ended = cli("recipe", "bindep", str(file), "--image", "trixie", "--offline")
    assert tomllib.loads(ended.stdout)["system-packages"]["deb"] == ["libldap-dev", "no-such-package-dev"]
    ended = cli("recipe", "bindep", str(file), "--image", "manylinux_2_28")
    assert tomllib.loads(ended.stdout) == {"system-packages": {"rpm": ["openldap-devel"]}}
    assert "not checked: whether manylinux_2_28 has these packages" in ended.stderr


@pytest.mark.parametrize(
    ("content", "words", "complaint"),
    [
        (b"a; rm -rf /\n", ("--image", "bookworm"), "bindep.txt:1: 'a; rm -rf /' is no line"),
        (b"\xff\xfe\n", ("--image", "bookworm"), "cannot be read"),
        (b"liba\n" * 300_000, ("--image", "bookworm"), "more than 1 MiB"),
        (b"liba\n", ("--image", "bullfrog"), "The image table has no family 'bullfrog'"),
        (None, ("--image", "bookworm"), "cannot be read"),
    ],
    ids=["shell", "bytes", "flood", "family", "missing"],
)
def test_what_is_no_bindep_file_is_one_clear_error(
    tmp_path: Path, content: bytes | None, words: tuple[str, ...], complaint: str
) -> None:
    file = tmp_path / "bindep.txt"
    if content is not None:
        file.write_bytes(content)
    ended = cli("recipe", "bindep", str(file), *words)
    assert ended.code == 2 and complaint in ended.stderr and ended.stdout == ""
