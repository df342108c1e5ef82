"""Keeps the package's shape: rooms in one direction, one starter of processes, pure modules without I/O."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import wheelbuilder

PACKAGE = Path(wheelbuilder.__file__).parent
ROOMS = ("inputs", "plan", "build", "mirror", "report", "pipeline", "cli")
PURE = (
    *(
        "inputs.bindep",
        "inputs.names",
        "inputs.near",
        "inputs.recipes",
        "inputs.pins",
        "inputs.targets",
        "inputs.wanted",
        "inputs.quantities",
    ),
    *(
        "plan.files",
        "plan.decisions",
        "plan.decide",
        "plan.keys",
        "plan.plans",
        "plan.reasons",
        "plan.coverage",
        "plan.closure",
        "plan.dependencies",
        "plan.experience",
        "plan.past",
        "plan.recall",
    ),
    *("build.outcomes", "build.failures", "build.clues", "build.missing", "build.providers"),
    *("mirror.layout", "mirror.merge", "mirror.needs", "mirror.negotiate", "mirror.pages", "mirror.states"),
)
IMPURE = {
    *(
        "subprocess",
        "os",
        "socket",
        "urllib.request",
        "requests",
        "boto3",
        "click",
        "time",
        "shutil",
        "tempfile",
    ),
    *("threading", "concurrent.futures", "random", "wheelbuilder.build.process"),
}


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    paths = sorted(PACKAGE.rglob("*.py"))
    names = (".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths)
    return tuple((name, ast.parse(path.read_text("utf-8"))) for name, path in zip(names, paths, strict=True))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    first = name.removeprefix("wheelbuilder.").partition(".")[0]
    return first if first in ROOMS else None


def test_rooms_import_only_from_the_rooms_before() -> None:
    backwards = [
        f"{name} imports {imported}"
        for name, tree in modules()
        for imported in imports(tree)
        if imported.startswith("wheelbuilder.")
        and (here := room(name))
        and (there := room(imported))
        and ROOMS.index(there) > ROOMS.index(here)
    ]
    assert backwards == []


def test_only_one_module_starts_processes() -> None:
    starters = {
        name for name, tree in modules() if {"subprocess", "pty", "multiprocessing"} & set(imports(tree))
    }
    # what runs inside of a root is alone there: it starts that root's pip, or a native interpreter
    assert starters == {
        "build.process",
        "build.inside.trial",
        "build.inside.native_cython",
        "build.inside.rust_front",
    }


def test_nobody_asks_for_a_shell() -> None:
    shells = [
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.keyword) and node.arg == "shell")
        or (isinstance(node, ast.Attribute) and node.attr in ("system", "popen"))
    ]
    assert shells == []


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_do_no_io(name: str) -> None:
    tree = dict(modules())[name]
    opened = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input"))
            or (
                isinstance(node.func, ast.Attribute)
                and node.func.attr
                in ("read_text", "read_bytes", "write_text", "write_bytes", "exists", "mkdir")
            )
        )
    ]
    assert not set(imports(tree)) & IMPURE
    assert opened == []


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, tree in modules() if not ast.get_docstring(tree)] == []


def test_everything_that_is_printed_is_made_visible() -> None:
    printers = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("click.echo", "click.secho", "print", "Console")
    }
    # programs of ours that other programs of ours read, or that talk through a build's log
    assert {name for name in printers if not name.endswith("_process") and ".inside." not in name} == {
        "cli.screen"
    }
