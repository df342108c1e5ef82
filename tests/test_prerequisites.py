"""Build requirements without a wheel: which are built, and which of those built before serve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from samples import X86
from sdists import FileIndex, in_tree
from simple_index import Answer
from tinywheel import make_wheel

from wheelbuilder.build.outcomes import Built, BuiltWheel, FailureClass, Outcome, StepFailedError
from wheelbuilder.build.prerequisites import resolve_or_build, wheels
from wheelbuilder.build.site import Site
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.recipe_files import read_recipes
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.upstream import UpstreamIndex


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        index.offer(in_tree("late"))
        index.answers("/simple/blocked/", Answer(status=403))
        yield index


def site(index: FileIndex, folder: Path, **options: Any) -> Site:
    """A run's site; no engine is needed to resolve."""
    usual: dict[str, Any] = {
        "engine": None,
        "catalogue": Catalogue.read(default_path()),
        "upstream": UpstreamIndex(index.url, back_off=0),
        "recipes": read_recipes(folder / "recipes"),
        "cache": folder / "cache",
        "scratch": folder / "scratch",
        "build_constraints": (),
        "constraints": {},
        "memory": 1 << 30,
        "jobs": 1,
    }
    return Site(**(usual | options))


@dataclass
class Workbench:
    """Builds by writing a wheel, and remembers what it was asked for."""

    folder: Path
    keys: list[str] = field(default_factory=list)

    def __call__(self, build: Build, _waiting: tuple[str, ...]) -> Outcome:
        self.keys.append(build.key)
        made = make_wheel(
            self.folder / build.key, build.pin.name, str(build.pin.version), body=f"KEY = {build.key!r}"
        )
        wheel = BuiltWheel(path=made, sha256="", size=0, requires_python=None)
        return Built(build=build, wheel=wheel, sdist=made, steps=())


def resolved(site: Site, bench: Workbench) -> bytes:
    files = resolve_or_build(["late"], X86, site, cast(Any, bench), (cast(Any, "top"),))
    (path,) = wheels(files, site)
    return path.read_bytes()


def test_what_was_built_before_serves_while_its_key_is_the_same(index: FileIndex, tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "bench")
    first = resolved(site(index, tmp_path), bench)
    assert resolved(site(index, tmp_path), bench) == first and len(bench.keys) == 1


def test_another_recipe_or_other_build_constraints_build_anew(index: FileIndex, tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "bench")
    first = resolved(site(index, tmp_path), bench)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/late.toml").write_text('environment.COLOUR = "red"\n')
    second = resolved(site(index, tmp_path), bench)
    third = resolved(site(index, tmp_path, build_constraints=("other<2",)), bench)
    assert len({first, second, third}) == len(set(bench.keys)) == 3
    (tmp_path / "recipes/late.toml").unlink()
    assert resolved(site(index, tmp_path), bench) == first and len(bench.keys) == 3


def test_a_recipes_build_constraints_choose_what_is_built(index: FileIndex, tmp_path: Path) -> None:
    index.offer(in_tree("late", version="2.0"))
    bench = Workbench(tmp_path / "bench")
    here = site(index, tmp_path)
    for bounds, version in (((), "2.0"), (("late<2",), "1.0")):
        (file,) = resolve_or_build(["late"], X86, here, cast(Any, bench), (cast(Any, "top"),), bounds)
        assert file.filename.startswith(f"late-{version}-")


def test_a_copy_that_was_cut_short_does_not_serve(index: FileIndex, tmp_path: Path) -> None:
    bench, here = Workbench(tmp_path / "bench"), site(index, tmp_path)
    first = resolved(here, bench)
    (path,) = here.wheelhouse(X86).rglob("*.whl")
    path.rename(path.with_name(".partial"))
    assert resolved(replace(here, _resolvers={}), bench) == first and len(bench.keys) == 2


def test_a_page_that_is_refused_fails_the_build_that_asks(index: FileIndex, tmp_path: Path) -> None:
    here = site(index, tmp_path)
    with pytest.raises(StepFailedError, match="blocked") as caught:
        resolve_or_build(["blocked"], X86, here, cast(Any, None), (cast(Any, "top"),))
    assert caught.value.failure is FailureClass.REQUIREMENTS
