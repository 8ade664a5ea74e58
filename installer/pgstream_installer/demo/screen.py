"""What the demo prints to: a terminal with a footer while traffic runs, or a plain pipe, line by line."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pgstream_installer.demo.layout import MARGIN, beside, command_lines, folded

ACCENT = "bold cyan"


class ReaderGone(BrokenPipeError):
    """Nobody reads standard output any more: the command ends, and that is no failure."""


class PipeConsole(Console):
    """Ends by ReaderGone where rich would end the process."""

    def on_broken_pipe(self) -> NoReturn:
        # Else the interpreter tries the rest of the buffer once more at its end, and complains.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise ReaderGone


class Screen:
    """Headings, blocks of SQL beside events, plain lines; pauses only where somebody looks on."""

    def __init__(self, console: Console | None = None) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        self._console = console or PipeConsole(highlight=False)
        self._footer: Live | None = None
        self._step = 0

    @property
    def is_terminal(self) -> bool:
        return self._console.is_terminal

    async def pause(self, seconds: float) -> None:
        """Time to read; none where nobody sees it happen."""
        await asyncio.sleep(seconds if self.is_terminal else 0)

    def lines(self, lines: Sequence[Text]) -> None:
        """Lines as they are: never folded, never cut."""
        for line in lines:
            self._console.print(line, soft_wrap=True)

    def blank(self) -> None:
        self._console.print()

    def title(self, name: str, remark: str) -> None:
        """The first line."""
        self.lines([Text().append(name, style=ACCENT).append(f"  {remark}", style="dim")])

    def heading(self, title: str) -> None:
        """The next step of the tour."""
        self._step += 1
        line = Text()
        line.append(f"{self._step} ", style=ACCENT)
        line.append(f"{title} ", style="bold")
        line.append("─" * max(0, self._console.width - line.cell_len), style="dim")
        self.blank()
        self.lines([line])

    def block(self, left: Sequence[Text], right: Sequence[Text]) -> None:
        """What was typed, and what came of it."""
        self.lines(beside(self._console.width, left, right))

    def command(self, *words: str) -> None:
        """A command of the shell, in a form that can be copied."""
        prompt = MARGIN + "$ "
        first, *rest = command_lines(words, self._console.width - len(prompt))
        self.lines([Text().append(prompt, style="dim").append_text(first)])
        self.lines([Text(" " * len(prompt)).append_text(line) for line in rest])

    def note(self, text: str | Text, style: str = "dim") -> None:
        """A line in passing."""
        line = text if isinstance(text, Text) else Text(text, style=style)
        self.lines([Text(MARGIN).append_text(one) for one in folded([line], self._console.width - len(MARGIN), 2)])

    @contextlib.contextmanager
    def footer(self) -> Iterator[None]:
        """Keeps a last line on a terminal as long as the block runs; `set_footer` writes it."""
        if not self.is_terminal:
            yield
            return
        try:
            with Live(console=self._console, auto_refresh=False, transient=True) as self._footer:
                yield
        finally:
            self._footer = None

    def set_footer(self, text: Text) -> None:
        if self._footer is not None:
            self._footer.update(text, refresh=True)
