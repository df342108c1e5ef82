"""The machine's compile slots: files that compilers lock, shared by the builds of all runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from wheelbuilder.build.cache import cache_home, locked

INSIDE = "/opt/wheelbuilder/slots"  # compiler.c knows it too
QUEUE = "queue"  # held by the one process that looks for a free slot
NUMBERED = "[0-9]*"  # the slots themselves
LOCKS = Path("/proc/locks")


def ready(number: int) -> Path:
    """Return the folder with so many slots, for all drivers that use this machine's cache folder."""
    folder = cache_home() / "compile-slots"
    with locked("slots"):
        folder.mkdir(exist_ok=True)
        for name in (QUEUE, *map(str, range(number))):
            (folder / name).touch()
        for slot in folder.glob(NUMBERED):  # the machine may have had more cores
            if int(slot.name) >= number:
                slot.unlink()
    return folder


def are_others_to_blame(folder: Path, pids: AbstractSet[int]) -> bool:
    """Say whether one of some processes stands in the queue for a slot, none of them has one, and others hold
    the queue or all slots.
    """
    held, wanted = _locks()
    queue = (folder / QUEUE).stat().st_ino
    places = [queue, *(path.stat().st_ino for path in folder.glob(NUMBERED))]
    if any(held[place] and not any(map(_lives, held[place])) for place in places):
        for place, pid in _inherited(pids):
            held[place].add(pid)
    slots = [held[place] for place in places[1:]]
    if any(pids & holders for holders in slots):
        return False
    if pids & held[queue]:
        return all(slots)
    return bool(pids & wanted[queue]) and bool(held[queue])


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _inherited(pids: AbstractSet[int]) -> Iterator[tuple[int, int]]:
    """Yield inode and pid of each lock that some processes hold (proc(5), fdinfo).

    The list of locks names whoever took it, who may have ended since.
    """
    for pid in pids:
        infos: list[Path] = []
        with suppress(OSError):  # it has ended meanwhile
            infos += Path(f"/proc/{pid}/fdinfo").iterdir()
        for info in infos:
            with suppress(OSError):  # it has been closed meanwhile
                for line in info.read_text(encoding="ascii").splitlines():
                    if line.startswith("lock:"):
                        yield _inode(line.split()[6]), pid


def _inode(place: str) -> int:
    return int(place.rpartition(":")[2])


def _locks() -> tuple[defaultdict[int, set[int]], defaultdict[int, set[int]]]:
    """Return who holds a lock and who waits for one, pids by inode (proc(5), locks).

    The device is left out: what the kernel says there is not what stat(2) says on each file system.
    """
    held: defaultdict[int, set[int]] = defaultdict(set)
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for line in LOCKS.read_text(encoding="ascii").splitlines():
        words = line.split()
        waits = words[1] == "->"
        kind, _, _, pid, place = words[1 + waits : 6 + waits]
        if kind == "FLOCK":
            (wanted if waits else held)[_inode(place)].add(int(pid))
    return held, wanted
