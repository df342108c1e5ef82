"""Meson configures the same in a native interpreter; what is not as expected is left to the emulated one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from builds import FOREIGN, HOST
from engines import engine, image, log_of
from wheel_differences import differences

from wheelbuilder.build import environment
from wheelbuilder.build.backend import ENVIRONMENT
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.requirements import pip_options
from wheelbuilder.build.toolchain import Toolchain, ensure
from wheelbuilder.build.toolchain_layout import INSIDE
from wheelbuilder.build.twins import Twins
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.targets import Target

MESON = "1.9.1"
WHEELS = (
    *("meson==1.9.1", "meson-python==0.18.0", "packaging==25.0", "pyproject-metadata==0.9.1"),
    "ninja==1.13.0",
)
CATALOGUE = Catalogue.read(default_path())
SOURCE = "/build/src"
SITE = f"{ENVIRONMENT}/lib/python3.11/site-packages"
NATIVELY = f"wheelbuilder: Meson {MESON} ran natively"
EMULATED = f"wheelbuilder: Meson {MESON} runs emulated, the native one did not do it"
PROJECT = {
    "pyproject.toml": """
[build-system]
requires = ["meson-python"]
build-backend = "mesonpy"
[project]
name = "foreign"
version = "1.0"
""",
    "meson.build": """
project('foreign', 'c', version: '1.0')
cc = meson.get_compiler('c')
py = import('python').find_installation(pure: false)
python3 = find_program('python3')
told = run_command(python3, files('tell.py'), check: true).stdout().split()
message('started by', told[1])
conf = configuration_data()
conf.set_quoted('MACHINE', told[0])
conf.set_quoted('PYTHON', py.full_path())
conf.set_quoted('FOUND', python3.full_path())
conf.set_quoted('SUFFIX', py.get_variable('EXT_SUFFIX'))
conf.set_quoted('PLATFORM', py.get_variable('MULTIARCH'))
conf.set_quoted('FAMILY', host_machine.cpu_family())
conf.set_quoted('CPU', host_machine.cpu())
conf.set_quoted('BUILD_CPU', build_machine.cpu())
conf.set_quoted('ENDIAN', host_machine.endian())
conf.set_quoted('COMPILER', cc.get_id() + ' ' + cc.version())
conf.set('LONG', cc.sizeof('long'))
conf.set('CHAR_IS_UNSIGNED', cc.compute_int('(char)-1 > 0'))
conf.set('HAVE_MMAP', cc.has_function('mmap', prefix: '#include <sys/mman.h>'))
conf.set('HAVE_NEON', cc.has_header('arm_neon.h'))
conf.set('RAN', cc.run('int main(void) { return sizeof(void *); }').returncode())
conf.set('HAVE_NOTHING', dependency('nothing-of-this-name', required: false).found())
configure_file(input: 'config.h.in', output: 'config.h', configuration: conf)
words = ['@CURRENT_SOURCE_DIR@/make.py', '@INPUT@', '@OUTPUT@']
generator = generator(python3, output: '@BASENAME@.c', arguments: words)
table = custom_target(output: 'table.h', command: [python3, files('tell.py')], capture: true)
low = static_library('low', generator.process('low.txt'), pic: true)
shared = shared_library('shared', 'shared.c')
parts = ['module.c', table]
py.extension_module('_foreign', parts, link_with: low, dependencies: cc.find_library('m'), install: true)
py.install_sources('foreign.py', pure: false)
""",
    "config.h.in": "\n".join(
        f"#mesondefine {name}"
        for name in (
            *("MACHINE", "PYTHON", "FOUND", "SUFFIX", "PLATFORM", "FAMILY", "CPU", "BUILD_CPU", "ENDIAN"),
            *("COMPILER", "LONG", "CHAR_IS_UNSIGNED", "HAVE_MMAP", "HAVE_NEON", "RAN", "HAVE_NOTHING"),
        )
    ),
    # What the machine is called, and which program has started this one.
    "tell.py": "import os, platform\nprint(platform.machine(), os.readlink(f'/proc/{os.getppid()}/exe'))\n",
    "make.py": "import platform, sys\n"
    "open(sys.argv[2], 'w').write(f'const char *low(void) {{ return \"{platform.machine()}\"; }}')\n",
    "low.txt": "",
    "shared.c": "int shared(void) { return 1; }\n",
    "module.c": """
#include <Python.h>
#include "config.h"
extern const char *low(void);
static PyObject *told(PyObject *self, PyObject *nothing) {
    return Py_BuildValue("ssiis", low(), FAMILY, LONG, CHAR_IS_UNSIGNED, MACHINE);
}
static PyMethodDef methods[] = {{"told", told, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_foreign", NULL, -1, methods};
PyMODINIT_FUNC PyInit__foreign(void) { return PyModule_Create(&module); }
""",
    "foreign.py": "from _foreign import told\n",
    "build.py": """
import os, mesonpy
os.makedirs("out", exist_ok=True)
mesonpy.build_wheel("out", {"build-dir": "made"})
""",
}
SETTINGS = (
    ("CPU", '"aarch64"'),
    ("FAMILY", '"aarch64"'),
    ("LONG", "8"),
    ("RAN", "8"),
    ("ENDIAN", '"little"'),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """A foreign build root with an environment. tools: what it has of native programs."""

    environment: Path
    tools: Toolchain | None
    log: Path

    def run(self, source: Path, *argv: str) -> tuple[int | None, str]:
        """Run a command in a writable folder there, and return its status and all that it said."""
        self.log.unlink(missing_ok=True)
        path = f"{ENVIRONMENT}/bin:{f'{self.tools.path}:' if self.tools else ''}/usr/bin:/bin"
        ended = engine().run(
            image(FOREIGN.arch, Role.BUILD),
            argv,
            mounts=(
                *(self.tools.mounts if self.tools else ()),
                Mount(source=self.environment, target=ENVIRONMENT),
                Mount(source=source, target=SOURCE, writable=True),
            ),
            env={"PATH": path, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1700000000"}
            | (self.tools.environment if self.tools else {}),
            workdir=SOURCE,
            timeout=500,
            log=self.log,
        )
        return ended.exit_code, self.log.read_text()


@pytest.fixture(scope="module")
def wheels(pytestconfig: pytest.Config) -> Callable[[Target], tuple[Path, ...]]:
    """The real wheels of a build environment of meson-python's for a target, fetched once."""
    cache: Path = pytestconfig.cache.mkdir("wheels")

    def fetched(target: Target) -> tuple[Path, ...]:
        folder = cache / f"meson-{MESON}-{target}"
        if not folder.is_dir():
            argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *pip_options(target)]
            argv += ["--only-binary", ":all:", "--dest", str(folder), *WHEELS]
            subprocess.run(argv, check=True, timeout=300)
        return tuple(sorted(folder.iterdir()))

    return fetched


@pytest.fixture(scope="module")
def made(
    wheels: Callable[[Target], tuple[Path, ...]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Root]:
    """Makes a root with a native toolchain or without. meson: whether that is native. python: in what."""
    folder = tmp_path_factory.mktemp("meson")
    target, host = (CATALOGUE.target(f"cp311-manylinux_2_36_{it.arch}") for it in (FOREIGN, HOST))
    tools = ensure(engine(), CATALOGUE, target, log=log_of("toolchain"))
    assert tools

    def root(*, native: bool = True, meson: bool = True, python: str = "") -> Root:
        ours = tuple(
            it for it in wheels(host) if it.name.startswith(("ninja", "meson-" if meson else "ninja"))
        )
        made = environment.make(
            wheels(target),
            target,
            CATALOGUE.interpreter(target),
            inside=ENVIRONMENT,
            cache=folder / "environments",
            beside=Twins(wheels=ours, python=python or tools.pythons["cp311"], machine=FOREIGN.arch)
            if native
            else None,
        )
        return Root(environment=made, tools=tools if native else None, log=folder / "log")

    return root


@pytest.fixture(scope="module")
def built(made: Callable[..., Root], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """The same project, built with Meson running natively, with only Meson emulated, and all emulated."""
    roots = {"native": made(), "meson emulated": made(meson=False), "emulated": made(native=False)}
    told = {}
    for name, root in roots.items():
        source = written(tmp_path_factory.mktemp("source"), PROJECT)
        status, log = root.run(source, f"{ENVIRONMENT}/bin/python", "build.py")
        assert status == 0, log
        told[name] = (source, log)
    return told


@pytest.mark.engine
class TestAProjectOfMesonPython:
    def test_meson_runs_natively(self, built: dict[str, tuple[Path, str]]) -> None:
        """What Meson starts sees it so too: at the configuration, and where ninja calls it."""
        for name, (source, log) in built.items():
            (started,) = (line.split()[-1] for line in log.splitlines() if "Message: started by" in line)
            called = (source / "made/table.h").read_text().split()[1]
            is_native = [started.startswith(INSIDE), called.startswith(INSIDE)]
            assert is_native == [name == "native"] * 2, (name, started, called)
            assert (NATIVELY in log) == (name == "native")
            assert "runs emulated" not in log

    def test_the_configuration_is_the_same_to_the_byte(self, built: dict[str, tuple[Path, str]]) -> None:
        native, emulated = (configured(built[name][0] / "made") for name in ("native", "meson emulated"))
        assert sorted(native) == sorted(emulated)
        assert [name for name in native if native[name] != emulated[name]] == []
        assert {"build.ninja", "config.h", "meson-info/intro-machines.json"} <= set(native)
        header = native["config.h"].decode()
        for name, value in SETTINGS:
            assert f"#define {name} {value}\n" in header
        assert f'#define PYTHON "{ENVIRONMENT}/bin/python"' in header

    def test_the_wheels_are_equal(self, built: dict[str, tuple[Path, str]]) -> None:
        native, half, emulated = (
            next((built[name][0] / "out").glob("*.whl")) for name in ("native", "meson emulated", "emulated")
        )
        assert native.name == "foreign-1.0-cp311-cp311-linux_aarch64.whl"
        assert differences(native, half) == ()
        assert [it for it in differences(native, emulated) if it.matters] == []

    def test_the_wheel_knows_its_machine(
        self, built: dict[str, tuple[Path, str]], made: Callable[..., Root]
    ) -> None:
        source, _ = built["native"]
        ask = "import sys, glob; sys.path[:0] = glob.glob('out/*.whl') + ['made', '.']; import foreign; "
        status, said = made().run(source, f"{ENVIRONMENT}/bin/python", "-c", f"{ask}print(foreign.told())")
        assert (status, said.strip()) == (0, "('aarch64', 'aarch64', 8, 1, 'aarch64')")


@pytest.mark.engine
class TestWhatIsLeftToTheEmulatedOne:
    def test_no_native_interpreter(self, made: Callable[..., Root], tmp_path: Path) -> None:
        source = written(tmp_path, {"meson.build": "project('x')\n"})
        status, said = made(python="/nowhere/python").run(source, "meson", "setup", "made")
        assert status == 0 and (source / "made/build.ninja").exists() and NATIVELY not in said
        status, _ = made(python="/nowhere/python").run(
            source, f"{ENVIRONMENT}/bin/python", "-m", "mesonbuild.mesonmain", "setup", "other"
        )
        assert status == 0 and (source / "other/build.ninja").exists()

    def test_the_module_that_tells_of_its_own_interpreter(
        self, made: Callable[..., Root], tmp_path: Path
    ) -> None:
        text = "project('x')\nmessage('there:', import('python3').sysconfig_path('purelib'))\n"
        source = written(tmp_path, {"meson.build": text})
        status, said = made().run(source, "meson", "setup", "made")
        assert status == 0 and EMULATED in said
        assert "there: lib/python3.11/site-packages" in said

    def test_a_configuration_that_fails(self, made: Callable[..., Root], tmp_path: Path) -> None:
        source = written(tmp_path, {"meson.build": "project('x')\nerror('it', 'cannot be')\n"})
        status, said = made().run(source, "meson", "setup", "made")
        assert status == 1 and said.count("it cannot be") == 2 and EMULATED in said

    def test_another_meson_in_the_path(self, made: Callable[..., Root], tmp_path: Path) -> None:
        source = written(tmp_path, {"meson.build": "project('x')\n", "other/mesonbuild/__init__.py": "1/0\n"})
        status, said = made().run(source, "env", f"PYTHONPATH={SOURCE}/other", "meson", "setup", "made")
        assert status == 1 and "ZeroDivisionError" in said
        assert "wheelbuilder: meson is left to the emulated one" in said


@pytest.mark.engine
class TestAProgram:
    def test_a_module_and_a_script_of_the_project_run_natively(
        self, made: Callable[..., Root], tmp_path: Path
    ) -> None:
        text = "project('x')\npy = import('python').find_installation()\n"
        text += "message(py.full_path(), run_command(py, files('tell.py')).stdout())\n"
        script = "import sys\nfrom mesonbuild import mesonmain\nsys.exit(mesonmain.main())\n"
        source = written(
            tmp_path, {"meson.build": text, "tell.py": PROJECT["tell.py"], "own/meson.py": script}
        )
        (source / "own/mesonbuild").symlink_to(f"{SITE}/mesonbuild")
        for number, words in enumerate((("-m", "mesonbuild.mesonmain"), ("own/meson.py",))):
            status, said = made().run(
                source, f"{ENVIRONMENT}/bin/python", *words, "setup", f"made{number}", "."
            )
            assert status == 0 and NATIVELY in said, said
            assert f"Message: {ENVIRONMENT}/bin/python aarch64 {INSIDE}" in said
            again = f"command = {ENVIRONMENT}/bin/python {' '.join(words).replace('own', f'{SOURCE}/own')}"
            assert f"{again} --internal regenerate" in (source / f"made{number}/build.ninja").read_text()

    def test_what_fails_in_a_build_is_not_done_twice(self, made: Callable[..., Root], tmp_path: Path) -> None:
        source = written(tmp_path, {})
        command = ("--internal", "exe", "--", "sh", "-c", "echo once >>count; exit 3")
        for words in (("meson",), (f"{ENVIRONMENT}/bin/python", "-m", "mesonbuild.mesonmain")):
            (source / "count").unlink(missing_ok=True)
            status, _ = made().run(source, *words, *command)
            assert (status, (source / "count").read_text()) == (3, "once\n")

    def test_the_version_is_all_that_is_said(self, made: Callable[..., Root], tmp_path: Path) -> None:
        assert made().run(written(tmp_path, {}), "meson", "--version") == (0, f"{MESON}\n")


def test_the_byte_order_is_that_of_the_interpreter(tmp_path: Path) -> None:
    """Meson tells a project that of the interpreter that runs it."""
    folder = Path(environment.__file__).parent / "inside"
    ask = "import sys; sys.path.append(sys.argv[1]); import native_guise; "
    ask += "native_guise.be_interpreter(sys.argv[2]); print(sys.byteorder, sys.executable)"
    for data, order in ((b"\x7fELF\x02\x02", "big"), (b"\x7fELF\x01\x01", "little")):
        program = tmp_path / order
        program.write_bytes(data)
        argv = [sys.executable, "-c", ask, str(folder), str(program)]
        told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert told.split() == [order, str(program)]


def written(folder: Path, files: dict[str, str]) -> Path:
    """Write files into a folder that the build's user can write to."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    folder.chmod(0o777)
    return folder


def configured(folder: Path) -> dict[str, bytes]:
    """What a configuration has written, pickles and logs apart. What is a set in Meson has no order."""
    found = {}
    for path in [folder / "build.ninja", folder / "config.h", *(folder / "meson-info").iterdir()]:
        text = path.read_bytes()
        if path.name == "intro-buildoptions.json":
            text = json.dumps(sorted(json.loads(text), key=lambda it: str(it["name"]))).encode()
        found[path.relative_to(folder).as_posix()] = text
    return found
