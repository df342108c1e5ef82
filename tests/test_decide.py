from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from samples import ARM, X86, file, files, pin, simple_key

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import KnownFailure, Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decide import Offer, decide, next_build_tag, rebuild
from wheelbuilder.plan.decisions import Build, Decision, InMirror, Unavailable, Upstream
from wheelbuilder.plan.files import IndexFile

TODAY = date(2026, 11, 23)
A = pin("a===1.0")
SDIST = file("a-1.0.tar.gz")
X86_WHEEL = "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


def decided(
    *upstream: IndexFile,
    mirror: tuple[IndexFile, ...] = (),
    target: Target = X86,
    pin: Pin = A,
    **recipe: Any,
) -> Decision:
    return decide(
        pin,
        target,
        Offer.of(pin, mirror, upstream),
        recipe=Recipe(project=pin.name, **recipe),
        key_of=simple_key,
        today=TODAY,
    )


def reason(decision: Decision) -> str:
    assert isinstance(decision, Build | Unavailable)
    return decision.reason


def test_a_wheel_upstream() -> None:
    decision = decided(SDIST, file(X86_WHEEL))
    assert isinstance(decision, Upstream)
    assert decision.wheel.filename == X86_WHEEL
    assert isinstance(decided(SDIST, file(X86_WHEEL), target=ARM), Build)


@pytest.mark.parametrize("name", ["a-1.0-py3-none-any.whl", "a-1.0-py2.py3-none-any.whl"])
def test_a_pure_wheel_serves_every_target(name: str) -> None:
    for target in (X86, ARM, Target.parse("cp314-musllinux_1_2_s390x")):
        assert isinstance(decided(SDIST, file(name), target=target), Upstream)


def test_an_abi3_wheel_serves_later_pythons() -> None:
    wheel = file("a-1.0-cp39-abi3-manylinux_2_28_x86_64.whl")
    for python, kind in (("cp38", Build), ("cp39", Upstream), ("cp314", Upstream)):
        target = Target.parse(f"{python}-manylinux_2_28_x86_64")
        assert isinstance(decided(SDIST, wheel, target=target), kind)


def test_the_mirror_comes_first() -> None:
    ours = file("a-1.0-1-cp311-cp311-manylinux_2_36_x86_64.whl")
    decision = decided(SDIST, file(X86_WHEEL), mirror=(ours, file("a-2.0-py3-none-any.whl")))
    assert decision == InMirror(pin=A, target=X86, wheel=ours)


def test_the_highest_build_tag_is_named() -> None:
    built = [file(f"a-1.0-{tag}-cp311-cp311-manylinux_2_36_x86_64.whl") for tag in (2, 10, 9)]
    decision = decided(SDIST, mirror=tuple(built))
    assert isinstance(decision, InMirror)
    assert decision.wheel == built[1]


def test_yanked_files_serve_an_exact_pin() -> None:
    yanked = file(X86_WHEEL, yanked="")
    assert isinstance(decided(replace(SDIST, yanked=""), yanked), Upstream)
    good = file("a-1.0-py3-none-any.whl")
    assert decided(yanked, good) == Upstream(pin=A, target=X86, wheel=good)
    assert isinstance(decided(replace(SDIST, yanked="bad")), Build)


def test_a_yanked_wheel_beside_an_sdist_that_is_not_would_be_compiled() -> None:
    yanked = file(X86_WHEEL, yanked="bad")
    for decision in (decided(SDIST, yanked), decided(SDIST, mirror=(yanked,))):
        assert isinstance(decision, Build)
        assert decision.reason == f"{X86_WHEEL} is yanked, and the sdist is not"
        assert decision.build_tag == 1  # the name is taken


def test_the_highest_local_version_decides() -> None:
    wheel, local = file("a-1.0-py3-none-any.whl"), file("a-1.0+x.tar.gz")
    for found in (
        decided(wheel, local, pin=pin("a==1.0")),
        decided(local, mirror=(wheel,), pin=pin("a==1.0")),
    ):
        assert isinstance(found, Unavailable)
        assert found.would_compile
        assert found.reason == (
            "installers take a-1.0+x.tar.gz for a==1.0, and it has no wheel: pin it as ===1.0+x"
        )
    assert isinstance(decided(wheel, local), Upstream)
    higher = file("a-1.0+x-py3-none-any.whl")
    assert decided(wheel, local, higher, pin=pin("a==1.0")) == Upstream(
        pin=pin("a==1.0"), target=X86, wheel=higher
    )
    exact = decided(local, pin=pin("a===1.0+x"))
    assert isinstance(exact, Build)


@pytest.mark.parametrize("suffix", [".tar.bz2", ".tgz", ".tar.xz", ".tbz", ".TAR.BZ2"])
def test_an_archive_that_pip_compiles_and_we_do_not_build(suffix: str) -> None:
    decision = decided(file(f"a-1.0{suffix}"))
    assert isinstance(decision, Unavailable)
    assert decision.would_compile
    assert decision.reason == (
        f"upstream has the source only as a-1.0{suffix}, which is neither .tar.gz nor .zip"
    )
    assert isinstance(decided(SDIST, file(f"a-1.0{suffix}")), Build)


def test_files_of_other_projects_do_not_count() -> None:
    foreign = file("other-1.0-py3-none-any.whl")
    assert isinstance(decided(SDIST, foreign, mirror=(foreign,)), Build)
    assert reason(decided(file("other-1.0.tar.gz"))) == "upstream has no files of version 1.0"


@pytest.mark.parametrize(("line", "good"), [("a===2013.06", "2013.6"), ("a===1.0-rc1", "1.0rc1")])
def test_a_pin_whose_text_no_version_has(line: str, good: str) -> None:
    wheel = file(f"a-{good}-py3-none-any.whl")
    recipe = Recipe(project=A.name)
    again = rebuild(pin(line), X86, Offer.of(pin(line), (wheel,), (wheel,)), recipe=recipe, key_of=simple_key)
    for decision in (decided(wheel, mirror=(wheel,), pin=pin(line)), again):
        assert isinstance(decision, Unavailable)
        assert decision.reason.endswith(f"write it as ==={good}")
    assert isinstance(decided(wheel, pin=pin(f"a==={good}")), Upstream)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sha256": ""}, "upstream gives no SHA-256 for it"),
        ({"url": "file:///srv/a.whl"}, "upstream's URL is not an absolute http(s) one"),
        ({"url": "https://files.example.org/a b"}, "upstream's URL is not an absolute http(s) one"),
    ],
)
def test_a_wheel_that_no_page_can_list(values: dict[str, str], words: str) -> None:
    wheel = file(X86_WHEEL, **values)
    built, alone = decided(SDIST, wheel), decided(wheel)
    assert isinstance(built, Build)
    assert (built.reason, built.build_tag) == (f"{X86_WHEEL} cannot be listed: {words}", 1)
    assert reason(alone) == f"{X86_WHEEL} cannot be listed: {words}, and no sdist"
    assert isinstance(decided(wheel, file("a-1.0-py3-none-any.whl")), Upstream)


def test_an_sdist_for_another_python_does_not_hide_one_that_fits() -> None:
    decision = decided(replace(SDIST, requires_python="<3"), file("a-1.0.zip"))
    assert isinstance(decision, Build)
    assert decision.sdist.filename == "a-1.0.zip"


def test_a_raw_linux_wheel_never_counts() -> None:
    raw = file("a-1.0-cp311-cp311-linux_x86_64.whl")
    assert isinstance(decided(SDIST, raw, mirror=(raw,)), Build)


def test_a_wheel_that_requires_another_python() -> None:
    decision = decided(SDIST, file("a-1.0-py3-none-any.whl", requires_python=">=3.12"))
    assert reason(decision) == "upstream's wheels require Python >=3.12"


def test_what_is_built() -> None:
    decision = decided(file("a-1.0.zip"), SDIST)
    assert decision == Build(
        pin=A,
        target=X86,
        sdist=SDIST,
        recipe=Recipe(project=A.name),
        reason="upstream has an sdist only",
        key=f"a a-1.0.tar.gz {X86} None",
    )
    zipped = decided(file("a-1.0.zip"))
    assert isinstance(zipped, Build)
    assert zipped.sdist.filename == "a-1.0.zip"


@pytest.mark.parametrize(
    ("upstream", "target", "words"),
    [
        (
            ("a-1.0-cp37-cp37m-manylinux1_x86_64.whl", "a-1.0-cp310-cp310-manylinux1_x86_64.whl"),
            X86,
            "upstream has wheels for cp37, cp310 only",
        ),
        (
            ("a-1.0-cp311-cp311-manylinux_2_39_x86_64.whl", "a-1.0-cp311-cp311-manylinux_2_41_x86_64.whl"),
            X86,
            "upstream's wheels need manylinux_2_39, which is above manylinux_2_36",
        ),
        (
            ("a-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",),
            X86,
            "upstream has wheels for musllinux_1_2 only, none for manylinux_2_36",
        ),
        (
            (X86_WHEEL, "a-1.0-cp311-cp311-win_amd64.whl", "a-1.0-cp311-cp311-macosx_11_0_arm64.whl"),
            ARM,
            "upstream has wheels for Windows, macOS, x86_64 only, none for aarch64",
        ),
        (
            ("a-1.0-cp38-cp38-win32.whl", "a-1.0-cp39-cp39-manylinux2014_x86_64.whl"),
            ARM,
            "upstream has wheels for cp38, cp39 on Windows, x86_64 only",
        ),
        (("a-1.0-cp312-abi3-manylinux_2_17_x86_64.whl",), X86, "upstream has wheels for cp312 (abi3) only"),
        (("a-2.0-py3-none-any.whl",), X86, "upstream has an sdist only"),
    ],
)
def test_why_a_build_is_needed(upstream: tuple[str, ...], target: Target, words: str) -> None:
    assert reason(decided(SDIST, *files(*upstream), target=target)) == words


@pytest.mark.parametrize(
    ("upstream", "words"),
    [
        ((), "upstream has no files of version 1.0"),
        (files("a-2.0.tar.gz"), "upstream has no files of version 1.0"),
        (files("a-1.0-py2.7.egg", "a-1.0.win32.exe"), "upstream has 1.0 only as Windows installers, eggs"),
        (files("a-1.0-cp39-cp39-win32.whl"), "upstream has wheels for cp39 on Windows only, and no sdist"),
        ((replace(SDIST, sha256=""),), "upstream gives no SHA-256 for a-1.0.tar.gz"),
        (
            (replace(SDIST, requires_python="<3.11"),),
            "a-1.0.tar.gz requires Python <3.11, the target has 3.11.2",
        ),
    ],
)
def test_what_cannot_be_had(upstream: tuple[IndexFile, ...], words: str) -> None:
    decision = decided(*upstream)
    assert isinstance(decision, Unavailable)
    assert decision.reason == words


def test_an_unknown_project() -> None:
    recipe = Recipe(project=A.name)
    decision = decide(A, X86, Offer.of(A, (), None), recipe=recipe, key_of=simple_key, today=TODAY)
    assert reason(decision) == "upstream has no such project"


def test_a_known_failure_holds_until_it_expires() -> None:
    def with_expiry(day: date) -> Decision:
        return decided(SDIST, known_failure=KnownFailure(reason="needs a newer NSS", expires=day))

    held = with_expiry(TODAY)
    assert isinstance(held, Unavailable)
    assert held.reason == "known failure until 2026-11-23: needs a newer NSS"
    assert held.would_compile
    assert isinstance(with_expiry(date(2026, 11, 22)), Build)


def test_an_arbitrary_pin_compares_strings() -> None:
    assert reason(decided(file("a-1.0.0.tar.gz"))) == "upstream has no files of version 1.0"
    assert isinstance(decided(file("a-1.0.0.tar.gz"), pin=pin("a==1.0")), Build)


def test_a_rebuild_takes_the_next_free_build_tag() -> None:
    ours = file("a-1.0-2-cp311-cp311-manylinux_2_36_x86_64.whl")
    assert next_build_tag(A, ()) == 1
    assert next_build_tag(A, (SDIST, file(X86_WHEEL), file("a-1.1-7-py3-none-any.whl"))) == 1
    recipe = Recipe(project=A.name, known_failure=KnownFailure(reason="x", expires=TODAY))
    decision = rebuild(
        A, X86, Offer.of(A, (ours,), (SDIST, file(X86_WHEEL))), recipe=recipe, key_of=simple_key
    )
    assert isinstance(decision, Build)
    assert (decision.build_tag, decision.reason) == (3, "a rebuild was asked for")
    assert decision.key.endswith(" 3")
    wheels_only = rebuild(A, X86, Offer.of(A, (), files(X86_WHEEL)), recipe=recipe, key_of=simple_key)
    assert isinstance(wheels_only, Unavailable)
