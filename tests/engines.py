"""The engine and the roots that tests run containers in; made once and kept on the machine between runs."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.engine_probe import find
from wheelbuilder.build.owners import OWNER_LABEL
from wheelbuilder.build.roots import ensure
from wheelbuilder.inputs.images import Catalogue, Role, Root, default_path


@cache
def engine() -> Engine:
    return find()


@cache
def root(arch: str = "x86_64", role: Role = Role.BARE) -> Root:
    return Catalogue.read(default_path()).families["bookworm"].roots[arch, role]


@cache
def image(arch: str = "x86_64", role: Role = Role.BARE) -> str:
    return ensure(engine(), root(arch, role), log=log_of("tests"))


def log_of(name: str) -> Path:
    folder = cache_home() / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"


def containers_of(driver: int, *words: str) -> list[str]:
    """The containers of a driver, by its process id: others run their own here. words: for `ps`."""
    form = '{{.ID}} {{index .Labels "' + OWNER_LABEL + '"}}'
    rows = engine().call("ps", *words, "--format", form).splitlines()
    return [row.split()[0] for row in rows if row.partition(" ")[2].startswith(f"{driver}-")]


def own_cache(folder: Path) -> dict[str, str]:
    """An environment with a cache that has nothing but the programs of builds, which take long to make."""
    made = folder / "wheelbuilder"
    made.mkdir(parents=True)
    for name in ("programs", "compilers"):
        (cache_home() / name).mkdir(exist_ok=True)
        (made / name).symlink_to(cache_home() / name)
    return {"XDG_CACHE_HOME": str(folder)}


def counting_engine(folder: Path) -> tuple[dict[str, str], Path]:
    """An environment in which every call of the engine is noted, one line each."""
    folder.mkdir()
    calls = folder / "calls"
    real = shutil.which(engine().name)
    wrapper = folder / engine().name
    wrapper.write_text(f'#!/bin/sh\necho "$1" >>{calls}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", **own_cache(folder / "cache")}, calls
