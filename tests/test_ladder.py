"""The ladder: which rung real builds for the other architecture take, why, and that they are right."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import odd_sdists as odd
import pytest
from builds import FOREIGN, HOST, build, built
from commands import command
from engines import engine, log_of
from sdists import Ended, FileIndex, Workplace, cli
from sites import site

from wheelbuilder.build.ladder import Footing, fall, footing, serves
from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.outcomes import FailureClass, Fall, StepFailedError, Way
from wheelbuilder.build.site import Site
from wheelbuilder.build.tasks import Attempt, Task
from wheelbuilder.build.toolchain import ensure
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target

CATALOGUE = Catalogue.read(default_path())
ROOT = CATALOGUE.root(FOREIGN, Role.BUILD)
UNTOOLED = CATALOGUE.target(f"cp311-manylinux_2_28_{FOREIGN.arch}")
WITHOUT = replace(
    CATALOGUE,
    families=CATALOGUE.families
    | {"manylinux_2_28": replace(CATALOGUE.families["manylinux_2_28"], toolchain=None)},
)
FALL = Fall(rung=Rung.TOOLCHAIN, failure=FailureClass.COMPILER, summary="it broke", toolchain="t1")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with FileIndex() as index:
        yield replace(site(index, tmp_path), engine=engine(), catalogue=WITHOUT)


def stands(here: Site, target: Target = FOREIGN, pinned: Rung | None = None, **attempt: Any) -> Footing:
    made = build(target=target)
    made = replace(made, recipe=replace(made.recipe, rung=pinned))
    root = here.catalogue.root(target, Role.BUILD)
    return footing(Task(build=made, memory=1, attempt=Attempt(**attempt)), here, root, log_of("tests"))


class TestFooting:
    @pytest.mark.parametrize("pinned", [None, *Rung])
    def test_a_machine_builds_for_itself_natively_whatever_is_pinned(
        self, here: Site, pinned: Rung | None
    ) -> None:
        way = Way(rung=Rung.NATIVE, reason=f"this machine runs {HOST.arch} itself")
        found = stands(replace(here, rung=Rung.EMULATED), HOST, pinned)
        assert (found.way, found.toolchain, found.slack) == (way, None, 1)

    def test_a_recipe_or_a_run_can_allow_one_rung_only(self, here: Site) -> None:
        pinned = stands(here, pinned=Rung.EMULATED)
        assert (pinned.way.rung, pinned.way.reason) == (Rung.EMULATED, "its recipe allows no other")
        forced = stands(replace(here, rung=Rung.EMULATED), pinned=Rung.NATIVE)
        assert (forced.way.rung, forced.way.reason) == (Rung.EMULATED, "this run allows no other")
        assert pinned.way.pinned and forced.way.pinned and pinned.slack == 10

    @pytest.mark.parametrize(
        ("rung", "target", "why"),
        [
            (Rung.NATIVE, FOREIGN, f"this machine does not run {FOREIGN.arch} itself"),
            (Rung.TOOLCHAIN, UNTOOLED, f"there is no native toolchain for manylinux_2_28 on {FOREIGN.arch}"),
        ],
    )
    def test_a_rung_that_is_not_to_be_had_fails_where_no_other_is_allowed(
        self, here: Site, rung: Rung, target: Target, why: str
    ) -> None:
        for site_, pinned in ((here, rung), (replace(here, rung=rung), None)):
            with pytest.raises(StepFailedError, match=f"allows the rung {rung} only, and {why}") as error:
                stands(site_, target, pinned)
            assert error.value.failure is FailureClass.ROOT

    def test_what_fell_stands_below_and_says_why(self, here: Site) -> None:
        way = stands(here, fall=FALL).way
        assert way == Way(rung=Rung.EMULATED, reason=str(FALL), fall=FALL)

    def test_without_a_toolchain_everything_is_emulated(self, here: Site) -> None:
        way = stands(here, UNTOOLED).way
        assert way.rung is Rung.EMULATED and "there is no native toolchain for manylinux_2_28" in way.reason

    @pytest.mark.engine
    def test_a_fall_of_an_earlier_run_counts_for_the_toolchain_that_it_had(self, here: Site) -> None:
        tools = ensure(engine(), CATALOGUE, ROOT, log=log_of("tests"))
        assert tools
        earlier = replace(FALL, remembered=True, toolchain=tools.digest)
        assert stands(here, fall=earlier).way.fall == earlier
        found = stands(here, fall=replace(earlier, toolchain="another"))
        assert (found.way.rung, found.toolchain, found.slack) == (Rung.TOOLCHAIN, tools, 3)


@pytest.mark.parametrize(
    ("rung", "kept", "serve"),
    [
        (None, Rung.TOOLCHAIN, True),
        (Rung.EMULATED, Rung.EMULATED, True),
        (Rung.EMULATED, Rung.TOOLCHAIN, False),
        (Rung.EMULATED, Rung.NATIVE, True),
    ],
)
def test_wheels_of_all_rungs_serve_but_where_one_is_to_be_seen(
    here: Site, rung: Rung | None, kept: Rung, serve: bool
) -> None:
    made = replace(built(build()), way=Way(rung=kept, reason="x"))
    assert serves(made, replace(here, rung=rung)) is serve


class TestFall:
    WAY = Way(rung=Rung.TOOLCHAIN, reason="x", toolchain="t1")

    def after(self, failure: FailureClass, way: Way | None = WAY, **values: Any) -> Fall | None:
        return fall(StepFailedError(failure, "it broke", **values), way, engine(), ROOT)

    def test_what_a_compiler_can_bring_about_falls(self) -> None:
        falling = {failure for failure in FailureClass if self.after(failure)}
        assert falling == {"compiler", "toolchain", "backend", "native-lost", "wheel-check", "import-failed"}
        assert self.after(FailureClass.COMPILER) == FALL

    def test_nothing_falls_from_another_rung_or_from_the_only_one(self) -> None:
        ways = (None, replace(self.WAY, rung=Rung.NATIVE), replace(self.WAY, rung=Rung.EMULATED))
        for way in (*ways, replace(self.WAY, pinned=True)):
            assert self.after(FailureClass.COMPILER, way) is None

    def test_what_is_certain_does_not_fall(self) -> None:
        assert self.after(FailureClass.COMPILER, certain=True) is None

    @pytest.mark.engine
    def test_what_a_root_has_all_the_same_is_not_missing(self) -> None:
        there, gone = (Missing(kind=Kind.HEADER, name=name) for name in ("stdlib.h", "nowhere.h"))
        assert self.after(FailureClass.MISSING_HEADER, missing=(there,))
        assert self.after(FailureClass.MISSING_HEADER, missing=(there, gone)) is None


ON_THE_TOOLCHAIN = {
    made.name: told
    for made, told in (
        (odd.runs_what_it_compiled(), f"{FOREIGN.arch} 8"),
        (odd.asks_uname(), FOREIGN.arch),
        (odd.inline_assembly(), FOREIGN.arch),
        (odd.hard_codes(), FOREIGN.arch),
        (odd.configures(), FOREIGN.arch),
        (odd.picks_sources(), FOREIGN.arch),
    )
}
FALLEN = {
    "marchnative": "the compiler stopped: unknown value \u2018native\u2019 for \u2018-march\u2019",
    "shrugs": "the sdist has native sources (shrugs.c) and the wheel has no native code",
    "shells": f"#error this source is for {HOST.arch}",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, setuptools_wheel: Path) -> Iterator[Workplace]:
    with FileIndex() as index:
        index.offer(*odd.ALL)
        index.offer_wheel(setuptools_wheel)
        folder = tmp_path_factory.mktemp("ladder")
        work = Workplace(folder=folder, index=index, targets=(str(FOREIGN),))
        work.write(odd.ALL)
        work.recipe("shrugs", 'native = "optional"\n')
        work.recipe("slow", 'rung = "emulated"\nlimits.timeout = "4s"\n')
        yield work


@pytest.fixture(scope="module")
def ended(work: Workplace) -> Ended:
    return work.run(timeout=1200)


def contents(work: Workplace, name: str) -> bytes:
    """All that is in the published wheel of a project."""
    (path,) = work.store.glob(f"files/*/{name}-1.0-*.whl")
    with zipfile.ZipFile(path) as archive:
        return b"".join(map(archive.read, archive.namelist()))


@pytest.mark.engine
class TestOddBuilds:
    @pytest.mark.parametrize("name", ON_THE_TOOLCHAIN)
    def test_what_asks_for_the_machine_is_told_the_target(
        self, work: Workplace, ended: Ended, name: str
    ) -> None:
        row = ended.outcomes[name]
        assert (row["outcome"], row["rung"]) == ("built", "native-toolchain"), ended.stderr
        assert (row["rung_reason"], row["fell"], row["earlier"]) == ("the fastest here", None, [])
        assert len(row["toolchain"]) == 64
        assert ON_THE_TOOLCHAIN[name].encode() + b"\0" in contents(work, name)

    @pytest.mark.parametrize("name", FALLEN)
    def test_what_the_toolchain_cannot_build_is_emulated_and_the_record_says_why(
        self, work: Workplace, ended: Ended, name: str
    ) -> None:
        row = ended.outcomes[name]
        assert (row["outcome"], row["rung"], row["toolchain"]) == ("built", "emulated", None), ended.stderr
        failure = "native-lost" if name == "shrugs" else "compiler"
        assert row["rung_reason"].startswith(f"native-toolchain failed with {failure}: ")
        assert FALLEN[name] in row["fell"]["summary"] and row["fell"]["from"] == "native-toolchain"
        assert [(it["class"], it["rung"]) for it in row["earlier"]] == [(failure, "native-toolchain")]
        assert {step["attempt"] for step in row["steps"]} == {1, 2}
        assert FOREIGN.arch.encode() + b"\0" in contents(work, name)

    def test_the_run_tells_what_fell_and_what_a_recipe_could_say(self, ended: Ended) -> None:
        fell = {row["project"]: row for row in ended.document["fell"]}
        assert fell.keys() == FALLEN.keys()
        assert "built on a slower rung (3):" in ended.stderr
        assert '    rung = "emulated"  # native-toolchain fails with compiler' in ended.stderr
        assert fell["shells"]["times"] == 1 and 'range = "<=1.0"' in fell["shells"]["recipe"]

    def test_the_progress_tells_of_a_fall_when_it_happens(self, ended: Ended) -> None:
        for name, words in {**FALLEN, "broken": ""}.items():
            start = f"] {name}===1.0 {FOREIGN}: "
            lines = [line.partition(start)[2] for line in ended.stderr.splitlines() if start in line]
            (fall,) = (line for line in lines if line.startswith("falls "))
            failure = "native-lost, at check" if name == "shrugs" else "compiler, at build"
            assert fall.startswith(f"falls from native-toolchain to emulated ({failure}: ") and words in fall
            at = lines.index(fall)
            assert "build" in lines[:at] and "build" in lines[at + 1 :]

    def test_a_failure_on_both_rungs_is_the_slower_ones(self, ended: Ended) -> None:
        row = ended.outcomes["broken"]
        assert (row["outcome"], row["class"], row["rung"]) == ("failed", "compiler", "emulated")
        assert [(it["class"], it["rung"]) for it in row["earlier"]] == [("compiler", "native-toolchain")]
        assert "  tried emulated, because native-toolchain failed with compiler: " in ended.stderr

    def test_limits_of_time_are_for_native_builds(self, ended: Ended) -> None:
        row = ended.outcomes["slow"]
        assert (row["outcome"], row["rung"]) == ("built", "emulated")
        assert max(step["seconds"] for step in row["steps"] if step["step"] == "build") > 4

    def test_what_no_rung_has_is_not_looked_for_on_the_next(self, ended: Ended) -> None:
        row = ended.outcomes["lacking"]
        assert (row["class"], row["rung"], row["earlier"]) == ("missing-header", "native-toolchain", [])

    @pytest.mark.usefixtures("ended")
    def test_what_has_fallen_is_not_tried_on_the_faster_rung_again(self, work: Workplace) -> None:
        words = ("rebuild", str(work.list_path), "shells", "--target", str(FOREIGN), "--force", "--json")
        again = cli(*words, "--store", str(work.store), timeout=600)
        row = again.outcomes["shells"]
        assert (row["outcome"], row["rung"], row["earlier"]) == ("built", "emulated", []), again.stderr
        assert row["fell"]["remembered"] and "failed earlier with compiler" in row["rung_reason"]
        (fell,) = again.document["fell"]
        assert fell["times"] == 1 and fell["since"]
        why = command("why", work.list_path, "shells", "--store", work.store).out.splitlines()
        assert why[-1].startswith(f"{FOREIGN}: built on a slower rung, because native-toolchain failed with")

    @pytest.mark.usefixtures("ended")
    def test_a_rung_that_a_recipe_or_a_run_allows_alone_is_taken(self, work: Workplace) -> None:
        work.recipe("assembly", 'rung = "emulated"\n')
        only = "its recipe allows the rung emulated only"
        assert only in command("why", work.list_path, "assembly").out
        words = ("rebuild", str(work.list_path), "--target", str(FOREIGN), "--force", "--json")
        store = ("--store", str(work.store))
        pinned = cli(*words, *store, "assembly", timeout=600).outcomes["assembly"]
        assert (pinned["rung"], pinned["rung_reason"]) == ("emulated", "its recipe allows no other")
        forced = cli(*words, *store, "marchnative", "--rung", "native-toolchain", timeout=600)
        row = forced.outcomes["marchnative"]
        assert (row["outcome"], row["class"], row["earlier"]) == ("failed", "compiler", [])
        assert (row["rung"], row["rung_reason"]) == ("native-toolchain", "this run allows no other")
        nowhere = cli(*words, *store, "shells", "--rung", "native", timeout=600)
        assert nowhere.code == 1 and nowhere.outcomes["shells"]["class"] == "root"
