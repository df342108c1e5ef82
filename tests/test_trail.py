"""Which projects a writer that was overtaken can have changed unseen, and for how long that is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from packaging.utils import canonicalize_name

from wheelbuilder.mirror.commits import ROOT, Commit
from wheelbuilder.mirror.trail import MEMORY, Trail, doubtful, extended, recent, with_lost

FOO, BAR = canonicalize_name("foo"), canonicalize_name("bar")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def commit(number: int, foo: str) -> Commit:
    """A commit with bar, and foo as said: a digit for its state, "-" behind it outside the gap view."""
    projects = {BAR: "b" * 64} | ({FOO: foo[0] * 64} if foo else {})
    gap = frozenset({BAR}) | (frozenset({FOO}) if foo and "-" not in foo else frozenset())
    return Commit(number=number, projects=projects, gap=gap)


def follow(*foos: str) -> Trail:
    """The trail after foo was this and that, a minute apart. "+" behind it: files were only added."""
    trail: Trail = {}
    for number in range(1, len(foos)):
        old, new = commit(number, foos[number - 1].strip("+")), commit(number + 1, foos[number].strip("+"))
        grown = {FOO} if foos[number].endswith("+") else set()
        trail = extended(trail, old, new, NOW + number * MINUTE, grown)
    return trail


@pytest.mark.parametrize(
    ("foos", "doubts"),
    [
        (("1", "2"), ()),
        (("1", "2+", "3+"), ()),
        (("1", "2+", "3"), (FOO,)),
        (("1", "2", "3+"), (FOO,)),
        (("1", ""), ()),
        (("", "1+"), ()),
        (("", "1+", "2+"), ()),
        (("", "1", "2+"), ()),
        (("", "1+", ""), (FOO, ROOT)),
        (("1", "", "2+"), (FOO, ROOT)),
        (("1", "2-"), ()),
        (("1-", "2-", "2+"), (FOO,)),
        (("1", "2-", "3"), (FOO, ROOT)),
    ],
)
def test_only_what_changed_twice_and_did_not_only_grow_is_doubtful(
    foos: tuple[str, ...], doubts: tuple[str, ...]
) -> None:
    assert doubtful(follow(*foos)) == set(doubts)


def test_some_hours_without_a_change_end_it() -> None:
    trail = follow("1", "2", "1")
    assert recent(trail, NOW + MEMORY).keys() == {FOO}
    assert recent(trail, NOW + 2 * MINUTE + MEMORY) == {}
    later = extended(trail, commit(3, "1"), commit(4, "2"), NOW + 2 * MINUTE + MEMORY)
    assert later.keys() == {FOO} and doubtful(later) == frozenset()


def test_what_pages_are_deleted_of_is_doubtful_once_it_comes_back() -> None:
    trail = with_lost({}, [FOO], NOW)
    assert doubtful(trail) == frozenset()
    assert FOO in doubtful(extended(trail, commit(1, ""), commit(2, "1"), NOW, {FOO}))
