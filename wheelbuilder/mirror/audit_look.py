"""What is seen of a channel while it is audited, and the comparison of pages with what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.audit_findings import Finding, Kind, error, headers, read
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.pages import Page
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.mirror.store import Listed, Object, Store, each


@dataclass(kw_only=True, slots=True)
class Look:
    """What was seen of a channel.

    head: None if it cannot be read. strays: whether it is not on the line of the commits that are kept.
    kept: the numbers of the commits that are stored. states: those of the head that are right. needed:
    every state that the head or a kept commit refers to, by digest, and who does. sources: the kept commit
    that brings a state. lacking: the states that one should bring and does not. files: our files by the
    state that has them. runs: those that commits name. snapshots: those listed, and their commits, None
    where such is not kept. snapshots_listed: False while there are pages and no list, None where it cannot
    be read. etags: of pages that are not as rendered.
    """

    name: str
    head: Head | None = None
    strays: bool = False
    kept: frozenset[int] = frozenset()
    listing: frozenset[Listed] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    states: dict[NormalizedName, ProjectState] = field(default_factory=dict)
    needed: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    lacking: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, tuple[MirrorFile, ...]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    snapshots: dict[int, Commit | None] = field(default_factory=dict)
    snapshots_listed: bool | None = True
    etags: dict[str, str] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether no writer can have been at work: none had begun what it had not ended."""
        return (
            self.head is None or self.head.commit.number in self.kept
        ) and self.snapshots_listed is not False

    @property
    def current(self) -> frozenset[str]:
        """The states that the head holds."""
        return frozenset(self.head.commit.projects.values()) if self.head else frozenset()

    @property
    def pinned(self) -> dict[str, str]:
        """The states that snapshots stand on, and the newest snapshot that does."""
        return {
            state: f"snapshot {number} of {self.name}"
            for number, commit in sorted(self.snapshots.items())
            if commit
            for state in commit.projects.values()
        }


def compare(store: Store, look: Look, pages: Sequence[Page]) -> None:
    """Read the keys of pages and note what is not as rendered."""
    for page, found in zip(pages, each(lambda page: read(store, page.key), pages), strict=True):
        look.findings += _page(page, found)
        if isinstance(found, Object) and found.data != page.data:
            look.etags[page.key] = found.etag


def _page(page: Page, found: Object | IntegrityError | None) -> Iterator[Finding]:
    if isinstance(found, IntegrityError):
        yield error(page.key, Kind.DAMAGED, str(found))
    elif page.data is None and found is not None:
        yield error(page.key, Kind.EXTRA, "is a page without files: it must not be there")
    elif page.data is not None and found is None:
        yield error(page.key, Kind.MISSING, "the page is missing")
    elif found and found.data != page.data:
        yield error(page.key, Kind.DAMAGED, "the page is not what the project's state renders to")
    elif found and (finding := headers(page.key, found)):
        yield finding
