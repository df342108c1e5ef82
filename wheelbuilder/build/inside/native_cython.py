"""Translates with the environment's own Cython in a native interpreter: what it writes is the same there.

It lies in a foreign build environment as `_wheelbuilder_cython`, and is read by both sides. The emulated one
hands over a call of `cythonize`, or of the command that was before it, if it consists of plain values, and
returns what comes back: for that it need not import Cython's compiler, which takes seconds. Whatever is not
as expected is left to it alone.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from types import ModuleType, SimpleNamespace
from typing import Any

TRANSLATOR = "Cython.Build.Dependencies"
OPTIONS = "Cython.Compiler.Options"
SITE = os.path.dirname(os.path.abspath(__file__))
EXTENSIONS = (
    *("distutils.extension", "setuptools._distutils.extension"),
    *("setuptools.extension", "Cython.Distutils.extension"),
)
# What a class derived from those can have: nothing that Cython would ask for.
DERIVED = ("__init__", "__module__", "__doc__", "__annotations__", "__firstlineno__", "__static_attributes__")
# What the old command asks of itself, apart from options that begin with `cython_`.
ASKED = ("no_c_in_traceback", "inplace", "force", "build_lib", "build_temp")
TRANSLATED = (".pyx", ".py")
# Options of `cythonize` with which it writes files that no source of an extension asks for.
ELSEWHERE = ("build_dir", "common_utility_include_dir", "shared_utility_qualified_name")
# Parts of Cython that are imported to ask something or to call `cythonize`, not to change it.
HARMLESS = ("Cython.Build", "Cython.Compiler.Version", "Cython.Distutils", "Cython.Tempita")
WRITTEN = (".c", ".cpp", ".cxx", ".cc", ".h", ".html")
# The options of the program `cythonize` with which it compiles nothing.
TRANSLATING = ("-3", "-2", "--3str", "-f", "--force", "-q", "--quiet", "-k", "--keep-going", "-a")
ASKING = ("-V", "--version", "-h", "--help")


class UnexpectedError(Exception):
    """A call is not of the kind that is handed over; says why."""


# ---- the emulated side


def stand_in(module: ModuleType, python: str) -> None:
    """Make a module stand in for `Cython.Build.Dependencies`, which it imports when it must."""

    def cythonize(*arguments: Any, **options: Any) -> Any:
        modules = members(arguments, options)
        if is_compiled_only(modules, options):
            return modules
        try:
            if set(vars(module)) != known:
                raise UnexpectedError("its modules were changed")
            refuse_again(modules, seen)
            request = described(arguments, options)
            answer = handed_over(python, request, arguments, options)
        except UnexpectedError as reason:
            say(f"Cython runs emulated: {reason}")
        else:
            handed.append(request)
            return answer
        changes = {name: value for name, value in vars(module).items() if name not in known}
        vars(real()).update(changes)
        catch_up(handed)
        return real().cythonize(*arguments, **options)

    def other(name: str) -> Any:
        if name == "__path__":  # each `from` asks whether this is a package
            raise AttributeError(name)
        return getattr(real(), name)

    vars(module).update(cythonize=cythonize, __getattr__=other)
    known, seen, handed = set(vars(module)), set[str](), list[Any]()


def is_compiled_only(modules: list[Any], options: dict[str, Any]) -> bool:
    """Say whether nothing is translated or copied: such extensions come back as they are."""
    known: Any = known_classes()
    elsewhere = any(map(options.get, ELSEWHERE))
    return not elsewhere and all(
        isinstance(it, known)
        and type(it.sources) is list
        and all(type(name) is str and not name.endswith(TRANSLATED) for name in it.sources)
        for it in modules
    )


@functools.cache
def real() -> Any:
    """Import what was stood in for, in its place."""
    package = sys.modules["Cython.Build"]
    spec = importlib.machinery.PathFinder.find_spec(TRANSLATOR, package.__path__)
    assert spec and spec.loader
    module = sys.modules[TRANSLATOR] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(package)["Dependencies"] = module
    return module


def catch_up(handed: list[Any]) -> None:
    """Make the calls that were handed over: nothing is translated again, but Cython learns of the sources."""
    for request in handed:
        options = {name: decoded(value) for name, value in request["options"].items()}
        real().cythonize(*map(decoded, request["arguments"]), **{**options, "force": False})
    handed.clear()


def amend(command: Any, python: str) -> None:
    """Let the old command, which does not call `cythonize`, hand over what it translates."""
    emulated, mkpath = command.cython_sources, command.mkpath

    @functools.wraps(emulated)
    def cython_sources(self: Any, sources: Any, extension: Any) -> Any:
        if not any(isinstance(it, str) and it.endswith(TRANSLATED) for it in sources):
            return emulated(self, sources, extension)
        try:
            if type(self).mkpath is not mkpath or getattr(self, "dry_run", False):
                raise UnexpectedError("the command is a changed one")
            request = described((sources, plain(extension), options_of(self)), {})
            return asked(python, {**request, "command": True})
        except UnexpectedError as reason:
            say(f"Cython runs emulated: {reason}")
        return emulated(self, sources, extension)

    command.cython_sources = cython_sources


def plain(extension: Any) -> dict[str, Any]:
    """Return all that an extension holds; UnexpectedError if its class, a derived one, can have more."""
    classes = [it for it in type(extension).__mro__ if it.__module__ not in EXTENSIONS and it is not object]
    if not isinstance(extension, known_classes()) or {name for it in classes for name in vars(it)} - {
        *DERIVED
    }:
        raise UnexpectedError(f"it is given a {type(extension).__module__}.{type(extension).__qualname__}")
    return vars(extension)


def known_classes() -> tuple[type, ...]:
    """Return those extension classes that have been imported."""
    return tuple(vars(sys.modules[it])["Extension"] for it in EXTENSIONS if it in sys.modules)


def options_of(command: Any) -> dict[str, Any]:
    """Return what the old command asks of itself."""
    names = [*ASKED, *(name for name in vars(command) if name.startswith("cython_"))]
    return {name: getattr(command, name) for name in names if hasattr(command, name)}


def handed_over(
    python: str, request: dict[str, Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> list[Any]:
    """Let a native interpreter make a call, and return what it returns; UnexpectedError if it does not."""
    told = asked(python, request)
    given = [it for it in members(arguments, options) if is_extension(it)]
    return [restored(index, value, given) for index, value in told]


def asked(python: str, request: dict[str, Any]) -> Any:
    """Return what a native interpreter answers to a request; UnexpectedError if it does not."""
    started = time.time()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as answer:
        words = ("-S", f"{SITE}/_wheelbuilder_cython.py", os.uname()[4], "call", str(answer.fileno()))
        try:
            done = subprocess.run(
                (python, *words),
                input=json.dumps(request).encode(),
                pass_fds=(answer.fileno(),),
                check=False,
            )
        except OSError as error:
            raise UnexpectedError(f"the native interpreter does not start: {error}") from None
        if done.returncode:
            outdate(started)
            raise UnexpectedError("the native one did not do it")
        answer.seek(0)
        return json.load(answer)


def refuse_again(modules: list[Any], seen: set[str]) -> None:
    """Refuse sources of an earlier call, of which Cython keeps in mind what it has found in them."""
    words = [it for each in modules for it in (each.sources if is_extension(each) else [each])]
    sources = {it for it in words if isinstance(it, str) and it.endswith(TRANSLATED)}
    if again := sources & seen:
        raise UnexpectedError(f"it has been called for {min(again)} before")
    seen |= sources


def described(arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return a call, and what it depends on, as JSON has it."""
    return {
        "arguments": [encoded(it) for it in arguments],
        "options": {name: encoded(value) for name, value in options.items()},
        "cython": cython(),
        "loaded": [it for it in sys.modules if it.startswith("Cython.")],
        "setuptools": "setuptools" in sys.modules,
        "uname": list(os.uname()),
        "path": list(sys.path),
        "standard": os.path.dirname(os.__file__),
    }


def restored(index: int, value: Any, given: list[Any]) -> Any:
    """Return an extension that came back: one of those given, or a new one."""
    made = decoded(value)
    if index < 0:
        return made
    vars(given[index]).update(vars(made))
    return given[index]


def outdate(started: float) -> None:
    """Make what a failed translation has written older than any source, so that it is made again."""
    for folder, _, names in os.walk("."):
        for path in (os.path.join(folder, name) for name in names if name.endswith(WRITTEN)):
            if not os.path.islink(path) and os.stat(path).st_mtime >= started - 2:
                os.utime(path, (1, 1))


# ---- both sides


def encoded(value: Any) -> Any:
    """Return a plain value as [type, content]; UnexpectedError for any other."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return ["plain", value]
    if kind in (list, tuple):
        return [kind.__name__, [encoded(it) for it in value]]
    if kind is dict:
        return ["dict", [[encoded(name), encoded(it)] for name, it in value.items()]]
    if is_extension(value):
        return [kind.__module__, [[name, encoded(it)] for name, it in vars(value).items()]]
    raise UnexpectedError(f"it is given a {kind.__module__}.{kind.__qualname__}")


def decoded(value: Any) -> Any:
    """Return the value that `encoded` was given, or its like."""
    kind, content = value
    if kind == "plain":
        return content
    if kind == "dict":
        return {decoded(name): decoded(it) for name, it in content}
    if kind in EXTENSIONS:
        made = importlib.import_module(kind).Extension("", [])
        made.__dict__ = {name: decoded(it) for name, it in content}
        return made
    items = [decoded(it) for it in content]
    return tuple(items) if kind == "tuple" else items


def is_extension(value: Any) -> bool:
    """Say whether it is an extension module of setuptools or distutils, and of no class derived from that."""
    return type(value).__qualname__ == "Extension" and type(value).__module__ in EXTENSIONS


def members(arguments: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
    """Return what `cythonize` is called for, in order."""
    modules = [*arguments, options.get("module_list")][0]
    return list(modules) if isinstance(modules, (list, tuple)) else [modules]


def cython() -> dict[str, Any]:
    """Return what of Cython a program can have changed, in a form to compare."""
    import Cython

    options = sys.modules.get(OPTIONS)
    return {
        "version": Cython.__version__,
        "file": Cython.__file__,
        "options": options and {name: shown(it) for name, it in vars(options).items() if name[:2] != "__"},
    }


def shown(value: Any) -> str:
    """Return a value as words that are the same in every process."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{shown(name)}: {shown(it)}' for name, it in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(shown, value)))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    return f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"


def say(words: str) -> None:
    """Put a line into the log."""
    print(f"wheelbuilder: {words}", file=sys.stderr, flush=True)


# ---- the native side


def main() -> None:
    """Make a call that is described on standard input, or be one of Cython's programs."""
    machine, what, *words = sys.argv[1:]
    if what == "call":
        with open(int(words[0]), "w", encoding="ascii") as answer:
            request = json.load(sys.stdin)
            be_like(request)
            json.dump(sources(request) if "command" in request else called(request), answer)
    else:
        be_machine([*os.uname()[:4], machine])
        run(what, words)


def be_machine(uname: list[str]) -> None:
    """Answer like the target: sources can ask for its name while they are translated."""
    os.uname = lambda: os.uname_result(uname)


def be_like(request: dict[str, Any]) -> None:
    """Make this process like the emulated one, as far as Cython asks for that."""
    be_machine(request["uname"])
    standard = request["standard"]
    sys.path[:] = [*own_path(), *(it for it in request["path"] if not it.startswith(standard)), standard]
    if request["setuptools"]:
        import setuptools  # noqa: F401
    refuse_without_distutils()


def called(request: dict[str, Any]) -> list[Any]:
    """Call `cythonize` as the emulated side would; exit status 1 for whatever is different here.

    Return, for each extension, which of those given it is (-1: a new one), and what it holds.
    """
    from Cython.Build.Dependencies import cythonize

    refuse_differences(request)
    arguments = tuple(map(decoded, request["arguments"]))
    options = {name: decoded(value) for name, value in request["options"].items()}
    modules = cythonize(*arguments, **options)
    say(f"Cython {request['cython']['version']} ran natively for {', '.join(it.name for it in modules)}")
    given = [id(it) for it in members(arguments, options) if is_extension(it)]
    return [[given.index(id(it)) if id(it) in given else -1, encoded(it)] for it in modules]


def sources(request: dict[str, Any]) -> list[str]:
    """Let the old command translate as the emulated one would; return what there is to compile."""
    import Cython.Compiler.Main  # noqa: F401
    from Cython.Distutils.old_build_ext import old_build_ext

    refuse_differences(request)
    given, extension, options = map(decoded, request["arguments"])
    command = old_build_ext.__new__(old_build_ext)
    vars(command).update(options, mkpath=lambda path: os.makedirs(path or ".", exist_ok=True))
    made = old_build_ext.cython_sources(command, given, SimpleNamespace(**extension))
    say(f"Cython {request['cython']['version']} ran natively for {extension['name']}")
    return list(made)


def refuse_differences(request: dict[str, Any]) -> None:
    """End if the emulated side uses another Cython, or has changed its own."""
    unknown = [it for it in request["loaded"] if it not in sys.modules and not it.startswith(HARMLESS)]
    here, there = cython(), request["cython"]
    if there["options"] is None:
        del here["options"]
    changed = sorted(name for name in here if here[name] != there[name])
    if unknown or changed:
        sys.exit(f"wheelbuilder: not as expected: {', '.join([*unknown, *changed])}")


def refuse_without_distutils() -> None:
    """End where neither setuptools nor this standard library has it: Debian packs it apart."""
    try:
        import distutils.extension  # noqa: F401
    except ImportError:
        sys.exit("wheelbuilder: there is no native distutils")


def own_path() -> list[str]:
    """Return where the native standard library lies."""
    return [path for path in sys.path if path.startswith(sys.base_prefix)]


def run(what: str, words: list[str]) -> None:
    """Be the program `cython` or `cythonize`, or what `python -m cython` runs: `-m`, or `-Pm`."""
    module = what in ("-m", "-Pm")
    name = f"python {what} cython" if module else os.path.basename(what)
    first = {"-m": [SITE, os.getcwd()], "-Pm": [SITE]}.get(what, [os.path.dirname(what)])
    sys.path[:] = [*first, *own_path(), SITE]
    sys.argv = [f"{SITE}/cython.py" if module else what, *words]
    if name == "cythonize":
        options = {word for word in words if word.startswith("-")}
        if not options <= set(TRANSLATING):
            sys.exit(f"wheelbuilder: cythonize {' '.join(words)} is left to the emulated one")
        refuse_without_distutils()
        from Cython.Build.Cythonize import main as program
    else:
        from Cython.Compiler.Main import setuptools_main as program
    status = program()
    if not status and not set(words) & set(ASKING):
        from Cython import __version__

        say(f"Cython {__version__} ran natively: {name} {' '.join(words)}")
    sys.exit(status)


if __name__ == "__main__":
    main()
