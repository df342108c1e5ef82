"""Native toolchains in foreign roots: what they compile is the target's, and what builds ask says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engines import engine, image, log_of, root

from wheelbuilder.build.blueprints import blueprint
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.toolchain import Toolchain, ensure
from wheelbuilder.build.toolchain_layout import INSIDE
from wheelbuilder.build.toolchain_names import BUILT_FOR, TELLING, make_names
from wheelbuilder.build.toolchain_proof import prove
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, default_path

FOREIGN = "aarch64" if MACHINE == "x86_64" else "x86_64"
CATALOGUE = Catalogue.read(default_path())


def toolchain() -> Toolchain:
    made = ensure(engine(), CATALOGUE, root(FOREIGN, Role.BUILD), log=log_of("tests"))
    assert made
    return made


def shell(script: str) -> list[str]:
    """Run a script in the foreign build root with its toolchain, and return the lines it prints."""
    tools = toolchain()
    environ = {"PATH": f"{tools.path}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **tools.environment}
    done = engine().run(
        image(FOREIGN, Role.BUILD),
        ("/bin/sh", "-c", f"set -e\n{script}"),
        mounts=tools.mounts,
        env=environ,
        workdir="/tmp",
        timeout=120,
    )
    assert done.ok, done.stderr
    return done.stdout.splitlines()


def test_only_foreign_roots_have_one() -> None:
    family = CATALOGUE.families["bookworm"]
    found = blueprint(CATALOGUE, family.roots[FOREIGN, Role.BUILD])
    assert found and found.name == f"bookworm-{FOREIGN}-toolchain"
    assert f"gcc-{CATALOGUE.architectures[FOREIGN].cross}" in found.packages
    assert blueprint(CATALOGUE, family.roots[MACHINE, Role.BUILD]) is None
    bare = replace(CATALOGUE, families={"bookworm": replace(family, toolchain=None)})
    assert blueprint(bare, family.roots[FOREIGN, Role.BUILD]) is None


def test_pulled_images_share_one_with_clang() -> None:
    families = (CATALOGUE.families[name] for name in ("manylinux_2_28", "manylinux_2_34", "musllinux_1_2"))
    plans = [blueprint(CATALOGUE, family.roots["s390x", Role.BUILD]) for family in families]
    assert {plan and plan.name for plan in plans} == {"trixie-s390x-clang"}
    assert len({plan.digest for plan in plans if plan}) == 1
    roots = CATALOGUE.families["manylinux_2_28"].roots
    assert MACHINE != "x86_64" or blueprint(CATALOGUE, roots["i686", Role.BUILD]) is None


def test_a_toolchain_is_named_by_what_is_in_it() -> None:
    roots = [CATALOGUE.families[name].roots[FOREIGN, Role.BUILD] for name in ("bookworm", "trixie")]
    digests = {plan.digest for one in roots if (plan := blueprint(CATALOGUE, one))}
    wider = blueprint(CATALOGUE, roots[0].adding(["libyaml-dev"]))
    assert len(digests) == 2 and wider and wider.digest in digests
    elsewhere = replace(wider.workshop, apt_sources=("deb https://mirror.example.org/debian bookworm main",))
    assert replace(wider, workshop=elsewhere).digest not in digests


def test_names_are_found_where_the_cache_is_reached_through_a_link(tmp_path: Path) -> None:
    for folder, program in (("root", b"foreign"), ("disk/toolchain", Path("/bin/true").read_bytes())):
        (tmp_path / folder / "usr/bin").mkdir(parents=True)
        (tmp_path / folder / "usr/bin/sed").write_bytes(program)
    (tmp_path / "toolchain").symlink_to("disk/toolchain")
    host = CATALOGUE.architectures[MACHINE]
    make_names(tmp_path / "root", tmp_path / "toolchain", host, tmp_path / "names")
    assert (tmp_path / "names/bin/sed").readlink() == Path(f"{INSIDE}/usr/bin/sed")


@pytest.mark.parametrize("name", ["uname", "arch", "bash", "python3.11", "dpkg-architecture", "perl5.36.0"])
def test_what_tells_the_machine_stays_the_roots_own(name: str) -> None:
    assert TELLING.fullmatch(name) and not TELLING.fullmatch(f"not-{name}")


def test_what_make_was_built_for_is_read_from_it() -> None:
    found = BUILT_FOR.search(b"ELF\0GNU\0aarch64-unknown-linux-gnu\0MAKE_HOST\0")
    assert found and found[1] == b"aarch64-unknown-linux-gnu"


@pytest.mark.engine
class TestForeignRoot:
    def test_the_compilers_are_native_and_make_what_the_root_runs(self) -> None:
        assert shell(
            "echo 'int main(void) { return 0; }' >a.c; cc a.c -o a; ./a\n"
            "printf '#include <iostream>\\nint main() { std::cout << 42 << std::endl; }' >b.cc\n"
            "c++ b.cc -o b; ./b\n"
            "readelf -h a b | sed -n 's/ *Machine: *//p'; cc -dumpmachine; uname -m\n"
            f"for name in cc c++ ld as ar make sed; do readlink $(command -v $name) | grep -c ^{INSIDE}; done"
        ) == ["42", "AArch64", "AArch64", "aarch64-linux-gnu", "aarch64", *"1111111"]

    def test_what_ends_in_a_wheel_is_the_roots_own(self) -> None:
        names = ("crti.o", "crtbeginS.o", "libgcc.a", "libstdc++.so", "libstdc++.a", "libc.so")
        script = f"for name in {' '.join(names)}; do readlink -f $(cc -print-file-name=$name); done\n"
        script += "printf '#include <vector>\\n#include <stddef.h>\\n' | c++ -x c++ -H -E - 2>&1 >/dev/null"
        lines = [line.strip(". ") for line in shell(script)]
        assert len(lines) > 20 and not [line for line in lines if line.startswith(INSIDE)]
        assert {Path(line).name for line in lines} >= {"crti.o", "vector", "c++config.h", "stddef.h"}

    @pytest.mark.parametrize(
        ("script", "least"),
        [
            (
                "pkg-config --cflags --libs --static python-3.11-embed; pkg-config --variable=libdir python3",
                2,
            ),
            ("cc -print-multiarch; cc -dumpmachine; cc -dumpversion", 3),
            ("echo 'all:;@echo $(MAKE_HOST)' | make -f -", 1),
            ("echo | cc -dM -E - | sort", 300),
            ("cc -Q --help=target -O2", 40),
            ("ld --verbose", 200),
            ("echo 'int x;' | cc -flto -x c -c - -o l.o; ar rcs l.a l.o; nm -s l.a; gcc-nm l.o", 4),
            ("sh -c 'echo $0'; awk 'BEGIN { print 1 }'; egrep --version", 3),
        ],
    )
    def test_native_programs_answer_as_the_roots_own(self, script: str, least: int) -> None:
        """Each script with native programs, then with the root's: the same, and `least` lines of it."""
        both = shell(f"{script}\necho --\nPATH=/usr/bin:/bin; unset PKG_CONFIG_LIBDIR MAKE_HOST\n{script}")
        at = both.index("--")
        assert both[:at] == both[at + 1 :] and at >= least

    def test_cmake_sees_the_roots_machine(self) -> None:
        answer = "cmake_host_system_information(RESULT machine QUERY OS_PLATFORM)\nmessage(${machine})"
        script = f"echo '{answer}' >machine.cmake; {INSIDE}/usr/bin/cmake -P machine.cmake 2>&1"
        assert shell(script) == [FOREIGN]

    def test_programs_of_each_language_are_proven(self) -> None:
        assert prove(engine(), image(FOREIGN, Role.BUILD), toolchain()) == "compiles, links and runs C, C++"

    def test_a_program_for_another_machine_is_no_proof(self) -> None:
        lying = replace(toolchain(), arch=CATALOGUE.architectures["s390x"])
        with pytest.raises(UnreachableError, match="The C program is not for s390x"):
            prove(engine(), image(FOREIGN, Role.BUILD), lying)
