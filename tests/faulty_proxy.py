"""Faults at random, of every kind, for the proxy before a real S3 server; the same ones for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from s3_proxy import Fault, Request

# Each kind comes as often as the others; the last has two forms, which share its part.
KINDS = (
    (Fault.ERROR,),
    (Fault.BUSY,),
    (Fault.RESET,),
    (Fault.STALL,),
    (Fault.TRUNCATED,),
    (Fault.LOST, Fault.LOST_ERROR),
)


class Faults:
    """Decides over each request. rate: how often each kind comes; at 0.1, six in ten requests fail."""

    def __init__(self, seed: int, rate: float, kinds: Sequence[Sequence[Fault]] = KINDS) -> None:
        self.random = random.Random(seed)
        self.rate = rate
        self.kinds = kinds
        self.made: Counter[Fault | None] = Counter()

    def __call__(self, _request: Request) -> Fault | None:
        drawn = self.random.random() / self.rate
        fault = self.random.choice(self.kinds[int(drawn)]) if drawn < len(self.kinds) else None
        self.made[fault] += 1
        return fault
