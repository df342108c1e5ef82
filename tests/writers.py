"""Publishers as processes of their own: each of another target, in projects that all of them write.

Run as: python writers.py ADDRESS CHANNEL NUMBER ROUNDS FOLDER. FOLDER/told-NUMBER says what was published.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from mirrors import NOW, wheel_change

from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.stores import open_store

PROJECTS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
CONTESTED = "contested"  # all publish one name of it in a round, each with other bytes
TAGS = tuple(
    f"cp3{minor}-cp3{minor}-manylinux_2_28_{arch}"
    for minor in (9, 10, 11, 12)
    for arch in ("x86_64", "aarch64")
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a publisher was told of one of its wheels."""

    writer: int
    filename: str
    sha256: str
    refused: bool


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A publisher that runs."""

    process: subprocess.Popen[bytes]
    told: Path
    log: Path

    def works(self) -> bool:
        """Whether it is still at it; it has succeeded when it is not."""
        code = self.process.poll()
        assert not code, self.log.read_text(errors="replace")[-3000:]
        return code is None


@contextmanager
def writing(
    address: str, channel: str, *, writers: int, rounds: int, folder: Path, env: Mapping[str, str]
) -> Iterator[list[Writer]]:
    """Start publishers; those that still run when the context is left are killed."""
    folder.mkdir()
    started = [_start(address, channel, number, rounds, folder, env) for number in range(writers)]
    try:
        yield started
    finally:
        for writer in started:
            writer.process.kill()
            writer.process.wait()


def told(writers: list[Writer]) -> list[Told]:
    """What all of them were told."""
    rows = [line.split() for writer in writers for line in writer.told.read_text().splitlines()]
    return [
        Told(writer=int(number), filename=filename, sha256=sha256, refused=outcome == "refused")
        for number, filename, sha256, outcome in rows
    ]


def fetched(url: str) -> bytes | None:
    """What anybody gets of a public object; None where there is none."""
    try:
        with urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        error.close()
        if error.code in (403, 404):  # 403: of those who may not list
            return None
        raise


def _start(
    address: str, channel: str, number: int, rounds: int, folder: Path, env: Mapping[str, str]
) -> Writer:
    log = folder / f"log-{number}"
    words = (address, channel, str(number), str(rounds), str(folder))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(env),
        )
    return Writer(process=process, told=folder / f"told-{number}", log=log)


def _changes(number: int, turn: int, folder: Path) -> Iterator[Change]:
    for name in random.Random(f"{number} {turn}").sample(PROJECTS, 2):
        yield wheel_change(folder, name, f"{turn}.0", tag=TAGS[number])
    yield wheel_change(folder, CONTESTED, f"{turn}.0", body=f"BY = {number}")


def main(address: str, channel: str, number: int, rounds: int, folder: Path) -> None:
    """Publish round by round, and note after each what is published."""
    store = open_store(address)
    for turn in range(rounds):
        changes = list(_changes(number, turn, folder / f"built-{number}"))
        published = publish(store, channel, changes, run=f"writer-{number}", now=NOW)
        refused = {it.sha256 for it in published.refused}
        with (folder / f"told-{number}").open("a") as notes:
            for change in changes:
                for wheel in change.wheels:
                    outcome = "refused" if wheel.sha256 in refused else "published"
                    notes.write(f"{number} {wheel.filename} {wheel.sha256} {outcome}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
