from __future__ import annotations

from pathlib import Path

import pytest
from engines import engine, image, log_of, root

from wheelbuilder.build.engine import Engine
from wheelbuilder.build.layers import with_packages
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.images import Role

LDAP = ("libldap-dev", "libsasl2-dev")
WORDS = ("--allow-unauthenticated", "a b", "a;b", "$(x)", "", "a,b", "a/b", "a=1", "-", "a\n")


@pytest.mark.parametrize("name", WORDS)
def test_a_name_that_is_none_never_reaches_a_program(name: str, tmp_path: Path) -> None:
    unasked = Engine(name="podman", version="")
    with pytest.raises(ConfigurationError, match="not the name of a system package"):
        with_packages(unasked, root(), (name,), log=tmp_path / "log")


@pytest.mark.engine
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_packages_are_added_once_and_compile(arch: str) -> None:
    build = root(arch, Role.BUILD)
    made = with_packages(engine(), build, LDAP, log=log_of("layers"))
    said: list[str] = []
    assert with_packages(engine(), build, LDAP[::-1], log=log_of("layers"), report=said.append) == made
    assert said == [] and made != image(arch, Role.BUILD)
    source = "#include <ldap.h>\\n#include <sasl/sasl.h>\\nint main() { return ldap_initialize(0, 0); }"
    script = f"cd /tmp && printf '{source}' >a.c && cc a.c -lldap -lsasl2 && echo links"
    done = engine().run(made, ("sh", "-c", script), timeout=120)
    assert done.stdout == "links\n", done.stderr


@pytest.mark.engine
def test_no_packages_are_no_layer() -> None:
    assert with_packages(engine(), root(), (), log=log_of("layers")) == image()


@pytest.mark.engine
def test_a_package_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    build = root("aarch64", Role.BUILD)
    with pytest.raises(ConfigurationError) as caught:
        with_packages(engine(), build, ("libnope-dev",), log=tmp_path / "log")
    assert caught.value.message == "bookworm has no package libnope-dev for arm64."
    assert not engine().has(build.adding(("libnope-dev",)).tag)
