"""Failures from one real run to the next: not tried in vain, tried when something changed, told as news."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import counting_engine
from sdists import TARGET, Ended, FileIndex, Workplace, cli, in_tree

from wheelbuilder.mirror.documents import sealed, unsealed

pytestmark = pytest.mark.engine
# It builds once the recipe says so, as if that were what its compiler needed.
PICKY = in_tree("picky", 'assert "WITH" in os.environ, "picky wants WITH"\nreturn pure(folder)')
FINE = in_tree("fine")
RECIPE = 'environment.WITH = "1"\n'


# They need it to be built, and it is no pin of the list.
FIRST, SECOND = (in_tree(name, requires=["picky"]) for name in ("first", "second"))


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        index.offer(PICKY, FINE, FIRST, SECOND)
        yield index


@pytest.fixture
def work(tmp_path: Path, index: FileIndex) -> Workplace:
    work = Workplace(folder=tmp_path / "work", index=index)
    work.write([PICKY, FINE])
    return work


def news(ended: Ended) -> dict[str, list[str]]:
    """The projects of each group that is not empty."""
    groups: dict[str, list[dict[str, Any]]] = ended.document["news"]
    return {title: [item["project"] for item in items] for title, items in groups.items() if items}


def age(work: Workplace) -> None:
    """Let what is remembered have expired."""
    path = work.store / "experience/test.json"
    values = unsealed(path.read_bytes(), path.name)
    for row in values["failures"]:
        row["expires"] = "2026-01-01"
    path.write_bytes(sealed(values))


def test_a_failure_is_not_tried_again_and_the_plan_says_why(
    work: Workplace, index: FileIndex, tmp_path: Path
) -> None:
    first = work.run()
    assert first.code == 1 and news(first) == {"new_failures": ["picky"]}, first.stderr
    env, calls = counting_engine(tmp_path / "bin")
    second = cli("run", str(work.list_path), "--store", str(work.store), env=env)
    assert second.code == 0 and not calls.exists()
    assert "still failing (1):\n  picky 1.0 " + TARGET in second.stdout
    assert "nothing was built and nothing was written" in second.stdout
    assert "1 of 2 would be compiled: picky (failed on 20" in second.stdout
    plan = cli("plan", str(work.list_path), "--store", str(work.store), "--json")
    decided = {row["project"]: row for row in json.loads(plan.stdout)["decisions"]}
    assert decided["picky"]["decision"] == "postponed" and "with backend: " in decided["picky"]["reason"]
    assert "Failed lately and not tried" in plan.stderr
    assert work.run("--fail-on", "any").code == 1
    assert work.audit().code == 0


def test_a_changed_input_is_named_and_tried(work: Workplace) -> None:
    assert work.run().code == 1
    work.recipe("picky", RECIPE)
    proof = cli("coverage", str(work.list_path), "--store", str(work.store))
    assert "picky (upstream has an sdist only; failed on 20" in proof.stdout, proof.stdout
    assert "changed since: recipe.environment" in proof.stdout
    fixed = work.run()
    assert fixed.code == 0 and news(fixed) == {"fixed": ["picky"]}
    assert 'changed since: recipe.environment: nothing -> {"WITH":"1"}' in fixed.stderr
    assert news(work.run()) == {}


def test_an_expired_failure_and_a_retry_are_tried(work: Workplace) -> None:
    assert work.run("--fail-on", "none").code == 0
    retried = work.run("--retry")
    assert retried.code == 0 and news(retried) == {"still_failing": ["picky"]}
    assert [row["outcome"] for row in retried.document["outcomes"]] == ["failed"]
    age(work)
    expired = work.run()
    assert len(expired.document["outcomes"]) == 1 and "tried again since 2026-01-01" in expired.stderr
    assert work.run().document["outcomes"] == []
    rebuilt = cli("rebuild", str(work.list_path), "picky", "--target", TARGET, "--store", str(work.store))
    assert rebuilt.code == 1 and "still failing (1):" in rebuilt.stdout


def test_what_upstream_has_by_now_is_fixed(work: Workplace, index: FileIndex) -> None:
    assert work.run().code == 1
    index.add("picky-1.0-py3-none-any.whl", b"x")
    assert news(work.run()) == {"fixed": ["picky"]}
    assert news(work.run()) == {}


def test_a_known_failure_is_tried_once_it_has_expired(work: Workplace) -> None:
    work.recipe("picky", '[known-failure]\nreason = "wants WITH"\nexpires = 2999-01-01\n')
    known = work.run("--fail-on", "any")
    assert known.code == 1 and news(known) == {"known_failures": ["picky"]}
    assert work.run().code == 0
    work.recipe("picky", '[known-failure]\nreason = "wants WITH"\nexpires = 2026-01-01\n')
    expired = work.run()
    assert expired.code == 1 and news(expired) == {"new_failures": ["picky"]}
    assert "the known failure (wants WITH) expired on 2026-01-01" in expired.stderr


def test_a_forced_rebuild_that_fails_is_not_remembered(work: Workplace) -> None:
    work.recipe("picky", RECIPE)
    assert work.run().code == 0
    work.recipe("picky", "")
    words = ("rebuild", str(work.list_path), "picky", "--target", TARGET, "--store", str(work.store))
    forced = cli(*words, "--force", "--json")
    assert forced.code == 1 and news(forced) == {"new_failures": ["picky"]}
    assert news(work.run()) == {}


def test_what_another_blocks_waits_with_it(work: Workplace, tmp_path: Path) -> None:
    work.write([FIRST])
    assert news(work.run()) == {"new_failures": ["picky"], "blocked": ["first"]}
    env, calls = counting_engine(tmp_path / "bin")
    second = cli("run", str(work.list_path), "--store", str(work.store), env=env)
    assert second.code == 0 and "blocked (1):\n  first 1.0" in second.stdout and not calls.exists()
    work.write([FIRST, SECOND])
    joined = work.run()
    assert joined.code == 1 and news(joined) == {"still_failing": ["picky"], "blocked": ["second", "first"]}
    assert [row["project"] for row in joined.document["outcomes"]] == ["second"]
    assert "tried again from" in joined.outcomes["second"]["summary"]
    work.recipe("picky", RECIPE)
    fixed = work.run()
    assert fixed.code == 0 and "changed since for picky==1.0: recipe.environment" in fixed.stderr
    assert set(news(fixed)["fixed"]) == {"picky", "first", "second"}
