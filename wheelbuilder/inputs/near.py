"""What somebody may have meant by a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 3


def near(word: str, known: Iterable[str], *, most: int = SHOWN, alike: float = 0.6) -> tuple[str, ...]:
    """Return the known words that are spelt most alike, the likeliest first; none if none is like it.

    alike: how much of a word they must share, from 0 to 1.
    """
    return tuple(difflib.get_close_matches(word, sorted(set(known)), n=most, cutoff=alike))


def did_you_mean(word: str, known: Iterable[str], *, most: int = SHOWN) -> str:
    """Return the question for a hint, or "" where nothing known is like the word."""
    return question(near(word, known, most=most))


def question(names: Sequence[str]) -> str:
    """Return the question whether one of these was meant, or "" for none."""
    return f"Did you mean {' or '.join(map(repr, names))}?" if names else ""
