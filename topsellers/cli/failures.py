"""How every failure of a command ends: one line on stderr that says what to do, and an exit code.

0 is done; 1 that a report was refused, a check found a difference, or what was asked for does not
exist; 2 that the command could not do its work: wrong use, a wrong setting, or something that it
needs is away. 130 is Ctrl-C, 143 SIGTERM before it was done.
"""

import sys
import traceback
from typing import Final

import msgspec
from cyclopts import CycloptsError

from projections.errors import CategoryUnknown, ProjectionError, RebuildFailed
from topsellers.errors import TopsellersError
from write_side.errors import HourNotIngested, ReportNameInvalid, ReportRefused, WriteSideError

REFUSED: Final = 1
NOT_DONE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143

INTERNAL_ERROR: Final = "INTERNAL_ERROR"
SYSTEM_ERROR: Final = "SYSTEM_ERROR"
WRONG_USE: Final = "WRONG_USE"


class Failure(msgspec.Struct, frozen=True):
    """What a person and a script are told of an error."""

    message: str
    """One line."""
    code: str
    exit_code: int


class Terminated(KeyboardInterrupt):
    """SIGTERM: what runs ends as it does on Ctrl-C, but was not interrupted by a person."""


def describe_failure(error: BaseException) -> Failure:
    """Return what is told of an error."""
    code = getattr(error, "code", INTERNAL_ERROR)
    match error:
        case CycloptsError():
            message = f"{_one_line(error)} `topsellers --help` lists what there is."
            return Failure(message, WRONG_USE, NOT_DONE)
        case ReportNameInvalid():
            return Failure(_one_line(error), code, NOT_DONE)
        case ReportRefused() | HourNotIngested() | CategoryUnknown() | RebuildFailed():
            return Failure(_one_line(error), code, REFUSED)
        case TopsellersError() | WriteSideError() | ProjectionError():
            return Failure(_one_line(error), code, NOT_DONE)
        case OSError():
            where = f": {error.filename}" if error.filename else ""
            message = f"the system refused what was needed{where} ({error.strerror or error})."
            return Failure(message, SYSTEM_ERROR, NOT_DONE)
    if type(error).__module__ == "subgraph.errors" and isinstance(code, str):
        # Its types are not imported here: that would import a whole GraphQL server for each error.
        exit_code = REFUSED if code == "NOT_FOUND" else NOT_DONE
        return Failure(_one_line(error), code, exit_code)
    message = (
        f"something went wrong inside topsellers: {type(error).__name__}: {_one_line(error)} "
        "Run it again with --verbose, and report what it says."
    )
    return Failure(message, INTERNAL_ERROR, NOT_DONE)


def tell_failure(error: BaseException, *, verbose: bool) -> int:
    """Print an error's one line on stderr, with its chain where asked for; returns the exit code.

    A message that stderr can't take is lost without another error.
    """
    failure = describe_failure(error)
    lines = [f"topsellers: {failure.message}"]
    if verbose:
        lines += [f"  {line}" for line in error_chain(error)]
    tell("\n".join(lines))
    return failure.exit_code


def tell(line: str) -> None:
    """Print a line on stderr."""
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return


def error_chain(error: BaseException) -> list[str]:
    """Return a line for an error and each error that it came from: what, and where in the code."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        lines.append(f"{'from ' if lines else ''}{type(seen).__name__}: {_one_line(seen)}{where}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return lines


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "?", "!", "`")) else f"{text}."
