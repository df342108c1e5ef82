"""Cython in a native interpreter writes what the emulated one does, which is left what is not as expected."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builds import FOREIGN, HOST
from engines import engine, image, log_of
from setuptools import Extension

from wheelbuilder.build import environment
from wheelbuilder.build.backend import ENVIRONMENT
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.inside import native_cython, native_start
from wheelbuilder.build.inside.native_calls import UnexpectedError, decoded, encoded, shown
from wheelbuilder.build.inside.native_cython import outdate
from wheelbuilder.build.requirements import pip_options
from wheelbuilder.build.toolchain import ensure
from wheelbuilder.build.twins import Twins
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.targets import Target

CYTHON = "3.2.4"
PACKAGES = {
    "plain.pyx": """
# cython: language_level=3
from libc.stdlib cimport malloc, free
cimport cython
IF UNAME_MACHINE == MACHINE:
    WHERE = "there"
cdef class A:
    cdef public int x
    def f(self, list y, double[:] v): return [i + self.x for i in y]
def g(int n, **kw):
    "doc"
    cdef int *p = <int*>malloc(n)
    free(p)
    return {"a": 1.5, "b": "\\u1234", "c": 2**70}
""",
    "uses.pyx": "from needed.core cimport area\ndef twice(int n): return 2 * area(n)\n",
    "directives.pyx": "# distutils: define_macros=A=1\n"
    "# cython: binding=False\ndef f(a, b=1): return a / b\n",
    "timed.pyx": "IF COUNT > 2:\n    def f(): return 'many'\n"
    "ELSE:\n    def f(): return 'few'\nDEF N = COUNT\n",
    "cpp.pyx": "# distutils: language = c++\nfrom libcpp.vector cimport vector\n"
    "def f():\n    cdef vector[int] v\n    v.push_back(1)\n    return v.size()\n",
    "program.pyx": "def f(int x): return x + 1\n",
    "broken.pyx": "def f(:\n",
    "own.pyx": "def f(int x): return [x]\n",
    "old.pyx": "def f(int x): return x / 2\n",
    **{f"{name}.pyx": f'"{name}"\n' for name in ("first", "second", "third", "fourth", "fifth")},
    "own/needed/__init__.py": "",
    "own/needed/core.pxd": "cdef inline int area(int n): return n * n\n",
}
# Each of the first is handed over, each of the others is not and is translated all the same.
SETUP = """
import os, subprocess, sys
import setuptools
from setuptools import Distribution, Extension
from setuptools.command import build_ext  # imports Cython's compiler
from Cython.Build import cythonize
from Cython.Distutils import Extension as Own
from Cython.Distutils.old_build_ext import old_build_ext
os.dup2(2, 1)  # one stream, in order
sys.path.append(os.path.abspath("own"))  # as if it were installed
os.makedirs("out")

def named(name, **options):
    return Extension(name, [name + ".pyx"], **options)

class Special(Extension):
    pass

class Derived(Own):
    def __init__(self, name, feature):
        super().__init__(name, [name + ".pyx", "more.c"], cython_directives={"cdivision": True})
        self.feature = feature

class Decided(Derived):
    cython_line_directives = True

class Command(old_build_ext):
    pass

def old(words, extension):
    print("case", words, flush=True)
    command = Command(Distribution({"ext_modules": [extension]}))
    command.ensure_finalized()
    print([("sources", command.cython_sources(extension.sources, extension))], flush=True)

def case(words, *arguments, **options):
    print("case", words, flush=True)
    try:
        made = cythonize(*arguments, **options)
        print([(type(it).__module__, sorted(vars(it).items())) for it in made], flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)

environment = {"COUNT": 3, "MACHINE": os.uname()[4]}
case("plain", [named("plain", depends=["x.h"], define_macros=[("A", "1")])], compile_time_env=environment)
case("cimport", "uses.pyx", include_path=["own"], compiler_directives={"embedsignature": True})
case("directives", ["directives.pyx"], build_dir="out", annotate=True, language_level=3)
case("time", module_list=named("timed"), compile_time_env=environment, force=True)
case("own class", [Own("own", ["own.pyx"], define_macros=[("A", None)])])
case("c++", [named("cpp", py_limited_api=True)], nthreads=2)
given = Extension("c", ["c.c"])
assert cythonize([given])[0] is given
for command in (["cython"], [sys.executable, "-mcython"], [sys.executable, "-Im", "cython"]):
    name = "out/program" + str(len(command)) + ".c"
    subprocess.run([*command, "-3", "program.pyx", "-o", name], check=True)
subprocess.run(["cython", "--version"], check=True)
old("command", Derived("old", "words"))
case("derived", [Special("c", ["c.c", "d.cpp"])])
from Cython.Build.Dependencies import cythonize as same
assert same is cythonize
print("compiler:", sorted(it for it in sys.modules if it.startswith("Cython.Compiler.")), flush=True)
from Cython.Compiler import Options
Options.docstrings = False
case("options", named("first"), force=True)
Options.docstrings = True
case("again", [named("plain", depends=["x.h"])], compile_time_env=environment, force=True)
case("class", [Special("second", ["second.pyx"])], force=True)
old("decided", Decided("second", "words"))
old("attributes", Derived("fifth", len))
case("callable", "third.pyx", compile_time_env={"F": len}, force=True)
case("generator", (it for it in ["fourth.pyx"]), force=True)
case("error", "broken.pyx")
import Cython.Build.Dependencies
assert Cython.Build.Dependencies.parse_list("a b") == ["a", "b"]
subprocess.run(["cythonize", "-3", "-f", "program.pyx"], check=True)
"""


@pytest.fixture(scope="module")
def wheels(pytestconfig: pytest.Config, setuptools_wheel: Path) -> Callable[[Target], tuple[Path, ...]]:
    """The real wheels of setuptools and Cython for a target, fetched once."""
    folder: Path = pytestconfig.cache.mkdir("wheels")

    def fetched(target: Target) -> tuple[Path, ...]:
        pattern = f"[Cc]ython-{CYTHON}-{target.interpreter}-*{target.arch}.whl"
        if not list(folder.glob(pattern)):
            argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *pip_options(target)]
            argv += ["--only-binary", ":all:", "--dest", str(folder), f"cython=={CYTHON}"]
            subprocess.run(argv, check=True, timeout=300)
        return (setuptools_wheel, *folder.glob(pattern))

    return fetched


@pytest.fixture(scope="module")
def ran(
    wheels: Callable[[Target], tuple[Path, ...]], tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, tuple[Path, str]]:
    """What the same script writes and prints in an environment with a native twin, and in one without."""
    catalogue, folder = Catalogue.read(default_path()), tmp_path_factory.mktemp("cython")
    targets = [catalogue.target(f"cp311-manylinux_2_36_{it.arch}") for it in (FOREIGN, HOST)]
    tools = ensure(engine(), catalogue, targets[0], log=log_of("toolchain"))
    assert tools
    twins = Twins(wheels=wheels(targets[1])[1:], python=tools.pythons["cp311"], machine=FOREIGN.arch)
    told = {}
    for beside in (twins, None):
        source = folder / ("native" if beside else "emulated")
        write(source)
        made = environment.make(
            wheels(targets[0]),
            targets[0],
            catalogue.interpreter(targets[0]),
            inside=ENVIRONMENT,
            cache=folder / "environments",
            beside=beside,
        )
        done = engine().run(
            image(FOREIGN.arch, Role.BUILD),
            (f"{ENVIRONMENT}/bin/python", "setup.py"),
            mounts=(
                *tools.mounts,
                Mount(source=made, target=ENVIRONMENT),
                Mount(source=source, target="/build/src", writable=True),
            ),
            env={
                "PATH": f"{ENVIRONMENT}/bin:/usr/bin:/bin",
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            workdir="/build/src",
            timeout=500,
            log=folder / f"{source.name}.log",
        )
        text = (folder / f"{source.name}.log").read_text()
        assert done.ok, text
        told[beside is not None] = (source, text)
    return told


@pytest.mark.engine
class TestInAForeignRoot:
    def test_what_is_written_is_the_same_to_the_byte(self, ran: dict[bool, tuple[Path, str]]) -> None:
        native, emulated = (dict(written(ran[key][0])) for key in (True, False))
        assert sorted(native) == sorted(emulated) and native == emulated
        assert {
            "plain.c",
            "uses.c",
            "out/directives.c",
            "timed.c",
            "cpp.cpp",
            "program.c",
            "own.c",
            "old.c",
        } <= set(native)
        assert {"out/program1.c", "out/program2.c", "out/program3.c", "out/directives.html"} <= set(native)
        assert b'"define_macros"' in native["out/directives.c"]

    def test_what_is_returned_is_the_same(self, ran: dict[bool, tuple[Path, str]]) -> None:
        native, emulated = (
            [line for line in ran[key][1].splitlines() if line.startswith(("case", "[(", "CompileError"))]
            for key in (True, False)
        )
        assert native == emulated and len(native) == 31  # a generator is used up before it is translated
        assert native[-1] == "CompileError"

    def test_the_log_says_what_ran_where(self, ran: dict[bool, tuple[Path, str]]) -> None:
        lines = [line for line in ran[True][1].splitlines() if line.startswith(("case", "wheelbuilder: "))]
        said = "\n".join(lines).split("case ")[1:]
        ended = {words.partition("\n")[0]: words.partition("\n")[2] for words in said}
        for name, module in (
            *(("plain", "plain"), ("cimport", "uses"), ("directives", "directives")),
            *(("own class", "own"), ("command", "old")),
        ):
            assert ended[name].strip() == f"wheelbuilder: Cython {CYTHON} ran natively for {module}"
        programs = f"Cython {CYTHON} ran natively: cython -3 program.pyx -o out/program1.c"
        assert programs in ended["c++"] and "natively: python -m cython -3" in ended["c++"]
        assert "natively: python -Pm cython -3" in ended["c++"]
        assert ended["c++"].count("\n") <= 5  # asking for the version says nothing
        assert "emulated: it has been called for plain.pyx before" in ended["again"]
        assert "not as expected: options\n" in ended["options"]
        assert "emulated: it is given a __main__.Special" in ended["class"]
        assert "emulated: it is given a builtins.builtin_function" in ended["attributes"]
        assert "emulated: it is given a __main__.Decided" in ended["decided"]
        assert "emulated: it is given a builtins.builtin_function" in ended["callable"]
        assert "emulated: it is given a builtins.generator" in ended["generator"]
        assert "emulated: the native one did not do it" in ended["error"]
        assert "wheelbuilder" not in ran[False][1]

    def test_the_compiler_is_not_imported_where_it_is_not_used(
        self, ran: dict[bool, tuple[Path, str]]
    ) -> None:
        assert "compiler: ['Cython.Compiler.Main']\n" in ran[True][1]
        assert "'Cython.Compiler.Nodes'" in ran[False][1]


def write(folder: Path) -> None:
    for name, text in {**PACKAGES, "setup.py": SETUP}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    for path in (folder, folder / "own", folder / "own/needed"):
        path.chmod(0o777)


def written(folder: Path) -> list[tuple[str, bytes]]:
    found = [path for path in folder.rglob("*") if path.suffix in (".c", ".cpp", ".h", ".html")]
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in found]


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.5, "x", [1, ("a", None)], {"a": {"b": []}, 1: 2}, (), [[]], "\udcff"],
)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    back = decoded(encoded(value))
    assert back == value and repr(back) == repr(value)


def test_extensions_come_back_as_they_were() -> None:
    made = Extension("a.b", ["a.pyx"], define_macros=[("A", None)], py_limited_api=True)
    made.more = 5
    back = decoded(encoded([made]))[0]
    assert type(back) is Extension and vars(back) == vars(made)


class Words(str):
    """No plain string."""


@pytest.mark.parametrize(
    "value", [Words("x"), {"a": {len}}, b"x", Path("x"), iter([]), type("Extension", (), {})()]
)
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(UnexpectedError, match="given a"):
        encoded(value)


def test_what_a_failure_has_left_is_older_than_any_source(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("before.c", "after.c", "after.pyx"):
        (tmp_path / name).touch()
    os.utime("before.c", (1_000, 1_000))
    (tmp_path / "link.c").symlink_to("/etc/hostname")
    outdate((tmp_path / "after.c").stat().st_mtime)
    times = {path.name: path.lstat().st_mtime for path in tmp_path.iterdir()}
    assert times["after.c"] == 1 and times["before.c"] == 1_000 and times["after.pyx"] > 1_000


def test_options_are_shown_alike_in_every_process() -> None:
    value = {"a": {3, 1, 2}, "b": [len, int], "c": (None, b"x")}
    assert (
        shown(value) == "{'a': {1, 2, 3}, 'b': [builtin_function_or_method len, type int], 'c': [None, b'x']}"
    )


@pytest.mark.parametrize(
    ("words", "module"),
    [
        ("-m cython a.pyx -o a.c", "-m cython a.pyx -o a.c"),
        ("-mcython -3", "-m cython -3"),
        ("-Im cython", "-m cython"),
        ("-B -sumcython a", "-m cython a"),
        ("-m Cython", "-m Cython"),
        ("-mm cython", "-m m cython"),
        ("-W error -m cython", ""),
        ("-Xutf8 -m cython", ""),
        ("-i -m cython", ""),
        ("-c pass -m cython", ""),
        ("--version -m cython", ""),
        ("setup.py -m cython", "setup.py -m cython"),
        ("-u meson.py setup", "meson.py setup"),
        ("-W error meson.py", ""),
        ("- -m cython", ""),
        ("-m", ""),
        ("", ""),
    ],
)
def test_modules_are_found_in_a_command_of_an_interpreter(words: str, module: str) -> None:
    assert native_start.called_by(["python", *words.split()]) == module.split()


@pytest.mark.parametrize(
    ("options", "name", "variables", "answer"),
    [
        ("-s", "core.pyx", {}, "-m True"),
        ("-I", "core.pyx", {}, "-Pm True"),
        ("-I", "cython.py", {}, "-Pm True"),
        ("-s", "cython.py", {}, "-m False"),
        ("-s", "core.pyx", {"PYTHONPATH": "x"}, "-m False"),
        ("-E", "core.pyx", {"PYTHONPATH": "x"}, "-m True"),
    ],
)
def test_another_cython_or_path_is_left_to_the_emulated_one(
    options: str, name: str, variables: dict[str, str], answer: str, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    ask = f"import sys; sys.path.append({str(Path(native_start.__file__).parent)!r})\n"
    ask += "import native_start; called = native_start.called_by(['python', '-m', 'cython'])\n"
    ask += "print(called[0], native_start.is_native(called, ['cython']))"
    told = subprocess.run(
        [sys.executable, options, "-c", ask],
        cwd=tmp_path, env=variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == answer


def test_an_interpreter_that_does_not_start_is_told() -> None:
    with pytest.raises(UnexpectedError, match="does not start"):
        native_cython.handed_over("/nowhere/python", {}, ("x.pyx",), {})
