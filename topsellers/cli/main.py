"""The entry point: finds the command, runs it, and turns what it raises into an exit code."""

import os
import signal
import sys
from types import FrameType
from typing import Final, NamedTuple

from cyclopts import App

from topsellers.cli.failures import INTERRUPTED, TERMINATED, Terminated, tell, tell_failure
from topsellers.cli.help_pages import PlainColumns


class Command(NamedTuple):
    """A command as `--help` lists it; its function is imported when it is called."""

    name: str
    target: str
    does: str
    example: str


COMMANDS: Final = (
    Command(
        "demo",
        "topsellers.cli.demo:demo",
        "Everything on embedded parts, over a generated feed.",
        "topsellers demo",
    ),
    Command(
        "up",
        "topsellers.cli.up:up",
        "All roles on this machine: watch the feed, project, serve.",
        "topsellers up --port 8080 --feed-url /srv/reports",
    ),
    Command(
        "ingest",
        "topsellers.cli.ingest:ingest",
        "Take reports in: the named ones, or all that wait in the feed.",
        "topsellers ingest SalesReport-2026112507.csv --correct",
    ),
    Command(
        "watch",
        "topsellers.cli.watch:watch",
        "Take reports in as they come.",
        "topsellers watch --feed-url /srv/reports --feed-marker .done",
    ),
    Command(
        "project",
        "topsellers.cli.project:project",
        "Keep the rankings up to the events.",
        "topsellers project --once",
    ),
    Command(
        "serve",
        "topsellers.cli.serve:serve",
        "Serve GraphQL, REST and the live board.",
        "topsellers serve --host 0.0.0.0 --port 8080 --workers 4",
    ),
    Command(
        "status",
        "topsellers.cli.status:status",
        "How fresh and how complete the rankings are.",
        "topsellers status --json",
    ),
    Command(
        "top",
        "topsellers.cli.rankings:top",
        "A category's best-selling products.",
        "topsellers top toys --window week --metric revenue -n 20",
    ),
    Command(
        "rank",
        "topsellers.cli.rankings:rank",
        "A product's ranks in all its categories.",
        "topsellers rank P00001042 --window day --json",
    ),
    Command(
        "verify",
        "topsellers.cli.verify:verify",
        "Recompute rankings from the events, and compare.",
        "topsellers verify --json",
    ),
    Command(
        "rebuild",
        "topsellers.cli.rebuild:rebuild",
        "Build the read model anew beside the live one, and swap it in.",
        "topsellers rebuild --category toys --from events",
    ),
    Command(
        "generate",
        "topsellers.cli.generate:generate",
        "Write a realistic feed.",
        "topsellers generate --out .topsellers/dropbox --hours 48 --rows 5000",
    ),
    Command(
        "schema", "topsellers.cli.schema:schema", "Print the GraphQL SDL.", "topsellers schema"
    ),
)
_LASTING: Final = ("demo", "up", "watch", "project", "serve")
"""Commands that run until they are ended."""
_INTERRUPTED: Final = "Interrupted. What was reported is kept; the same command goes on from there."
_WITHDRAW_EXAMPLE: Final = 'topsellers reports withdraw 2026112507 --reason "the wrong shop"'


def make_app() -> App:
    """Return the command line's parser: it raises instead of printing and exiting."""
    app = App(
        name="topsellers",
        help="Exact hourly best-seller rankings.",
        help_epilogue="Begin with: topsellers demo",
        help_format="plaintext",
        help_formatter=PlainColumns(),
        version=_version,
        version_flags=["--version"],
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for command in COMMANDS:
        app.command(
            command.target,
            name=command.name,
            help=command.does,
            help_epilogue=f"Example: {command.example}",
        )
    reports = App(
        name="reports",
        help="Take an hour's report back.",
        help_epilogue=f"Example: {_WITHDRAW_EXAMPLE}",
    )
    reports.command(
        "topsellers.cli.reports:withdraw",
        name="withdraw",
        help="Take an hour back: nothing of it counts any more.",
        help_epilogue=f"Example: {_WITHDRAW_EXAMPLE}",
    )
    app.command(reports)
    app.register_install_completion_command(help="Install completion for this shell.")
    return app


def _version() -> str:
    from importlib.metadata import version

    return version("topsellers")


def main() -> None:
    """Run the command that `sys.argv` names, and exit."""
    # A script's background job inherits it as ignored, and could not be ended by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command; returns its exit code. Never raises, never prints a traceback."""
    verbose = "--verbose" in arguments
    try:
        result = make_app()(arguments)
        sys.stdout.flush()
    except Terminated:
        # For what runs until it is ended this is the end; anything else is left undone.
        return 0 if _is_lasting(arguments) else TERMINATED
    except KeyboardInterrupt as error:
        tell(str(error) or _INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone, `| head` say; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return tell_failure(error, verbose=verbose)
    return result if isinstance(result, int) else 0


def _is_lasting(arguments: list[str]) -> bool:
    return arguments[0] in _LASTING and "--once" not in arguments


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated
