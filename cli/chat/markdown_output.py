"""An answer as rendered Markdown: finished blocks are printed once, and only the last one is drawn again as it grows."""

import itertools
import re
import time
from collections.abc import Iterator

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from cli.output import ControlFilter, print_note

# The theme uses the terminal's own colours, which suit light and dark backgrounds.
CODE_THEME = "ansi_dark"
REFRESHES_PER_S = 12
# After this long without text, the elapsed time is shown.
SILENCE_S = 0.4


class MarkdownOutput:
    """Draws the growing end of an answer in place, and a spinner with the elapsed time while the model is silent."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._filter = ControlFilter()
        self._parser = MarkdownIt().enable("strikethrough").enable("table")
        self._spinner = Spinner("dots", style="dim")
        self._last_block = ""
        self._has_printed = False
        self._live: Live | None = None
        self._silent_since_s = time.monotonic()

    def wait(self) -> None:
        """Start the spinner."""
        self._silent_since_s = time.monotonic()
        if self._live is None:
            # `transient`: what is drawn here disappears, and the finished block is printed in its place.
            self._live = Live(console=self._console, get_renderable=lambda: self, transient=True, refresh_per_second=REFRESHES_PER_S)
            self._live.start()

    def write(self, text: str) -> None:
        """Add text. Blocks that can no longer change are printed."""
        self._last_block += self._filter.feed(text)
        self.wait()
        if "\n" in text:
            self._print_finished_blocks()

    def note(self, text: str) -> None:
        """Print a dim line below the text so far."""
        self.pause()
        print_note(text)

    def pause(self) -> None:
        """Stop drawing and print the last block."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._print_block(self._last_block)
        self._last_block = ""

    def _print_finished_blocks(self) -> None:
        starts = [token.map[0] for token in self._parser.parse(self._last_block) if token.level == 0 and token.map and token.nesting >= 0]
        if len(starts) < 2:
            return
        # As the parser counts lines: `str.splitlines` also cuts at U+2028 and U+2029.
        lines = re.findall(r"[^\n]*\n|[^\n]+", self._last_block)
        # Printing draws the last block again below, so it must not hold the finished ones any more.
        self._last_block = "".join(lines[starts[-1] :])
        for start, end in itertools.pairwise(starts):
            self._print_block("".join(lines[start:end]))

    def _print_block(self, text: str) -> None:
        if not text.strip():
            return
        if self._has_printed:
            self._console.print()
        self._console.print(_markdown(text))
        self._has_printed = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Yield the end of the last block that fits the terminal, and the spinner if the model is silent."""
        lines: list[list[Segment]] = []
        if self._last_block.strip():
            lines = console.render_lines(_markdown(self._last_block), options, pad=False)
            lines = [[], *lines] if self._has_printed else lines
        silent_s = time.monotonic() - self._silent_since_s
        if silent_s >= SILENCE_S:
            self._spinner.update(text=Text(f"{silent_s:.0f} s", style="dim"))
            lines += console.render_lines(self._spinner, options.update(height=None), pad=False)
        for line in lines[-max(console.size.height - 1, 1) :]:
            yield from line
            yield Segment.line()


def _markdown(text: str) -> Markdown:
    # Without hyperlinks the address is shown in full: a link from a model must not hide where it leads.
    return Markdown(text, code_theme=CODE_THEME, hyperlinks=False, justify="default")
