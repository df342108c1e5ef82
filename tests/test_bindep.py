from __future__ import annotations

import pytest

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.bindep import active, parse_bindep, wanted

TRIXIE = ("debian-13", "trixie")
ALMA = ("almalinux-8", "")
# As in the files of OpenStack's projects.
FILE = """\
# This is a cross-platform list tracking distribution packages needed by tests
gcc [compile]
libldap2-dev [platform:dpkg !platform:debian-trixie]
libldap-dev [platform:debian-trixie]
openldap-devel [platform:redhat]
cyrus-sasl-devel [platform:rpm !platform:suse]   # SASL
libpcre2-dev [platform:dpkg test]
liberasurecode-dev [platform:dpkg] >=1.2.0,!=1.5
pkg-config
mariadb [(platform:rpm test)]
libnss3-dev [platform:ubuntu-noble platform:debian]
docs [!test]
memcached [platform:base-py3 default]

libldap-dev [platform:dpkg]
"""


def names(place: tuple[str, str], *profiles: str, text: str = FILE) -> list[str]:
    distribution, suite = place
    return [it.name for it in wanted(parse_bindep(text, "bindep.txt"), active(distribution, suite, profiles))]


def test_lines_apply_by_platform_and_profile() -> None:
    everywhere = ["liberasurecode-dev", "pkg-config", "libnss3-dev"]
    assert names(TRIXIE) == ["libldap-dev", *everywhere, "docs", "memcached"]
    assert names(("debian-12", "bookworm"))[0] == "libldap2-dev"
    assert names(TRIXIE, "test", "compile") == [
        *("gcc", "libldap-dev", "libpcre2-dev"), *everywhere,
    ]  # fmt: skip
    assert names(ALMA) == ["openldap-devel", "cyrus-sasl-devel", "pkg-config", "docs", "memcached"]
    assert names(ALMA, "test") == ["openldap-devel", "cyrus-sasl-devel", "pkg-config", "mariadb"]
    assert names(("alpine", ""), "x") == ["pkg-config", "docs"]


@pytest.mark.parametrize(
    ("selectors", "profiles", "applies"),
    [
        ("", (), True),
        ("[]", (), True),
        ("[a b]", ("b",), True),
        ("[a b]", ("c",), False),
        ("[!a]", ("b",), True),
        ("[a !b]", ("a", "b"), False),
        ("[(a b)]", ("a",), False),
        ("[( a  b )]", ("a", "b"), True),
        ("[(a !b)]", ("a",), True),
        ("[(a !b) c]", ("a", "b"), False),
        ("[(a !b) c]", ("b", "c"), True),
        ("[(a b) (c d)]", ("c", "d"), True),
        ("[platform:dpkg a]", ("a",), True),
        ("[platform:dpkg a]", ("b",), False),
        ("[platform:rpm a]", ("a",), False),
        ("[platform:rpm platform:debian-13]", (), True),
        ("[platform:debian-1]", (), False),
        ("[(platform:dpkg !platform:debian-trixie)]", (), False),
    ],
)
def test_brackets_mean_what_bindep_has_them_mean(
    selectors: str, profiles: tuple[str, ...], applies: bool
) -> None:
    assert names(TRIXIE, *profiles, text=f"x1 {selectors}") == (["x1"] if applies else [])


def test_versions_and_comments_are_kept_apart() -> None:
    first, second = parse_bindep("liba >=1:1.2-3~x,<2 # why\n\tlibb [a]\t==1#x\n", "f")
    assert (first.name, first.versions, first.number) == ("liba", (">=1:1.2-3~x", "<2"), 1)
    assert (second.name, second.versions, second.selectors[0].name) == ("libb", ("==1",), "a")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a b", "'a b' is no line of a bindep file"),
        ("$(rm)", "is no line"),
        ("-o", "is no line"),
        ("liba [platform:dpkg", "is no line"),
        ("liba [A]", "'A' is no selector"),
        ("liba [a !]", "'!' is no selector"),
        ("liba [(a]", "parenthesis is not closed"),
        ("liba [a)]", r"'\)' is no selector"),
        ("liba [((a))]", r"'\(' is no selector"),
        ("liba >=", "is no line"),
        ("liba >=1, <2", "is no line"),
    ],
)
def test_a_mistake_names_file_and_line(line: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as error:
        parse_bindep(f"# one\n{line}\n", "x/bindep.txt")
    assert error.value.message.startswith("x/bindep.txt:2: ")
