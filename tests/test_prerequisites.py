"""Build requirements without a wheel: which are built, and which of those built before serve."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from builds import WAY
from mirrors import NOW
from packaging.utils import NormalizedName, canonicalize_name
from samples import ARM, X86, pin
from sdists import FileIndex, Workplace, in_tree
from simple_index import Answer
from sites import site
from tinywheel import make_wheel

from wheelbuilder.build import shelf
from wheelbuilder.build.channel import Channel
from wheelbuilder.build.outcomes import Built, BuiltWheel, FailureClass, StepFailedError
from wheelbuilder.build.prerequisites import LacksWheelsError, for_trial, resolve, wheels
from wheelbuilder.build.site import Site
from wheelbuilder.build.tasks import Given
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents
from wheelbuilder.mirror.wheels import read_wheel
from wheelbuilder.plan.decisions import Build

LATE = canonicalize_name("late")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        index.offer(in_tree("late"))
        index.answers("/simple/blocked/", Answer(status=403))
        yield index


@dataclass
class Workbench:
    """Builds what is asked for by writing a wheel, and remembers the keys."""

    folder: Path
    keys: list[str] = field(default_factory=list)

    def build(self, build: Build, site: Site) -> Built:
        self.keys.append(build.key)
        made = make_wheel(self.folder / build.key, build.pin.name, body=f"KEY = {build.key!r}")
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        wheel = BuiltWheel(path=made, sha256=digest, size=0, requires_python=None)
        source = site.sdists / build.sdist.sha256 / build.sdist.filename
        source.parent.mkdir(parents=True, exist_ok=True)
        source.touch()
        return shelf.put(Built(build=build, wheel=wheel, sdist=source, way=WAY, steps=()), site)


def resolved(site: Site, bench: Workbench, given: tuple[Given, ...] = ()) -> bytes:
    try:
        files = resolve(["late"], X86, site, given=given)
    except LacksWheelsError as error:
        built = [bench.build(build, site) for build in error.builds]
        return resolved(site, bench, tuple(Given(key=it.build.key, wheel=it.wheel.path) for it in built))
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


def test_a_wheel_that_is_not_as_it_was_does_not_serve(index: FileIndex, tmp_path: Path) -> None:
    bench, here = Workbench(tmp_path / "bench"), site(index, tmp_path)
    first = resolved(here, bench)
    (path,) = here.wheelhouse(X86).rglob("*.whl")
    path.write_bytes(first + b"x")
    assert resolved(replace(here, _resolvers={}), bench) == first and len(bench.keys) == 2


def test_a_build_of_the_run_is_preferred_to_the_newest(index: FileIndex, tmp_path: Path) -> None:
    index.offer(in_tree("late", version="2.0"))
    here = site(index, tmp_path)
    with pytest.raises(LacksWheelsError) as newest:
        resolve(["late"], X86, here)
    pinned = replace(newest.value.builds[0], pin=pin("late===1.0"), key="pinned")
    here = site(index, tmp_path, planned={(pinned.pin.name, X86): (pinned,)})
    for text, expected in (("late", "1.0"), ("late<2", "1.0"), ("late>1", "2.0")):
        with pytest.raises(LacksWheelsError) as caught:
            resolve([text], X86, here)
        assert [str(it.pin.version) for it in caught.value.builds] == [expected]


def channel(folder: Path, *wheels: Path) -> Channel:
    """A channel that has published these."""
    store = DirectoryStore(folder / "store")
    names = [canonicalize_name(path.name.split("-")[0]) for path in wheels]
    changes = [
        Change(project=name, wheels=(read_wheel(path),)) for name, path in zip(names, wheels, strict=True)
    ]
    publish(store, "test", changes, run="", now=NOW)
    return Channel(files=contents(store, "test").projects, download=store.download)


def test_what_the_channel_has_serves_and_is_not_built(index: FileIndex, tmp_path: Path) -> None:
    index.offer(in_tree("late", version="2.0"))
    old, new = (make_wheel(tmp_path, "late", version) for version in ("0.9", "1.0"))
    foreign = make_wheel(tmp_path, "late", "1.5", tag="cp311-cp311-manylinux_2_36_aarch64")
    here = site(index, tmp_path, channel=channel(tmp_path, old, new, foreign))
    for text, expected in (("late", new), ("late<1", old)):
        (path,) = wheels(resolve([text], X86, here), here)
        assert path.read_bytes() == expected.read_bytes()
        here = replace(here, _resolvers={})
    with pytest.raises(LacksWheelsError) as caught:
        resolve(["late>1"], X86, here)
    assert [str(it.pin.version) for it in caught.value.builds] == ["2.0"]
    planned = replace(caught.value.builds[0], key="planned")
    busy = replace(here, planned={(planned.pin.name, X86): (planned,)}, _resolvers={})
    with pytest.raises(LacksWheelsError) as caught:  # the branch pins another one by now
        resolve(["late"], X86, busy)
    assert caught.value.builds == (planned,)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"x")])
def test_a_wheel_of_the_channel_that_is_lost_or_damaged_is_built(
    index: FileIndex, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    here = site(index, tmp_path, channel=channel(tmp_path, make_wheel(tmp_path, "late")))
    (stored,) = tmp_path.glob("store/files/*/*.whl")
    damage(stored)
    with pytest.raises(LacksWheelsError):
        resolve(["late"], X86, here)


def test_a_wheel_of_the_channel_that_does_not_help_is_not_tried_for_ever(
    index: FileIndex, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "late", requires=("late-too",))
    index.page("late-too", [])
    here = site(index, tmp_path, channel=channel(tmp_path, wheel))
    with pytest.raises(StepFailedError, match=r"late-too.* has neither a wheel"):
        resolve(["late"], X86, here)


@pytest.mark.engine
def test_a_later_run_needs_what_an_earlier_one_published(index: FileIndex, tmp_path: Path) -> None:
    asking = in_tree("asking", requires=["late"])
    index.offer(asking)
    work = Workplace(folder=tmp_path / "work", index=index)
    work.write(["late===1.0"])
    assert work.run().code == 0
    work.write(["late===1.0", asking])
    later = work.run()
    assert later.code == 0, later.stderr
    assert list(later.outcomes) == ["asking"]
    assert "late==1.0" in later.outcomes["asking"]["build_environment"]
    assert work.audit().code == 0


class TestTrials:
    PINNED = ("late===1.0", "late-too===1.0")

    def needed(self, here: Site) -> list[str] | None:
        """The wheels with which a trial imports what requires `late`."""
        files = for_trial(["late>=0.5"], X86, here, constraints=self.PINNED)
        return None if files is None else sorted(path.name for path in wheels(files, here))

    def planned(self, here: Site, *targets: Target) -> dict[tuple[NormalizedName, Target], tuple[Build, ...]]:
        with pytest.raises(LacksWheelsError) as caught:
            resolve(["late==1.0"], X86, here)
        (build,) = caught.value.builds
        return {(LATE, it): (replace(build, target=it, key=f"planned{it.arch}"),) for it in targets}

    def test_what_the_channel_has_and_needs_itself_is_there(self, index: FileIndex, tmp_path: Path) -> None:
        index.page("late-too", [])
        assert self.needed(site(index, tmp_path)) is None
        one = make_wheel(tmp_path, "late", requires=("late-too",))
        newer, two = make_wheel(tmp_path, "late", "2.0"), make_wheel(tmp_path, "late-too")
        assert self.needed(site(index, tmp_path, channel=channel(tmp_path / "a", one, newer))) is None
        both = site(index, tmp_path, channel=channel(tmp_path / "b", one, newer, two))
        assert self.needed(both) == [one.name, two.name]

    def test_what_the_run_has_built_is_there(self, index: FileIndex, tmp_path: Path) -> None:
        bench = Workbench(tmp_path / "bench")
        planned = self.planned(site(index, tmp_path), X86, ARM)
        here = site(index, tmp_path, planned=planned)
        assert self.needed(here) is None  # and nobody waits for it
        (arm,) = planned[LATE, ARM]
        bench.build(arm, here)  # pure: it serves every target
        assert self.needed(here) == ["late-1.0-py3-none-any.whl"]

    def test_what_the_run_builds_is_taken_from_the_channel_until_then(
        self, index: FileIndex, tmp_path: Path
    ) -> None:
        planned = self.planned(site(index, tmp_path), X86)
        before = make_wheel(tmp_path, "late", build="1")
        here = site(index, tmp_path, planned=planned, channel=channel(tmp_path, before))
        assert self.needed(here) == [before.name]

    def test_what_others_require_wrongly_is_not_the_fault_of_the_tried(
        self, index: FileIndex, tmp_path: Path
    ) -> None:
        one = make_wheel(tmp_path, "late", requires=("late-too @ https://example.org/x.whl",))
        here = site(index, tmp_path, channel=channel(tmp_path, one))
        assert self.needed(here) is None


@pytest.mark.engine
def test_a_trial_imports_with_what_only_we_have(index: FileIndex, tmp_path: Path) -> None:
    asking = in_tree("asking", "return pack(folder, {'asking.py': b'import late; 1 / 0'}, requires=['late'])")
    index.offer(asking)
    work = Workplace(folder=tmp_path / "work", index=index)
    work.write(["late===1.0"])
    assert work.run().code == 0
    work.write(["late===1.0", asking])
    row = work.run().outcomes["asking"]
    assert (row["outcome"], row["class"]) == ("failed", "import-failed"), row
    assert "ZeroDivisionError" in row["summary"]


def test_what_was_given_and_does_not_help_is_not_asked_for_again(index: FileIndex, tmp_path: Path) -> None:
    here = site(index, tmp_path)
    with pytest.raises(LacksWheelsError) as caught:
        resolve(["late"], X86, here)
    other = make_wheel(here.wheelhouse(X86) / "other", "other")
    given = tuple(Given(key=build.key, wheel=other) for build in caught.value.builds)
    with pytest.raises(StepFailedError, match="cannot be had"):
        resolve(["late"], X86, here, given=given)


def test_a_page_that_is_refused_fails_the_build_that_asks(index: FileIndex, tmp_path: Path) -> None:
    here = site(index, tmp_path)
    with pytest.raises(StepFailedError, match="blocked") as caught:
        resolve(["blocked"], X86, here)
    assert caught.value.failure is FailureClass.REQUIREMENTS
