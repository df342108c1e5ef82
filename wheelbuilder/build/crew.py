"""The threads of this machine that run builds, and the end of all that they started."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from wheelbuilder.build import machine, process
from wheelbuilder.build.admission import Room
from wheelbuilder.build.schedule import Crew

CLERKS = 2  # they wait for the index more than they compute


@contextmanager
def hired(slots: int) -> Iterator[Crew]:
    """Yield a crew that builds so many at a time; an exception ends what it is doing."""
    with ThreadPoolExecutor(CLERKS, thread_name_prefix="clerk") as clerks:
        builders = ThreadPoolExecutor(slots, thread_name_prefix="build")
        try:
            yield Crew(builders=builders, clerks=clerks, room=Room(memory=machine.memory(), slots=slots))
        except BaseException:
            process.end_all()
            raise
        finally:
            builders.shutdown(cancel_futures=True)
            clerks.shutdown(cancel_futures=True)
            process.reset()
