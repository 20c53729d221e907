"""Which file names are reports, and what a name says."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from write_side import hours
from write_side.errors import ReportNameInvalid

Compression = Literal["", "gz", "zst"]

_REPORT: Final = re.compile(r"SalesReport-([0-9]{10})\.csv(?:\.(gz|zst))?")
_UNFINISHED_SUFFIXES: Final = (".tmp", ".part", ".filepart")


@dataclass(frozen=True, slots=True)
class ReportName:
    """The name of a report: the hour that it covers, and how its content is compressed."""

    name: str
    hour: int
    compression: Compression

    @property
    def stamp(self) -> str:
        """The `YYYYMMDDHH` of the name."""
        return self.name.removeprefix("SalesReport-")[:10]


def parse_report_name(name: str) -> ReportName | None:
    """Return what a file name says, or None where it is no report's.

    Raises `ReportNameInvalid` for a name of the right form whose stamp is no hour of the calendar:
    such a file was meant as a report, so it is refused instead of passed over.
    """
    match = _REPORT.fullmatch(name)
    if match is None:
        return None
    stamp, compression = match.groups(default="")
    try:
        hour = hours.parse_stamp(stamp)
        hours.end_of(hour)
    except (ValueError, OverflowError) as error:
        raise ReportNameInvalid(
            f"the stamp is no hour of the calendar: {name}. "
            "Name the file SalesReport-YYYYMMDDHH.csv after the hour in UTC that it covers."
        ) from error
    if compression == "gz":
        return ReportName(name, hour, "gz")
    return ReportName(name, hour, "zst" if compression else "")


def is_unfinished(name: str) -> bool:
    """Tell whether a name is one that writers use for files under way, never a report's."""
    return name.startswith(".") or name.endswith(_UNFINISHED_SUFFIXES)
