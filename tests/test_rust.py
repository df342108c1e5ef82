"""Rust in native toolchains: which have it, and what our front makes of calls, before one that tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from test_toolchain import CATALOGUE, FOREIGN

from wheelbuilder.build import rust, toolchain
from wheelbuilder.build.blueprints import Blueprint, blueprint, blueprints, toolchains
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.failures import classify
from wheelbuilder.build.inside.rust_front import NATIVE
from wheelbuilder.build.ladder import RUNG_MAY_BE_WHY
from wheelbuilder.build.toolchain_names import make_names
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Architecture, Role

ARCH, HOST = CATALOGUE.architectures[FOREIGN], CATALOGUE.architectures[MACHINE]
ROOT = CATALOGUE.families["bookworm"].roots[FOREIGN, Role.BUILD]
# Notes its words, its folder and one variable; makes the library that is wanted; answers like rustc.
TELLING = """#!{python}
import json, os, sys
words, value = sys.argv[1:], dict(zip(sys.argv[1:], sys.argv[2:]))
with open({notes!r}, "a") as notes:
    print(json.dumps([words, os.getcwd(), os.environ.get("OUT_DIR")]), file=notes)
if "-vV" in words:
    print("rustc 1.0\\nhost: {host}")
out = value.get("--out-dir") or next((it[10:] for it in words if it.startswith("--out-dir=")), None)
if out:
    os.makedirs(out, exist_ok=True)
    kind = ".so" if "proc-macro" in words else ".rlib"
    extra = next((it[15:] for it in words if it.startswith("extra-filename=")), "")
    open(f"{{out}}/lib{{value['--crate-name']}}{{extra}}{{kind}}", "w").close()
sys.exit("broken" in words)
"""


def plan(*packages: str) -> Blueprint:
    found = blueprint(CATALOGUE, ROOT.adding(packages))
    assert found
    return found


class TestBlueprint:
    @pytest.mark.parametrize("package", rust.PACKAGES)
    def test_roots_with_rust_get_another_toolchain(self, package: str) -> None:
        with_rust = plan("libyaml-dev", package)
        assert with_rust.rust and set(with_rust.packages) - set(plan().packages) == set(rust.PACKAGES)
        assert with_rust.name == f"bookworm-{FOREIGN}-rust-toolchain"
        assert with_rust.digest == plan(*rust.PACKAGES).digest != plan("libyaml-dev").digest

    def test_it_is_named_by_what_our_front_does(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        before = {plan().digest, plan("rustc").digest}
        (tmp_path / "front.py").write_text("another")
        monkeypatch.setattr(rust, "FRONT", tmp_path / "front.py")
        assert plan().digest in before and plan("rustc").digest not in before

    def test_the_table_has_both_and_a_prune_keeps_both(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        mine = [found for root, found in blueprints(CATALOGUE) if root.name == ROOT.name]
        assert [found.rust for found in mine] == [False, True]
        for folder in (*(found.folder for found in mine), toolchains() / "old"):
            folder.mkdir(parents=True)
            (folder / toolchain.ABOUT).write_text("bookworm")
        assert [folder.name for _, folder in toolchain.unused(CATALOGUE)] == ["old"]


def library(tree: Path, triple: str | None, release: bytes) -> None:
    """A small library of a standard library, as far as its head."""
    place = tree / f"usr/lib/rustlib/{triple}/lib"
    place.mkdir(parents=True)
    head = b"!<arch>\nlib.rmeta/      rust\0\0\0\x06\0\0\x1d\x05"
    (place / "librustc_std_workspace_core-0a.rlib").write_bytes(head + release + b"\0\x11-")


def unpacked(folder: Path, *names: str) -> Path:
    """A toolchain's packages with programs of these names, which are this machine's `true`."""
    (folder / "usr/bin").mkdir(parents=True)
    for name in (*rust.PACKAGES, "rustdoc", *names):
        (folder / "usr/bin" / name).write_bytes(Path("/bin/true").read_bytes())
        (folder / "usr/bin" / name).chmod(0o755)
    return folder


class TestLayout:
    def test_the_fronts_are_named_where_rustc_reads_the_roots_own_library(self, tmp_path: Path) -> None:
        tools = unpacked(tmp_path / "tools", f"{HOST.multiarch}-gcc-12")
        rust.lay_out(tools, ARCH, HOST)
        library(tools, HOST.rust, b"rustc 1.63.0")
        for name, release in (("same", b"rustc 1.63.0"), ("other", b"rustc 1.78.0 (9b00956e5)")):
            root = unpacked(tmp_path / name)
            library(root, ARCH.rust, release)
            make_names(root, tools, HOST, tmp_path / f"{name}-names")
        names = {path.name for path in (tmp_path / "same-names/bin").iterdir()}
        assert names == {"rustc", "cargo"} and not list((tmp_path / "other-names/bin").iterdir())

    def test_cargo_is_native_where_numbers_are_alike(self, tmp_path: Path) -> None:
        for name, names in (("armv7l", {"rustc"}), ("s390x", {"rustc"}), ("riscv64", {"rustc", "cargo"})):
            arch, root = CATALOGUE.architectures[name], unpacked(tmp_path / f"{name}-root")
            tools = unpacked(tmp_path / name, f"{HOST.multiarch}-gcc-12")
            rust.lay_out(tools, arch, HOST)
            for tree, triple in ((tools, HOST.rust), (root, arch.rust)):
                library(tree, triple, b"rustc 1.63.0")
            make_names(root, tools, HOST, tmp_path / f"{name}-names")
            assert {path.name for path in (tmp_path / f"{name}-names/bin").iterdir()} == names

    def test_without_a_linker_for_this_machine_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UnreachableError, match="no compiler that links for this machine"):
            rust.lay_out(unpacked(tmp_path), ARCH, HOST)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Our front before a compiler that tells. tools: where the toolchain is."""

    folder: Path
    tools: Path

    def run(self, *words: str, program: str = "rustc", **environ: str) -> subprocess.CompletedProcess[str]:
        front = self.tools / "usr/bin" / program
        return subprocess.run(
            [sys.executable, front, *words], cwd=self.folder, env={**os.environ, **environ},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def make(self, name: str, kind: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        (self.folder / f"{name}.rs").touch()
        return self.run(
            *("--crate-name", name, f"{name}.rs", "--crate-type", kind, "--out-dir", "out", "-C"),
            *("extra-filename=-1", "-L", "dependency=out", *words),
            **environ,
        )

    @property
    def calls(self) -> list[tuple[list[str], str, str | None]]:
        return [tuple(json.loads(line)) for line in (self.folder / "notes").read_text().splitlines()]


def laid_out(folder: Path, arch: Architecture) -> Bench:
    tools = unpacked(folder / "tools", f"{HOST.multiarch}-gcc-12")
    rust.lay_out(tools, arch, HOST)
    for name in rust.programs(arch, HOST):
        front = tools / "usr/bin" / name
        front.write_text(
            front.read_text()
            .replace(NATIVE, str(tools))
            .replace("/usr/bin/cargo", str(tools / rust.PLACE / "cargo"))
        )
        script = TELLING.format(python=sys.executable, notes=str(folder / "notes"), host=HOST.rust)
        (tools / rust.PLACE / name).write_text(script)
    return Bench(folder=folder, tools=tools)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return laid_out(tmp_path, ARCH)


def value(words: list[str], option: str) -> list[str]:
    return [after for word, after in pairwise(words) if word == option]


class TestFront:
    @pytest.mark.parametrize("program", rust.PACKAGES)
    def test_it_runs_on_the_roots_machine_if_one_asks(self, bench: Bench, program: str) -> None:
        assert bench.run("-vV", program=program).stdout == f"rustc 1.0\nhost: {ARCH.rust}\n"

    def test_it_compiles_for_the_root_with_its_library_and_linker(self, bench: Bench) -> None:
        (bench.folder / "rest").write_text("--edition\n2018\n")
        bench.run("main.rs", "-Clinker=mine", "@rest")
        ((words, *_),) = bench.calls
        first = ["--target", ARCH.rust, "--sysroot", "/usr", "-C", "linker=cc"]
        assert words == [*first, "main.rs", "-Clinker=mine", "--edition", "2018"]

    @pytest.mark.parametrize("words", [("--target", "wasm32-wasi"), (f"--target={ARCH.rust}",)])
    def test_a_target_that_is_named_stays(self, bench: Bench, words: tuple[str, ...]) -> None:
        bench.run("main.rs", *words)
        assert bench.calls[0][0] == ["--sysroot", "/usr", "-C", "linker=cc", "main.rs", *words]

    def test_a_procedural_macro_is_made_for_this_machine_of_libraries_that_are(self, bench: Bench) -> None:
        json_, flags = (
            ("--error-format=json", "--json=artifacts"),
            ("-Ctarget-cpu=cortex-a57", "-Copt-level=3"),
        )
        bench.make("base", "lib", "--emit=metadata,link", *json_, *flags, OUT_DIR="/made")
        more = ("--crate-type=cdylib", "--extern", "base=out/libbase-1.rmeta")
        bench.make("shared", "lib", *more, OUT_DIR="/shared")
        extern = ("--extern=shared=out/libshared-1.rlib", "--extern", "proc_macro")
        assert bench.make("macros", "proc-macro", *extern, *json_, "--emit=dep-info,link").returncode == 0
        (base, folder, out), (shared, *_), (macros, *_) = bench.calls[2:]
        kept = bench.folder / "out/.for-this-machine"
        for words in (base, shared, macros):
            assert value(words, "--sysroot") == [f"{bench.tools}/usr"] and "--target" not in words
            assert value(words, "-L")[0] == "dependency=out/.for-this-machine"
            (linker,) = [it for it in words if it.startswith("linker=")]
            assert linker.endswith(f"/usr/bin/{HOST.multiarch}-gcc-12")
        assert (folder, out) == (str(bench.folder), "/made")
        assert {"--crate-type=lib"} == {it for it in shared if "crate-type" in it}
        assert "opt-level=3" in base and "--json" not in base and not [it for it in base if "cortex" in it]
        assert value(shared, "--extern") == ["base=out/.for-this-machine/libbase-1.rlib"]
        assert value(macros, "--extern") == ["shared=out/.for-this-machine/libshared-1.rlib", "proc_macro"]
        assert (value(macros, "--emit"), value(macros, "--out-dir")) == (["dep-info,link"], ["out"])
        assert sorted(it.name for it in kept.glob("*.rlib")) == ["libbase-1.rlib", "libshared-1.rlib"]

    def test_a_library_is_made_for_this_machine_once_and_again_when_it_has_changed(
        self, bench: Bench
    ) -> None:
        def made(name: str) -> int:
            before = len(bench.calls)
            bench.make(name, "proc-macro", "--extern", "base=out/libbase-1.rlib")
            return len(bench.calls) - before

        bench.make("base", "lib")
        assert [made("one"), made("two")] == [2, 1]
        bench.make("base", "lib")
        assert made("one") == 2

    def test_a_macro_is_for_this_machine_already_where_a_library_uses_it(self, bench: Bench) -> None:
        bench.make("one", "proc-macro")
        bench.make("shared", "lib", "--extern", "one=out/libone-1.so")
        bench.make("two", "proc-macro", "--extern", "shared=out/libshared-1.rlib")
        assert value(bench.calls[2][0], "--extern") == ["one=out/libone-1.so"]

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["-Ctarget-cpu=native"], "-C target-cpu=native asks for the processor"),
            (["--codegen", "target_cpu=native"], "-C target-cpu=native asks for the processor"),
            (["--extern=b=out/libb.rlib"], "nothing tells how out/libb.rlib was made"),
            (["--extern=b=out/libbroken-1.rlib"], "libbroken-1 cannot be made for this machine"),
            ([], "the procedural macros in ./asks.rs ask for the machine"),
        ],
    )
    def test_what_it_cannot_make_is_an_error_that_a_build_falls_for(
        self, bench: Bench, words: list[str], why: str
    ) -> None:
        bench.make("broken", "lib", "broken")
        if not words:
            (bench.folder / "asks.rs").write_text('if cfg!(target_arch = "x86_64") {}')
        done = bench.make("macros", "proc-macro", *words)
        assert done.returncode == 1 and f"rustc: error: {why}" in done.stderr
        found = classify(done.stderr)
        assert found and found.failure in RUNG_MAY_BE_WHY and why in found.summary

    @pytest.mark.parametrize(
        "source",
        [
            'if cfg!(target_feature = "neon") {}',
            'if cfg!(target_has_atomic = "64") {}',
            "use std::env::consts::{ARCH, OS};",
            "use std::env::consts as of; of::ARCH",
        ],
    )
    def test_macros_that_ask_for_the_machine_in_any_way_are_refused(self, bench: Bench, source: str) -> None:
        (bench.folder / "part.rs").write_text(source)
        assert "./part.rs ask for the machine" in bench.make("macros", "proc-macro").stderr

    @pytest.mark.parametrize(
        "source",
        ["usize::MAX", "usize::BITS", "//!\nstd::mem::size_of::<usize>()", "7u32.to_ne_bytes() // as it is"],
    )
    @pytest.mark.parametrize(("name", "refused"), [("armv7l", True), ("s390x", True), ("aarch64", False)])
    def test_macros_are_refused_for_asking_of_numbers_where_those_differ(
        self, tmp_path: Path, source: str, name: str, refused: bool
    ) -> None:
        bench = laid_out(tmp_path, CATALOGUE.architectures[name])
        (tmp_path / "part.rs").write_text(source)
        assert (bench.make("macros", "proc-macro").returncode == 1) is refused

    def test_what_macros_say_of_themselves_is_not_their_code(self, tmp_path: Path) -> None:
        bench = laid_out(tmp_path, CATALOGUE.architectures["armv7l"])
        (tmp_path / "part.rs").write_text('fn a() {}\n  /// println!("{}", std::mem::size_of::<Six>());\n')
        assert bench.make("macros", "proc-macro").returncode == 0

    @pytest.mark.parametrize(("lints", "refused"), [((), True), (("--cap-lints", "allow"), False)])
    def test_macros_of_the_projects_own_libraries_that_ask_for_the_machine_are_refused(
        self, bench: Bench, lints: tuple[str, ...], refused: bool
    ) -> None:
        for name in ("shared", "macros"):
            (bench.folder / name).mkdir()
        (bench.folder / "shared/part.rs").write_text('if cfg!(target_arch = "x86_64") {}')
        bench.make("shared/lib", "lib", "--crate-name", "shared", *lints)
        extern = ("--extern", "shared=out/libshared-1.rlib")
        done = bench.make("macros/lib", "proc-macro", "--crate-name", "macros", *extern)
        words = "rustc: error: shared/part.rs, of which procedural macros are made, asks for the machine"
        assert (words in done.stderr) is (done.returncode == 1) is refused
