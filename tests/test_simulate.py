from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from commands import Said, command
from mirrors import NOW, wheel_change
from s3_servers import FreshBucket
from samples import X86, pin
from sdists import FileIndex, Workplace, in_tree
from tinywheel import make_wheel

from wheelbuilder.build import process, requirements
from wheelbuilder.build.installers import GLIBCS_OF_UV, Installer, installers, knows
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.care import select, yank
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.coverage import Coverage, Gap
from wheelbuilder.report import simulate as module
from wheelbuilder.report.simulate import simulate

CATALOGUE = Catalogue.read(default_path())
UV_NAME, PIP_NAME = f"uv {version('uv')}", f"pip {version('pip')}"
UV = "cp311-manylinux_2_36_aarch64"
PIP = "cp313-manylinux_2_41_ppc64le"
PINS = ("pure===1.0", "Plat.Form===1.0", "ours===1.0", "localized==1.0")
GAPS = ("toonew===1.0", "source_only===1.0", "oldpython===1.0", "nowhere===1.0", "yanked-one===1.0")


def native(python: str, glibc: str, *archs: str) -> list[str]:
    return [f"{python}-{python}-manylinux_{glibc}_{arch}" for arch in archs]


def fill(index: FileIndex, store: Store, folder: Path) -> None:
    """Upstream with pure, native, too new and refusing wheels; a store with ours."""
    both = native("cp311", "2_17", "aarch64") + native("cp313", "2_17", "ppc64le")
    above = native("cp311", "2_39", "aarch64") + native("cp313", "2_42", "ppc64le")
    upstream = [("pure", "py3-none-any"), *(("plat-form", tag) for tag in both)]
    upstream += [("toonew", tag) for tag in above]
    for name, tag in upstream:
        index.offer_wheel(make_wheel(folder, name, "1.0", tag))
    bounded = make_wheel(folder, "oldpython", "1.0", requires_python="<3.10")
    bound: dict[str, Any] = {"requires-python": "<3.10"}
    index.add(bounded.name, bounded.read_bytes(), **bound)
    index.offer(in_tree("source_only"), in_tree("ours"), in_tree("yanked_one"))
    changes = [wheel_change(folder, "ours", tag=tag) for tag in both]
    changes += [wheel_change(folder, "localized", "1.0+ours"), wheel_change(folder, "yanked-one")]
    publish(store, "test", changes, run="1", now=NOW)
    yank(store, select(store, "test", ["yanked-one==1.0"]), "broken", Author(run="2", now=NOW, note=""))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FileIndex() as index:
        made = Workplace(folder=tmp_path / "place", index=index, targets=(UV, PIP))
        made.write([*PINS, *GAPS])
        fill(index, DirectoryStore(made.store), tmp_path / "wheels")
        yield made


def coverage(place: Workplace, *words: str | Path, store: str | Path = "") -> Said:
    return command("coverage", place.list_path, "--store", store or place.store, "--simulate", *words)


def lines(said: Said) -> list[str]:
    """What was said after the proof itself."""
    return said.out.splitlines()[2:]


PASSED_OVER = "1 gap not asked about: there is a wheel, which consumers pass over"
UV_DIFFERS = f"it takes a wheel where {PIP_NAME} takes none: oldpython===1.0"


def agreed(pins: int, gaps: int) -> list[str]:
    """What is said where the installers agree with the proof of this list."""
    return [
        f"{UV}: {UV_NAME} agrees on {pins} pins and {gaps - 1} gaps; {UV_DIFFERS}; {PASSED_OVER}",
        f"{PIP}: {PIP_NAME} agrees on {pins} pins and {gaps} gaps; {PASSED_OVER}",
    ]


def test_installers_find_what_the_proof_says(place: Workplace) -> None:
    said = coverage(place)
    assert (said.code, said.err, lines(said)) == (1, "", agreed(4, 4))


def test_the_code_is_0_where_nothing_is_amiss(place: Workplace) -> None:
    place.write(PINS)
    said = coverage(place, "--json")
    assert said.code == 0
    simulation = json.loads(said.out)[1]["simulation"]
    assert simulation == {
        "installer": PIP_NAME,
        "pins": 4,
        "gaps": 0,
        "remarks": [],
        "disagreements": [],
        "line": f"{PIP}: {PIP_NAME} agrees on 4 pins and 0 gaps",
    }
    assert simulation["line"] in said.err


def test_a_page_that_is_gone_is_found(place: Workplace) -> None:
    """The commit says that the wheel is published, and no installer can see it."""
    place.write(PINS)
    for view in ("simple", "json"):
        (place.store / f"channels/test/{view}/ours/index.html").unlink()
    said = coverage(place, "--json")
    assert said.code == 1
    for row, name in zip(json.loads(said.out), (UV_NAME, PIP_NAME), strict=True):
        (found,) = row["simulation"]["disagreements"]
        assert (found["project"], found["version"]) == ("ours", "1.0")
        assert row["simulation"]["line"] == f"{row['target']}: {name} disagrees on 1 of 4 pins and 0 gaps"
        told = f"{row['target']}: the proof says that there is a wheel, but {name} finds none: "
        assert f"error: ours===1.0 {told}" in said.err and "ours" in found["said"]


def test_a_page_with_more_than_was_committed_is_found(place: Workplace, tmp_path: Path) -> None:
    """Another wheel has come onto the page: the proof's gap is none."""
    wheel = make_wheel(tmp_path / "more", "toonew", "1.0", "py3-none-any")
    page = place.store / "channels/test/simple/toonew/index.html"
    page.parent.mkdir()
    page.write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    (page.parent / wheel.name).write_bytes(wheel.read_bytes())
    said = coverage(place, "--pin", "toonew")
    assert said.code == 1
    for target, name in ((UV, UV_NAME), (PIP, PIP_NAME)):
        (line,) = [line for line in said.err.splitlines() if target in line]
        assert line.startswith(f"error: toonew===1.0 {target}: the proof says that there is no wheel (")
        assert f"but {name} takes one: " in line and "toonew" in line.rpartition("takes one: ")[2]


def test_metadata_that_is_gone_is_found_where_pip_reads_it(place: Workplace) -> None:
    for path in place.store.glob("files/*/localized-*.metadata"):
        path.unlink()
    said = coverage(place, "--pin", "localized", "--pin", "pure")
    (line,) = said.err.splitlines()
    assert line.startswith(f"error: localized==1.0 {PIP}: ") and "404" in line


def test_the_pages_of_a_snapshot_are_read(place: Workplace) -> None:
    place.write(PINS)
    said = coverage(place, "--channel", "test@1")
    assert (said.code, said.error) == (2, "test@1 has no pages that an installer could read.")
    assert command("snapshot", "test@1", "--store", place.store).code == 0
    for page in place.store.glob("channels/test/simple/*/index.html"):
        page.unlink()
    assert coverage(place, "--channel", "test@1").code == 0
    assert coverage(place).code == 1


def test_branches_are_named(place: Workplace) -> None:
    (place.folder / "other.txt").write_text("pure===1.0\nsource_only===1.0\n")
    place.write(PINS, extra='branches.other = "other.txt"\n')
    said = coverage(place, "--target", UV)
    assert said.out.splitlines()[-2:] == [
        f"main {UV}: {UV_NAME} agrees on 4 pins and 0 gaps",
        f"other {UV}: {UV_NAME} agrees on 1 pin and 1 gap",
    ]


def test_a_store_without_anything_agrees_too(place: Workplace, tmp_path: Path) -> None:
    place.write(PINS)
    said = coverage(place, store=tmp_path / "none")
    assert lines(said)[0] == f"{UV}: {UV_NAME} agrees on 2 pins and 2 gaps"
    assert not (tmp_path / "none").exists()


def test_the_hosts_configuration_is_not_seen(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "host", "source_only", "1.0")
    (tmp_path / "home/.config/uv").mkdir(parents=True)
    (tmp_path / "home/.config/uv/uv.toml").write_text(f'find-links = ["{tmp_path}/host"]\n')
    (tmp_path / "home/.config/pip").mkdir()
    (tmp_path / "home/.config/pip/pip.conf").write_text(f"[global]\nfind-links = {tmp_path}/host\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, f"{tmp_path}/host")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert lines(coverage(place)) == agreed(4, 4)


def test_a_second_simulation_reads_no_page_again(place: Workplace) -> None:
    place.write(["pure===1.0", "plat-form===1.0"])
    validators = []
    for _ in range(2):
        place.index.requests.clear()
        assert coverage(place, "--target", UV).code == 0
        validators.append([validator for _, validator in place.index.requests])
    assert None in validators[0] and None not in validators[1]


@pytest.mark.s3
def test_a_bucket_is_read_like_a_directory(place: Workplace, s3_bucket: FreshBucket, tmp_path: Path) -> None:
    place.write(PINS)
    assert command("sync", place.store, s3_bucket.address).code == 0
    said = coverage(place, store=s3_bucket.address)
    assert (said.code, said.err) == (0, "")


# The search for what was refused, with an installer that is a process of its own and knows what it has.
WORDS = "import sys; asked = sys.stdin.read().split(); print(len(asked), file=open(sys.argv[1], 'a')); "
REFUSES = WORDS + "bad = [it for it in asked if it in sys.argv[2:]]; sys.exit('no ' + bad[0] if bad else 0)"
SILENT = WORDS + "sys.exit(any(it in sys.argv[2:] for it in asked))"


def asked(
    folder: Path, program: str, covered: list[Coverage], refused: list[str]
) -> tuple[tuple[module.Simulated, ...], list[int]]:
    """Simulate with a program as installer; return also how many pins each of its runs was asked about."""
    log = folder / "log"
    argv = (sys.executable, "-c", program, str(log), *refused)
    found = simulate(covered, lambda _: [Installer(name="it", argv=argv, trouble=re.compile("trouble"))])
    return found, [int(line) for line in log.read_text().split()]


def many(number: int, gaps: int = 0) -> Coverage:
    return Coverage(
        branch="main",
        target=X86,
        pins=number + gaps,
        compiled=tuple(Gap(pin=pin(f"g{at}===1"), reason="no wheel") for at in range(gaps)),
        missing=(),
        served=tuple(pin(f"p{at}===1") for at in range(number)),
    )


@pytest.mark.parametrize(("program", "most"), [(REFUSES, 7), (SILENT, 40)])
def test_each_refused_pin_is_singled_out(program: str, most: int, tmp_path: Path) -> None:
    refused = ["p3===1", "p77===1", "p99===1"]
    (found,), runs = asked(tmp_path, program, [many(100)], refused)
    assert sorted(str(it.pin) for it in found.disagreements) == refused
    assert runs[0] == 100 and len(runs) <= most


def test_equal_questions_are_asked_once(tmp_path: Path) -> None:
    found, runs = asked(tmp_path, REFUSES, [many(5), replace(many(6), branch="other")], [])
    assert runs == [5, 1]
    assert [it.line for it in found] == [f"{X86}: it agrees on {n} pins and 0 gaps" for n in (5, 6)]


def test_a_search_without_end_is_cut_and_says_so(tmp_path: Path) -> None:
    (found,), _ = asked(tmp_path, REFUSES, [many(60)], [f"p{at}===1" for at in range(60)])
    assert len(found.disagreements) == found.pins == module.MOST_REFUSED
    assert found.line.endswith("40 more pins not asked about, because too many were refused")


def test_gaps_do_not_count_as_refused(tmp_path: Path) -> None:
    gaps = [f"g{at}===1" for at in range(module.MOST_REFUSED + 1)]
    branches = [many(2, gaps=len(gaps)), replace(many(4), branch="other")]
    found, _ = asked(tmp_path, REFUSES, branches, [*gaps, "p3===1"])
    assert [it.pins for it in found] == [2, 4]
    assert [str(it.pin) for it in found[1].disagreements] == ["p3===1"]


def test_many_gaps_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GAPS", 4)
    (found,), runs = asked(tmp_path, REFUSES, [many(0, gaps=10)], [f"g{at}===1" for at in (0, 2, 5, 7)])
    assert (found.gaps, found.disagreements, runs) == (4, (), [1] * 4)
    assert found.line == f"{X86}: it agrees on 0 pins and 4 gaps; 6 more gaps not asked about"


def test_trouble_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="it cannot read the index: trouble with x"):
        asked(tmp_path, "import sys; sys.exit('trouble with x')", [many(1)], [])


def test_an_index_that_went_away_is_no_disagreement(place: Workplace, tmp_path: Path) -> None:
    for target in (UV, PIP):
        arch = CATALOGUE.architecture(Target.parse(target))
        (first, *_) = installers(
            Target.parse(target),
            arch,
            upstream="http://127.0.0.1:9/simple/",
            mirror=place.index.url,
            cache=tmp_path / "c",
        )
        with pytest.raises(UnreachableError, match="cannot read the index"):
            first.ask([pin("nowhere===1.0")])


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("cp311-manylinux_2_36_x86_64", True),
        ("cp311-manylinux_2_28_aarch64", True),
        ("cp313-manylinux_2_41_x86_64", False),
        ("cp311-manylinux_2_24_x86_64", False),
        ("cp313-manylinux_2_39_riscv64", False),
        ("cp311-manylinux_2_36_armv7l", False),
        ("cp313-musllinux_1_2_x86_64", False),
    ],
)
def test_uv_is_asked_where_it_knows_exactly_the_platform(target: str, known: bool) -> None:
    parsed = Target.parse(target)
    assert knows(parsed, CATALOGUE.architecture(parsed)) == known


def test_uv_takes_the_names_that_we_think_it_takes(tmp_path: Path) -> None:
    told = process.check([requirements.uv(), "pip", "compile", "--no-config", "--help"])
    for arch in ("x86_64", "aarch64"):
        named = {(2, int(minor)) for minor in re.findall(rf"\b{arch}-manylinux_2_([0-9]+)", told)}
        assert named == GLIBCS_OF_UV
