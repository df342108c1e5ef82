from __future__ import annotations

import pytest
from packaging.version import Version
from samples import ARM, X86, file

from wheelbuilder.plan.files import accepts, parse_filename, requires_python_accepts


def test_names() -> None:
    wheel = parse_filename("PyYAML-6.0.3-2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert wheel
    assert (wheel.project, wheel.version, wheel.build) == ("pyyaml", Version("6.0.3"), (2, ""))
    assert len(wheel.tags) == 2
    sdist = parse_filename("oslo.config-1.0.tar.gz")
    assert sdist
    assert (sdist.project, sdist.tags, sdist.build) == ("oslo-config", frozenset(), None)


@pytest.mark.parametrize(
    "name", ["a-1.0-py2.7.egg", "a-1.0.win32.exe", "a.whl", "a-x.tar.gz", "a-1.0.tar.bz2"]
)
def test_what_is_no_distribution(name: str) -> None:
    assert parse_filename(name) is None


@pytest.mark.parametrize(
    ("name", "x86", "arm"),
    [
        ("a-1-py3-none-any.whl", True, True),
        ("a-1-py2.py3-none-any.whl", True, True),
        ("a-1-cp38-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True, False),
        ("a-1-cp311-cp311-manylinux_2_36_aarch64.whl", False, True),
        ("a-1-cp311-cp311-manylinux_2_39_x86_64.whl", False, False),
        ("a-1-cp311-cp311-linux_x86_64.whl", False, False),
        ("a-1.tar.gz", False, False),
    ],
)
def test_who_takes_a_wheel(name: str, x86: bool, arm: bool) -> None:
    assert (accepts(X86, file(name)), accepts(ARM, file(name))) == (x86, arm)


@pytest.mark.parametrize(
    ("specifier", "accepted"),
    [(None, True), ("", True), (">=3.8", True), (">=3.12", False), (">=3.11.3", False), ("nonsense", True)],
)
def test_requires_python(specifier: str | None, accepted: bool) -> None:
    assert requires_python_accepts(specifier, X86) is accepted
    assert accepts(X86, file("a-1-py3-none-any.whl", requires_python=specifier)) is accepted
