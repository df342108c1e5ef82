"""Programs of build requirements that run natively in a foreign environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from builds import FOREIGN
from engines import engine, image, log_of
from test_wheelcheck import wheel

from wheelbuilder.build import environment
from wheelbuilder.build.backend import ENVIRONMENT
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.toolchain import ensure
from wheelbuilder.build.twins import Twins
from wheelbuilder.inputs.images import Catalogue, Role, default_path

CATALOGUE = Catalogue.read(default_path())
TARGET = CATALOGUE.target(f"cp311-manylinux_2_36_{FOREIGN.arch}")
THEIRS = b"\x7fELF of the target"
MODULE = "def cmake(): raise SystemExit('started in Python')\n"


def tools(folder: Path, program: bytes, module: str = MODULE) -> tuple[Path, ...]:
    """Wheels laid out as those of cmake (a module that starts its program) and ninja (the program alone)."""
    folder.mkdir(exist_ok=True)
    entry = b"[console_scripts]\ncmake = cmake:cmake\n"
    return (
        wheel(
            folder,
            filename="cmake-1.0-py3-none-any.whl",
            info="cmake-1.0.dist-info",
            files={
                "cmake/__init__.py": module.encode(),
                "cmake/data/bin/cmake": program,
                "cmake-1.0.dist-info/entry_points.txt": entry,
            },
            metadata="Metadata-Version: 2.1\nName: cmake\nVersion: 1.0\n",
        ),
        wheel(
            folder,
            filename="ninja-1.0-py3-none-any.whl",
            info="ninja-1.0.dist-info",
            files={"ninja-1.0.data/scripts/ninja": program},
            metadata="Metadata-Version: 2.1\nName: ninja\nVersion: 1.0\n",
        ),
    )


def made(folder: Path, ours: tuple[Path, ...], python: str = "/native/python") -> Path:
    return environment.make(
        tools(folder / "theirs", THEIRS),
        TARGET,
        CATALOGUE.interpreter(TARGET),
        inside=ENVIRONMENT,
        cache=folder / "environments",
        beside=Twins(wheels=ours, python=python, machine=FOREIGN.arch) if ours else None,
    )


def program(environment: Path) -> Path:
    return environment / "lib/python3.11/site-packages/cmake/data/bin/cmake"


@pytest.mark.engine
def test_programs_run_natively_and_say_what_the_root_is_for(tmp_path: Path) -> None:
    """Both are `uname` of this machine here; one of them is given the library that answers for the root."""
    native = ensure(engine(), CATALOGUE, TARGET, log=log_of("toolchain"))
    assert native
    uname = (native.folder / "usr/bin/uname").read_bytes()
    ended = engine().run(
        image(FOREIGN.arch, Role.BUILD),
        ("/bin/sh", "-c", "cmake -m && ninja -m"),
        mounts=(*native.mounts, Mount(source=made(tmp_path, tools(tmp_path, uname)), target=ENVIRONMENT)),
        env={"PATH": f"{ENVIRONMENT}/bin:/usr/bin:/bin"},
        timeout=120,
    )
    assert ended.stdout.split() == [FOREIGN.arch, native.host.name], ended.stderr


def test_environments_with_twins_are_others(tmp_path: Path) -> None:
    plain = made(tmp_path, ())
    (_, ninja) = tools(tmp_path / "ours", b"\x7fELF of ours")
    with_twins = made(tmp_path, (ninja,))
    assert len({plain, with_twins, made(tmp_path, (ninja,), "/other/python")}) == 3
    assert made(tmp_path, (ninja,)) == with_twins and made(tmp_path, ()) == plain
    assert (plain / "bin/ninja").read_bytes() == THEIRS
    assert (with_twins / "bin/ninja").read_bytes() == b"\x7fELF of ours"
    assert (with_twins / "bin/ninja").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("module", ["def cmake(): return 1\n", ""])
def test_a_wheel_that_differs_in_more_than_compiled_parts_is_left_out(module: str, tmp_path: Path) -> None:
    cmake, _ = tools(tmp_path / "ours", b"\x7fELF of ours", module)
    found = made(tmp_path, (cmake,))
    assert program(found).read_bytes() == THEIRS and not (found / "bin/cmake").is_symlink()


@pytest.mark.parametrize(
    ("files", "native"),
    [
        ({"mesonbuild/mesonmain.py": b""}, True),
        ({"mesonbuild/main.py": b""}, False),
        ({"mesonbuild/mesonmain.py": b"", "mesonbuild/fast.cpython-311-aarch64-linux-gnu.so": THEIRS}, False),
    ],
)
def test_a_meson_of_another_layout_is_left_emulated(
    files: dict[str, bytes], native: bool, tmp_path: Path
) -> None:
    entry = b"[console_scripts]\nmeson = mesonbuild.mesonmain:main\n"
    meson = wheel(
        tmp_path,
        filename="meson-1.0-py3-none-any.whl",
        info="meson-1.0.dist-info",
        files={**files, "meson-1.0.dist-info/entry_points.txt": entry},
        metadata="Metadata-Version: 2.1\nName: meson\nVersion: 1.0\n",
    )
    folder = environment.make(
        (meson,), TARGET, CATALOGUE.interpreter(TARGET), inside=ENVIRONMENT, cache=tmp_path / "environments",
        beside=Twins(wheels=(meson,), python="/native/python", machine=FOREIGN.arch),
    )  # fmt: skip
    assert ("/native/python" in (folder / "bin/meson").read_text()) == native
    starts = list(folder.rglob("*.pth"))
    assert [path.name for path in starts] == ["_wheelbuilder_start.pth"] * native
    assert not native or "['meson']" in starts[0].read_text()


def test_a_wheel_that_leads_out_of_the_environment_is_left_out(tmp_path: Path) -> None:
    bad = wheel(
        tmp_path,
        filename="ninja-1.0-py3-none-any.whl",
        info="ninja-1.0.dist-info",
        files={"../../../../../victim": b"\x7fELF", "ninja-1.0.data/scripts/ninja": b"\x7fELF of ours"},
        metadata="Metadata-Version: 2.1\nName: ninja\nVersion: 1.0\n",
    )
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/victim").write_text("before")
    assert (made(tmp_path, (bad,)) / "bin/ninja").read_bytes() == THEIRS
    assert (tmp_path / "environments/victim").read_text() == "before"
