"""The head of a channel: its current commit, what the pages stand on, and what projects were of late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.commits import ROOT, Commit, Step
from wheelbuilder.mirror.documents import REPAIR, project_name, sealed, unsealed
from wheelbuilder.mirror.layout import head_key
from wheelbuilder.mirror.trail import Trace, Trail


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The current commit; before the first one, number 0 and no ETag.

    unsettled: the steps back to the oldest commit whose pages were not known to be complete at the time.
    """

    commit: Commit
    etag: str | None = None
    unsettled: tuple[Step, ...] = ()
    trail: Trail = field(default_factory=dict)

    def to_bytes(self, channel: str = "") -> bytes:
        """Return the document, which names its channel; without one, as older versions wrote it."""
        trail = {name: asdict(trace) for name, trace in self.trail.items()}
        steps = [step.values() for step in self.unsettled]
        whose = {"channel": channel} if channel else {}
        return sealed({**whose, "commit": self.commit.values(), "unsettled": steps, "trail": trail})

    @classmethod
    def from_bytes(cls, data: bytes, where: str, etag: str | None = None) -> Head:
        """Read it; IntegrityError names `where` if it is damaged or of another channel.

        ConfigurationError if it is newer.
        """
        table = Table(unsealed(data, where), where)
        channel = table.values.get("channel")
        if channel is not None and head_key(str(channel)) != where:
            raise IntegrityError(f"{where} is the head of another channel, {channel!r}.", REPAIR)
        return cls(
            commit=Commit.parse(table.table("commit"), where),
            etag=etag,
            unsettled=tuple(Step.parse(entry, where) for entry in table.array("unsettled")),
            trail=_trail(table, where),
        )


def _trail(table: Table, where: str) -> Mapping[str, Trace]:
    try:
        traces = table.tables("trail")  # none in heads of older versions
        return {name if name == ROOT else project_name(name, where): _trace(it) for name, it in traces}
    except (ConfigurationError, ValueError) as error:
        raise IntegrityError(f"{where} is damaged: {error}", REPAIR) from None


def _trace(table: Table) -> Trace:
    time = table.get("time", str)
    if datetime.fromisoformat(time).tzinfo is None:
        raise table.error("time", "has no time zone")
    return Trace(time=time, again=table.get("again", bool), grown=table.get("grown", bool))
