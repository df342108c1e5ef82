"""Real builds in Rust for the other architecture: native, told that they run on the target, and right."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator

import pytest
from builds import FOREIGN
from engines import engine, log_of
from rust_sdists import rust, told
from sdists import Ended, FileIndex, Workplace

from wheelbuilder.build import roots, toolchain
from wheelbuilder.build.rust import PACKAGES
from wheelbuilder.build.toolchain_proof import prove
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.rungs import Rung

pytestmark = pytest.mark.engine

CATALOGUE = Catalogue.read(default_path())
ROOT = CATALOGUE.root(FOREIGN, Role.BUILD).adding(PACKAGES)
TRIPLE = str(CATALOGUE.architecture(FOREIGN).rust)
NATIVE = (
    rust("plain"),
    rust("bypaths", cargo="/usr/bin/cargo", environ={"RUSTC": "/usr/bin/rustc"}),
    rust("named", words=("--target", TRIPLE), environ={"RUSTFLAGS": "-C opt-level=1"}),
)
REFUSED = {
    "asks": "the procedural macros in macros/src/lib.rs ask for the machine",
    "thisone": "-C target-cpu=native asks for the processor of another machine",
}
OTHERS = (
    rust("asks", says="std::env::consts::ARCH"),
    rust("thisone", environ={"RUSTFLAGS": "-C target-cpu=native"}),
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    projects = (*NATIVE, *OTHERS)
    with FileIndex() as index:
        index.offer(*projects)
        work = Workplace(folder=tmp_path_factory.mktemp("rust"), index=index, targets=(str(FOREIGN),))
        work.write(projects)
        for project in projects:
            only = f'rung = "{Rung.TOOLCHAIN}"\n' if project.name in REFUSED else ""
            work.recipe(project.name, f"{only}system-packages.deb = {json.dumps(PACKAGES)}\n")
        yield work


@pytest.fixture(scope="module")
def ended(work: Workplace) -> Ended:
    return work.run(timeout=1200)


@pytest.mark.parametrize("name", [project.name for project in NATIVE])
def test_a_module_is_made_natively_and_told_the_target(work: Workplace, ended: Ended, name: str) -> None:
    row = ended.outcomes[name]
    assert (row["outcome"], row["rung"], row["earlier"]) == ("built", "native-toolchain", []), ended.stderr
    (wheel,) = work.store.glob(f"files/*/{name}-1.0-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (module,) = (archive.read(it) for it in archive.namelist() if it.endswith(".so"))
    assert told(TRIPLE) in module


@pytest.mark.parametrize("name", REFUSED)
def test_what_this_machine_would_answer_for_the_target_is_refused(ended: Ended, name: str) -> None:
    row = ended.outcomes[name]
    assert (row["outcome"], row["class"], row["rung"]) == ("failed", "compiler", "native-toolchain")
    assert REFUSED[name] in ended.stderr


def test_a_program_with_a_procedural_macro_is_proven() -> None:
    found = toolchain.ensure(engine(), CATALOGUE, ROOT, log=log_of("rust"))
    assert found
    image = roots.ensure(engine(), ROOT, log=log_of("rust"))
    assert prove(engine(), image, found) == "compiles, links and runs C, C++, Rust"
