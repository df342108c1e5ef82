from __future__ import annotations

import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from samples import X86
from test_wheelcheck import wheel

from wheelbuilder.build.environment import make
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.process import check
from wheelbuilder.inputs.images import Interpreter

HOST = Interpreter(path=sys.executable, version="3.11.2")
INSIDE = "/build/env"
ENTRY = b"[console_scripts]\nfoo = foo:main\n"


def made(folder: Path, *, inside: str = INSIDE) -> Path:
    """An environment with a module, two scripts, data, a header and a .pth file."""
    files = {
        "foo.py": b"def main():\n    print('hello from foo')\n",
        "foo.pth": b"import os; os.environ['FROM_PTH'] = 'yes'\n",
        "foo-1.0.dist-info/entry_points.txt": ENTRY,
        "foo-1.0.data/scripts/tool": b"#!python\nprint('tool')\n",
        "foo-1.0.data/data/share/foo/x.txt": b"data",
        "foo-1.0.data/headers/foo.h": b"",
    }
    house = folder / ("a" * 64)
    house.mkdir(parents=True, exist_ok=True)
    return make([wheel(house, files=files)], X86, HOST, inside=inside, cache=folder / "cache")


def test_it_has_the_layout_of_a_virtual_environment(tmp_path: Path) -> None:
    place = made(tmp_path)
    site = place / "lib/python3.11/site-packages"
    assert (site / "foo.py").exists() and (site / "foo-1.0.dist-info/RECORD").exists()
    assert (place / "pyvenv.cfg").read_text().startswith(f"home = {Path(sys.executable).parent}\n")
    assert str((place / "bin/python3.11").readlink()) == sys.executable
    assert (place / "share/foo/x.txt").read_text() == "data"
    assert (place / "include/site/python3.11/foo/foo.h").exists()


def test_scripts_run_by_the_python_inside(tmp_path: Path) -> None:
    place = made(tmp_path)
    for name in ("foo", "tool"):
        assert (place / "bin" / name).read_text().splitlines()[0] == f"#!{INSIDE}/bin/python"
        assert (place / "bin" / name).stat().st_mode & 0o111


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="runs the environment with the host's own Python")
def test_a_real_python_takes_it_for_one(tmp_path: Path) -> None:
    inside = str(tmp_path / "mounted")
    place = made(tmp_path, inside=inside)
    Path(inside).symlink_to(place)
    program = "import os, sys, foo; print(sys.prefix, os.environ['FROM_PTH'], foo.__file__)"
    prefix, from_pth, file = check((f"{inside}/bin/python", "-c", program)).split()
    assert (prefix, from_pth) == (inside, "yes") and file.startswith(inside)
    assert check((f"{inside}/bin/foo",)) == "hello from foo\n" and check((f"{inside}/bin/tool",)) == "tool\n"


def test_equal_wheels_share_one_and_others_do_not(tmp_path: Path) -> None:
    place = made(tmp_path)
    before = place.stat().st_mtime_ns
    assert made(tmp_path) == place and place.stat().st_mtime_ns == before
    assert made(tmp_path, inside="/elsewhere") != place
    assert {path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")} == set()


def test_several_threads_make_it_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        places = set(pool.map(lambda _: made_again(tmp_path), range(16)))
    assert len(places) == 1 and len(list((tmp_path / "cache").iterdir())) == 1


def made_again(folder: Path) -> Path:
    house = folder / ("a" * 64)
    if not house.exists():
        made(folder)
    return make([house / "foo-1.0-py3-none-any.whl"], X86, HOST, inside="/x", cache=folder / "cache")


@pytest.fixture(autouse=True)
def wheel_is_there(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "threads" in request.node.name:
        (tmp_path / ("a" * 64)).mkdir()
        wheel(tmp_path / ("a" * 64))


@pytest.mark.parametrize(
    "name",
    ["scripts/python", "scripts/python3.11", "data/bin/python3", "data/bin/python/x", "data/pyvenv.cfg"],
)
def test_a_wheel_that_brings_the_interpreter_is_refused(name: str, tmp_path: Path) -> None:
    of_the_host = tmp_path / "host/python3.11"
    of_the_host.parent.mkdir()
    of_the_host.write_text("the host's own")
    path = wheel(tmp_path, files={f"foo-1.0.data/{name}": b"#!python\nforeign"})
    interpreter = Interpreter(path=str(of_the_host), version="3.11.2")
    with pytest.raises(StepFailedError, match="replace") as caught:
        make([path], X86, interpreter, inside=INSIDE, cache=tmp_path / "cache")
    assert caught.value.failure is FailureClass.REQUIREMENTS
    assert of_the_host.read_text() == "the host's own" and list((tmp_path / "cache").iterdir()) == []


def test_scripts_that_are_only_named_like_it_are_fine(tmp_path: Path) -> None:
    path = wheel(tmp_path, files={"foo-1.0.data/scripts/python-foo": b"#!python\n"})
    assert (make([path], X86, HOST, inside=INSIDE, cache=tmp_path / "cache") / "bin/python-foo").exists()


def test_wheels_built_here_are_told_apart_by_their_content(tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    places = []
    for text in (b"x = 1\n", b"x = 2\n"):
        path = wheel(house, files={"foo.py": text})
        places.append(make([path], X86, HOST, inside=INSIDE, cache=tmp_path / "cache"))
    assert [(place / "lib/python3.11/site-packages/foo.py").read_bytes() for place in places] == [
        b"x = 1\n",
        b"x = 2\n",
    ]


@pytest.mark.parametrize("name", ["../../planted", "foo-1.0.data/scripts/../../../planted", "/planted"])
def test_a_wheel_that_leaves_the_environment_is_refused(name: str, tmp_path: Path) -> None:
    path = wheel(tmp_path, files={name: b""})
    with pytest.raises(StepFailedError) as caught:
        make([path], X86, HOST, inside=INSIDE, cache=tmp_path / "cache")
    assert caught.value.failure is FailureClass.REQUIREMENTS
    assert list((tmp_path / "cache").iterdir()) == [] and not Path("/planted").exists()
    assert not list(tmp_path.rglob("planted"))


def test_a_wheel_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for name, data in (("foo-1.0-py3-none-any.whl", b"no zip"), ("foo.whl", b"")):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(StepFailedError):
            make([path], X86, HOST, inside=INSIDE, cache=tmp_path / "cache")
    empty = tmp_path / "foo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(StepFailedError):
        make([empty], X86, HOST, inside=INSIDE, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
