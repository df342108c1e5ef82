"""Where the files of a list are: beside it, at a URL, or in the copy that is kept of what a URL gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.http import is_address, shown
from wheelbuilder.inputs.texts import read_text

Fetch = Callable[[str], str]  # the text at a URL; raises UnreachableError


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file that a list names.

    key: of the list, for messages. path: where it lies, or where a copy is kept of what `url` gives.
    """

    key: str
    path: Path
    url: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether a copy is kept of what the URL gave: then that is read, and the URL is not asked."""
        return self.url is not None and self.path.is_file()

    @property
    def place(self) -> str:
        """The path or URL that is read, as messages name it."""
        return str(self.path) if self.url is None or self.is_kept else shown(self.url)

    @property
    def base(self) -> str:
        """The path or URL that what the file includes is relative to."""
        return self.url or str(self.path)

    def read(self, fetch: Fetch) -> str:
        """Return the text; raises ConfigurationError for a path, UnreachableError for a URL."""
        if self.url is not None and not self.is_kept:
            return self._followed(fetch)
        try:
            return read_text(self.path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.key} = {error.message}", error.hint) from None

    def fetched(self, fetch: Fetch) -> str:
        """Return what the URL gives now, whether a copy is kept or not."""
        assert self.url is not None  # only those that have one are asked
        return fetch(self.url)

    def _followed(self, fetch: Fetch) -> str:
        try:
            return self.fetched(fetch)
        except UnreachableError as error:
            hint = "Check the address and the network; `wheelbuilder list update` keeps copies for such days."
            raise UnreachableError(error.message, hint) from None


def read_place(place: str, *, fetch: Fetch) -> str:
    """Return the text at a path or URL."""
    return fetch(place) if is_address(place) else read_text(Path(place))
