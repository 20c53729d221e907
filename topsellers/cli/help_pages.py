"""How `--help` looks: aligned columns without boxes, as in the tools beside it."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions

_BLANK: Final = "    \n" * 8
"""A box of rich whose lines are all blank."""


class PlainColumns:
    """A help formatter; what it needs is imported when a page is asked for."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Print one group of a help page."""
        from cyclopts.help import DefaultFormatter, PanelSpec
        from rich.box import Box

        blank = PanelSpec(box=Box(_BLANK), padding=(0, 0, 0, 3))
        DefaultFormatter(panel_spec=blank)(console, options, panel)

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """Print how the command is written."""
        del options
        if usage:
            console.print("Usage:", usage)
