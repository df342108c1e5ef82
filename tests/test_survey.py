from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builds import FOREIGN, HOST, WAY, build
from sdists import FileIndex, Sdist, in_tree
from sites import site

from wheelbuilder.build import shelf
from wheelbuilder.build.outcomes import Built, BuiltWheel
from wheelbuilder.build.survey import Surveyor
from wheelbuilder.inputs.recipes import Patch, Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build

NEEDY = in_tree("needy", requires=("late",))


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        index.offer(in_tree("late"), NEEDY)
        yield index


def wanted(index: FileIndex, sdist: Sdist, target: Target = HOST, **recipe: object) -> Build:
    made = build(sdist.name, target)
    file = replace(
        made.sdist,
        filename=sdist.filename,
        url=f"{index.base}files/{sdist.filename}",
        sha256=hashlib.sha256(sdist.data).hexdigest(),
    )
    project = made.pin.name
    return replace(made, sdist=file, recipe=Recipe(project=project, **recipe))  # type: ignore[arg-type]


def lacking(surveyor: Surveyor, build: Build) -> list[str]:
    found = surveyor(build)
    assert found.build == build
    return [f"{it.pin} {it.target}" for it in found.builds]


def fetches(index: FileIndex, sdist: Sdist) -> int:
    return sum(path.endswith(sdist.filename) for path, _ in index.requests)


def test_what_has_no_wheel_is_told_for_each_target_and_the_source_is_read_once(
    index: FileIndex, tmp_path: Path, scratch: Path
) -> None:
    surveyor = Surveyor(site(index, tmp_path))
    for target in (HOST, FOREIGN, HOST):
        assert lacking(surveyor, wanted(index, NEEDY, target)) == [f"late===1.0 {target}"]
    assert fetches(index, NEEDY) == 1
    assert list(scratch.glob("survey-*")) == []


def test_what_needs_nothing_lacks_nothing(index: FileIndex, tmp_path: Path) -> None:
    index.offer(plain := in_tree("plain"))
    assert lacking(Surveyor(site(index, tmp_path)), wanted(index, plain)) == []


def test_what_the_recipe_asks_for_and_what_its_patch_says_counts(index: FileIndex, tmp_path: Path) -> None:
    index.offer(plain := in_tree("plain"), in_tree("more"))
    surveyor = Surveyor(site(index, tmp_path))
    asked = wanted(index, plain, build_requires=("late",))
    assert lacking(surveyor, asked) == [f"late===1.0 {HOST}"]
    text = "--- a/pyproject.toml\n+++ b/pyproject.toml\n@@ -2 +2 @@\n-requires = []\n+requires = ['more']\n"
    patched = wanted(index, plain, patches=(Patch(name="p", text=text, status=""),))
    assert lacking(surveyor, patched) == [f"more===1.0 {HOST}"]


def test_what_was_built_already_is_not_looked_at(index: FileIndex, tmp_path: Path) -> None:
    here = site(index, tmp_path)
    needy = wanted(index, NEEDY)
    sdist = here.sdists / needy.sdist.sha256 / needy.sdist.filename
    sdist.parent.mkdir(parents=True)
    sdist.write_bytes(NEEDY.data)
    path = tmp_path / "needy-1.0-py3-none-any.whl"
    path.write_bytes(b"wheel")
    wheel = BuiltWheel(path=path, sha256=hashlib.sha256(b"wheel").hexdigest(), size=5, requires_python=None)
    shelf.put(Built(build=needy, wheel=wheel, sdist=sdist, way=WAY, steps=()), here)
    assert lacking(Surveyor(here), needy) == []
    assert index.requests == []


def test_whatever_is_wrong_is_left_to_the_build(index: FileIndex, tmp_path: Path, scratch: Path) -> None:
    surveyor = Surveyor(site(index, tmp_path))
    gone = wanted(index, in_tree("gone", requires=("late",)))
    torn = replace(wanted(index, NEEDY), sdist=replace(wanted(index, NEEDY).sdist, sha256="b" * 64))
    misfit = wanted(index, NEEDY, remove=("none.c",))
    for bad in (gone, torn, misfit):
        assert lacking(surveyor, bad) == []
    assert list(scratch.iterdir()) == []
