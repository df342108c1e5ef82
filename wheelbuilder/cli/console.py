"""Tables and live displays, with foreign text made visible in them as in lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from wheelbuilder.shown import visible, without_secrets

WIDTH = 160  # columns where the output is no terminal: words are not to be cut


class Screen(Console):
    """A console that shows what it is given as it is: no markup, no highlighting, no foreign escapes."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = WIDTH

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as consoles do, and make the text visible; what moves the cursor is the console's own.

        Line breaks stay: cells of several lines have them. Foreign text comes without (`visible`).
        """
        for text, style, control in super().render(renderable, options):
            seen = text if control else "\n".join(map(visible, text.split("\n")))
            yield Segment(seen, style, control)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table on standard output."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(visible(without_secrets(str(value))) for value in row))
    Screen().print(table)
