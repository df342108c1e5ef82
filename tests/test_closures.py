"""Lists in closure mode: real uv, a real index on loopback, and no code of a package is run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import Said, command
from mirrors import NOW, wheel_change
from sdists import FileIndex, sdist
from simple_index import Answer
from tinywheel import make_wheel

from wheelbuilder.build import process
from wheelbuilder.build.closures import closures, resolved
from wheelbuilder.build.library import Library
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.plan.upstream import UpstreamIndex

X86, ARM = "cp311-manylinux_2_36_x86_64", "cp311-manylinux_2_36_aarch64"
POWER, RISC = "cp313-manylinux_2_41_ppc64le", "cp313-manylinux_2_41_riscv64"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileIndex]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FileIndex() as index:
        yield index


def offer(index: FileIndex, folder: Path, name: str, requires: Sequence[str] = (), extras: str = "") -> None:
    """Offer a wheel with its metadata beside it (PEP 658)."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    lines += [f"Provides-Extra: {extra}" for extra in extras.split()]
    lines += [f"Requires-Dist: {words}" for words in requires]
    index.offer_wheel(make_wheel(folder / "wheels", name, metadata="\n".join([*lines, ""]).encode()))


def write(folder: Path, index: FileIndex, requirements: str, pins: str, *targets: str) -> Path:
    (folder / "app.txt").write_text(requirements)
    (folder / "pins.txt").write_text(pins)
    path = folder / "list.toml"
    path.write_text(
        f'targets = {json.dumps(targets or (X86, ARM))}\nupstream = "{index.url}"\nmode = "closure"\n'
        'branches.main = { path = "pins.txt", requirements = ["app.txt"] }\n'
    )
    return path


def decisions(said: Said) -> list[tuple[str, str]]:
    assert said.code == 0, said.err
    return [(row["project"], row["target"]) for row in json.loads(said.out)["decisions"]]


def test_a_plan_of_a_closure(index: FileIndex, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    offer(index, tmp_path, "app", ["source-only>=1", "plain", "arm; platform_machine=='aarch64'"])
    plain = make_wheel(tmp_path, "plain", metadata=b"Metadata-Version: 2.1\nName: plain\nVersion: 1.0\n")
    index.add(plain.name, plain.read_bytes())  # nothing beside it: the wheel is fetched
    for name in ("arm", "deep"):
        offer(index, tmp_path, name)
    setup = f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n"
    files = {"setup.py": setup, "PKG-INFO": "Metadata-Version: 2.1\n"}
    egg = {"source_only.egg-info/requires.txt": "deep\n"}
    index.offer(sdist("source_only", {**files, **egg}), sdist("mute", {**files, "PKG-INFO": ""}))
    pins = "".join(f"{name}===1.0\n" for name in ("app", "source-only", "plain", "arm", "deep", "mute", "un"))
    path = write(tmp_path, index, "app # why\nmute\n", pins)
    said = command("plan", path, "--json")
    both = ("app", "deep", "mute", "plain", "source-only")
    assert sorted(decisions(said)) == sorted(
        [*((name, target) for name in both for target in (X86, ARM)), ("arm", ARM)]
    )
    assert json.loads(said.out)["warnings"] == [
        "dependencies of mute===1.0 are not known before it is built (mute-1.0.tar.gz)",
        "dependencies of source-only===1.0 are those its sdist recorded (source_only-1.0.tar.gz)",
    ]
    assert not ran.exists()
    assert "/simple/un/" not in {asked for asked, _ in index.requests}


def test_a_second_plan_asks_about_each_page_once_and_nothing_else(
    index: FileIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(index, tmp_path, "app", ["one"])
    offer(index, tmp_path, "one")
    path = write(tmp_path, index, "app\n", "app===1.0\none===1.0\n")
    first = command("plan", path, "--json")
    index.requests.clear()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the answer is kept")

    monkeypatch.setattr(process, "run", refuse)
    second = command("plan", path, "--json")
    assert (second.code, second.out) == (0, first.out)
    assert sorted(asked for asked, _ in index.requests) == ["/simple/app/", "/simple/one/"]


def test_platforms_that_uv_does_not_know_are_walked(index: FileIndex, tmp_path: Path) -> None:
    offer(index, tmp_path, "app", ["power; platform_machine=='ppc64le'", "old; python_version<'3.12'"])
    for name in ("power", "old"):
        offer(index, tmp_path, name)
    path = write(tmp_path, index, "app\n", "app===1.0\npower===1.0\nold===1.0\n", POWER, X86)
    assert sorted(decisions(command("plan", path, "--json"))) == [
        ("app", X86),
        ("app", POWER),
        ("old", X86),
        ("power", POWER),
    ]


@pytest.mark.parametrize(
    ("requirements", "message", "hint"),
    [
        (
            "\napp>1 # too new\n",
            "app.txt:2: 'app>1', but the branch main pins app===1.0 ({folder}/pins.txt:1) for " + X86 + ".",
            "1 more like it",
        ),
        ("-e .\n", "app.txt:1: '-e .' is editable, and a folder of sources is no pin.", "Change the line"),
    ],
)
def test_what_cannot_be_resolved_is_one_sentence(
    index: FileIndex, tmp_path: Path, requirements: str, message: str, hint: str
) -> None:
    offer(index, tmp_path, "app")
    said = command("plan", write(tmp_path, index, requirements, "app===1.0\n"))
    assert said.code == 2
    assert said.error == f"{tmp_path}/{message.format(folder=tmp_path)}"
    assert hint in said.err


def test_a_project_that_is_pinned_and_not_needed(index: FileIndex, tmp_path: Path) -> None:
    offer(index, tmp_path, "app")
    path = write(tmp_path, index, "app\n", "app===1.0\nother===1.0\n")
    said = command("plan", path, "--pin", "other")
    assert (said.code, said.error) == (2, "The list list does not need other.")


def test_metadata_that_is_not_what_its_digest_says(index: FileIndex, tmp_path: Path) -> None:
    offer(index, tmp_path, "app")
    index.answers("/files/app-1.0-py3-none-any.whl.metadata", Answer(body=b"Name: app\n"))
    said = command("plan", write(tmp_path, index, "app\n", "app===1.0\n"))
    assert said.code == 4
    assert "app-1.0-py3-none-any.whl.metadata is not what its digest says" in said.error


def test_metadata_that_is_not_there_after_all_is_read_from_the_wheel(
    index: FileIndex, tmp_path: Path
) -> None:
    offer(index, tmp_path, "app", ["one"])
    offer(index, tmp_path, "one")
    index.answers("/files/app-1.0-py3-none-any.whl.metadata", Answer(status=404))
    path = write(tmp_path, index, "app\n", "app===1.0\none===1.0\n", X86)
    assert decisions(command("plan", path, "--json")) == [("app", X86), ("one", X86)]


def test_a_pin_without_files_needs_nothing(index: FileIndex, tmp_path: Path) -> None:
    said = command("plan", write(tmp_path, index, "gone\n", "gone===1.0\n", X86), "--json")
    assert decisions(said) == [("gone", X86)]
    assert json.loads(said.out)["warnings"] == [
        "dependencies of gone===1.0 are not known before it is built (upstream has no file of it)"
    ]


def test_projects_that_may_float(index: FileIndex, tmp_path: Path) -> None:
    offer(index, tmp_path, "app", ["Certifi[x]>=2017; python_version>'3'", "pinned", "win; os_name=='nt'"])
    offer(index, tmp_path, "pinned", ["certifi"])
    path = write(tmp_path, index, "app\nset_uptools>1\n", "app===1.0\npinned===1.0\n", X86, POWER)
    assert command("plan", path).code == 2
    path.write_text('unpinned = ["set-uptools", "certifi", "pinned", "win"]\n' + path.read_text())
    said = command("plan", path, "--json")
    both = [(name, target) for name in ("app", "pinned") for target in (X86, POWER)]
    assert sorted(decisions(said)) == sorted(both)
    left_out = [
        f"the branch main needs {name} and does not pin it: it is left out (unpinned)"
        for name in ("certifi", "set-uptools")
    ]
    assert json.loads(said.out)["warnings"] == left_out
    proof = command("coverage", path, "--store", tmp_path / "store")
    assert (proof.code, proof.err.splitlines()[-2:]) == (0, left_out)


def test_a_floating_project_with_a_line_that_excludes_it(index: FileIndex, tmp_path: Path) -> None:
    path = write(tmp_path, index, "app\n", "app===1.0; sys_platform=='win32'\n", X86)
    path.write_text('unpinned = ["app"]\n' + path.read_text())
    said = command("plan", path)
    assert (said.code, "pins it only where other markers hold" in said.error) == (2, True)


def test_what_a_published_wheel_says_of_its_sdist(index: FileIndex, tmp_path: Path) -> None:
    offer(index, tmp_path, "good")
    offer(index, tmp_path, "stale")
    index.offer(sdist("parent", {"PKG-INFO": ""}), sdist("multi", {"PKG-INFO": ""}))
    index.offer(sdist("aged", {"PKG-INFO": "Metadata-Version: 2.1\nRequires-Dist: stale\n"}))
    pins = "".join(f"{name}===1.0\n" for name in ("parent", "good", "multi", "aged", "stale"))
    path = write(tmp_path, index, "parent\naged\n", pins, X86)
    store = tmp_path / "store"
    publish_wheel(store, tmp_path, "aged", "Requires-Dist: good\n")
    unbuilt = "dependencies of {0}===1.0 are not known before it is built ({0}-1.0.tar.gz)"

    first = command("coverage", path, "--store", store, "--json")
    assert first.code == 1
    assert f"not proven, because {unbuilt.format('parent')}" in first.err.splitlines()
    (proof,) = json.loads(first.out)
    assert (proof["pins"], proof["untold"]) == (3, [unbuilt.format("parent")])  # aged needs good, not stale

    publish_wheel(
        store, tmp_path, "parent", "Requires-Dist: good; python_version>'3'\nRequires-Dist: multi\n"
    )
    second = command("coverage", path, "--store", store, "--json")
    (proof,) = json.loads(second.out)
    assert (second.code, [gap["project"] for gap in proof["compiled"]]) == (1, ["multi"])
    assert proof["untold"] == [unbuilt.format("multi")]
    assert ("multi", X86) in decisions(command("plan", path, "--store", store, "--json"))

    publish_wheel(store, tmp_path, "multi", "")
    last = command("coverage", path, "--store", store)
    assert (last.code, last.out) == (0, f"{X86}: 4 pins, nothing would be compiled\n")


def test_a_proof_in_which_every_pin_has_a_wheel_and_one_is_untold(index: FileIndex, tmp_path: Path) -> None:
    index.add("app-1.0-py3-none-any.whl", b"not a wheel")
    path = write(tmp_path, index, "app\n", "app===1.0\n", X86)
    store, covered = tmp_path / "store", f"{X86}: 1 pins, nothing would be compiled"
    untold = "dependencies of app===1.0 are not known before it is built (app-1.0-py3-none-any.whl)"
    said = command("coverage", path, "--store", store)
    assert (said.code, said.out.splitlines()) == (1, [covered, f"not proven, because {untold}"])
    ran = command("run", path, "--store", store, "--json")
    assert (ran.code, json.loads(ran.out)["untold"]) == (0, [untold])
    assert ran.err.splitlines()[-2:] == [f"Not proven, because {untold}", covered]


def publish_wheel(store: Path, folder: Path, name: str, requires: str) -> None:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}".encode()
    change = wheel_change(folder / "built", name, metadata=metadata)
    publish(DirectoryStore(store), "list", [change], run="r", now=NOW)


def opened(path: Path, index: FileIndex, folder: Path) -> tuple[RequirementsList, Catalogue, Library]:
    catalogue = Catalogue.read(default_path())
    library = Library(index=UpstreamIndex(index.url, folder / "pages"), cache=folder / "library")
    return read_list(path, catalogue), catalogue, library


def wide(index: FileIndex, folder: Path) -> tuple[str, str]:
    """Offer a hundred projects that require each other under markers and extras; requirements and pins."""
    draw = random.Random(4)
    names = [f"p{number}" for number in range(100)]
    markers = ["", "platform_machine=='aarch64'", "python_version<'3.13'", "sys_platform=='win32'"]
    markers += ["extra=='x'", "extra=='y' and python_full_version>='3.11.3'", "platform_machine!='x86_64'"]
    for number, name in enumerate(names):
        lines = []
        for _ in range(draw.randrange(1, 6)):
            other, extra = draw.choice(names), draw.choice(["", "", "[x]", "[x,y]"])
            lines.append(f"{other}{extra}{draw.choice(['', '>=1', '<2,!=1.5'])} ; {draw.choice(markers)}")
        offer(index, folder, name, [line.removesuffix(" ; ") for line in lines], "x y" if number % 7 else "x")
    return "p0\np1[x]\np2[x,y]\np3\n", "".join(f"{name}===1.0\n" for name in names)


def test_uv_and_the_walk_agree(index: FileIndex, tmp_path: Path) -> None:
    path = write(tmp_path, index, *wide(index, tmp_path), X86, ARM, RISC)
    listed, catalogue, library = opened(path, index, tmp_path)
    found = resolved(listed, catalogue, library)
    assert found.doubts == ()
    walked = {(it.branch, it.target): it.projects for it in closures(listed, library)}
    assert found.reached == walked
    assert len({frozenset(names) for names in walked.values()}) == 3  # the targets differ
    assert all(20 < len(names) < 100 for names in walked.values())


def test_a_disagreement_is_told_and_uv_is_believed(index: FileIndex, tmp_path: Path) -> None:
    offer(index, tmp_path, "app")
    path = write(tmp_path, index, "app\n", "app===1.0\none===1.0\n", X86)
    listed, catalogue, library = opened(path, index, tmp_path)
    resolved(listed, catalogue, library)
    (kept,) = (tmp_path / "library" / "closures").iterdir()
    kept.write_text('["app", "one"]')
    found = resolved(listed, catalogue, library)
    assert found.doubts == (f"main, {X86}: uv and the walk disagree about one",)
    assert sorted(found.projects or ()) == ["app", "one"]
