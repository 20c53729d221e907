"""Feeds for tests: everything that the contract lets happen to one, in a definite order."""

import csv
import gzip
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import zstandard

from tests.oracle.operations import EPOCH, Operation
from topsellers.generate import generate_report

FIRST_HOUR = (datetime(2026, 3, 1, tzinfo=UTC) - EPOCH) // timedelta(hours=1)
COLUMNS = ("timestamp", "product_id", "category_id", "customer_id", "qty", "total_price")

Row = tuple[str, str, str, str, str, str]
"""A row's texts in the order of `COLUMNS`."""

_TIED = ("Z-1", "a-1", "z/1", 'q"1', "é-1", "ﬁ-1", "𝄞-1", "a,1", "0001", "1")
_TYPES_OF_BAD = (
    b"{t},P-BAD,kitchen,,0,1.00",
    b"{t},P-BAD,kitchen,,one,1.00",
    b"{t},P-BAD,kitchen,,1,",
    b"{t},P-BAD,kitchen,,1,-1.00",
    b"{t},P-BAD,kitchen,,1,1.005",
    b"{t},P-BAD,kitchen,,1,1e2",
    b"{t},P-BAD,kitchen,,+1,1.00",
    b"{t},P-BAD,kitchen,,1000001,1.00",
    b"{t},P-BAD,kitchen,,1,1000000000",
    b"{t},P-BAD,kitchen,1,1.00",
    b"{t},P-BAD,kitchen,,1,1.00,more",
    b"{t},,kitchen,,1,1.00",
    b"{t},P-BAD,,,1,1.00",
    b"tomorrow,P-BAD,kitchen,,1,1.00",
    b"{t},P-\xff\xfe,kitchen,,1,1.00",
    b"{t},P-\x07,kitchen,,1,1.00",
    b"{t},P" + b"X" * 128 + b",kitchen,,1,1.00",
    b'{t},P-BAD,kitchen,,1,"1.00',
)


def hostile_feed(
    folder: Path,
    *,
    hours: int = 250,
    reports: int = 212,
    sparse_hours: int = 0,
    rows: int = 300,
    products: int = 1_500,
    categories: int = 38,
    seed: int = 7,
    first_hour: int = FIRST_HOUR,
) -> list[Operation]:
    """Write a feed's reports into a folder, and return what is to be done with them, in order.

    Of `hours` clock hours `reports` have one, before which `sparse_hours` more have one every 29
    hours (550 let the month expire too). The reports differ in form: plain, gzip, zstd, with a
    byte-order mark, CRLF, quotes, other orders of columns; all have ties and returns, most a few
    bad rows. Some come late, some are corrected (from files below `corrections/`), the newest of
    some moment is withdrawn, and one in the middle. All are accepted operations, and all names
    those of reports, so that each file can be handed to `topsellers ingest`.
    """
    if not 24 <= reports <= hours:
        raise ValueError(f"{reports} reports in {hours} hours: ask for 24 or more, one an hour")
    random = np.random.default_rng(seed)
    (folder / "corrections").mkdir(parents=True)

    def write(hour: int, *, into: Path = folder, other: int = 0) -> Path:
        texts = _rows(hour, rows, products, categories, seed + other)
        return _write(into, hour, texts, variant=hour + other)

    dense = first_hour + sparse_hours
    missing = random.choice(np.arange(1, hours - 1), hours - reports, replace=False)
    covered = sorted(set(range(hours)) - set(missing.tolist()))
    sparse = list(range(first_hour, dense, 29))
    order = sparse + [dense + hour for hour in covered]

    arrivals = _late_arrivals(random, len(order))
    late = {place for places in arrivals.values() for place in places}
    operations: list[Operation] = []
    quarter = len(order) // 4
    for place in range(len(order)):
        arrived = ([] if place in late else [place]) + arrivals.get(place, [])
        operations += [Operation("ingest", order[at], write(order[at])) for at in arrived]
        if place in (quarter, 2 * quarter, 3 * quarter, len(order) - 3):
            done = [operation.hour for operation in operations if operation.kind == "ingest"]
            # The newest, one within the day, and one that only the longer windows still hold.
            for corrected in dict.fromkeys((done[-1], done[-9:][0], done[len(done) // 3])):
                if corrected in _in_force(operations):
                    path = write(corrected, into=folder / "corrections", other=1_000 + place)
                    operations.append(Operation("correct", corrected, path))
        if place == 2 * quarter + 5:
            operations.append(Operation("withdraw", max(_in_force(operations))))
        if place == 3 * quarter + 5:
            counted = sorted(_in_force(operations))
            operations.append(Operation("withdraw", counted[-6]))
    return operations


def _late_arrivals(random: np.random.Generator, count: int) -> dict[int, list[int]]:
    """Choose pairs of late reports; return which come, after which: of a pair, the later first."""
    places = sorted((random.choice(count - 12, 8, replace=False) + 1).tolist())
    arrivals: dict[int, list[int]] = {}
    for earlier, later in zip(places[::2], places[1::2], strict=True):
        arrivals.setdefault(later + 2, []).append(later)
        arrivals.setdefault(later + 6, []).append(earlier)
    return arrivals


def _in_force(operations: list[Operation]) -> set[int]:
    hours: set[int] = set()
    for operation in operations:
        if operation.kind == "withdraw":
            hours.discard(operation.hour)
        else:
            hours.add(operation.hour)
    return hours


def _rows(hour: int, rows: int, products: int, categories: int, seed: int) -> list[Row]:
    """A generated report's rows, and what a generator would hardly hit upon."""
    random = np.random.default_rng((seed, hour))
    report = generate_report(hour, int(rows * random.uniform(0.7, 1.3)), products, categories, seed)
    texts: list[Row] = [
        (stamp, product, category, customer or "", str(quantity), f"{price:.2f}")
        for stamp, product, category, customer, quantity, price in report.iter_rows()
    ]
    stamp = str(hour * 3600 + 1)
    # Equal totals whose order is that of the bytes alone, in a category of their own.
    texts += [(stamp, product, "ties & bytes", "", "2", "5") for product in _TIED]
    if hour % 3 == 0:
        texts += [(stamp, product, "ties & bytes", "0007", "1", "0.5") for product in _TIED[::2]]
    if hour % 5 == 0:
        # A return whose price is positive subtracts all the same; this one outweighs its sale.
        texts.append((stamp, "z/1", "ties & bytes", "", "-4", "11.25"))
        texts.append((stamp, "P-RETURNED", "only/returns", "", "-1", "-3"))
        texts.append((stamp, "P-FREE", "ties & bytes", "", "1", "0.00"))
    if hour % 40 == 0:
        texts.append((stamp, "P-RARE", "sells seldom", "", "3", "30"))
    return texts


def _write(folder: Path, hour: int, rows: list[Row], variant: int) -> Path:
    """Write a report in one of its forms, bad rows strewn in, and return where."""
    random = np.random.default_rng((hour, variant))
    quoted = variant % 5 == 3
    line_end = "\r\n" if variant % 4 == 1 else "\n"
    places = [3, 0, 5, 1, 4, 2] if variant % 6 == 2 else list(range(6))
    header = [COLUMNS[place] for place in places]
    if variant % 7 == 4:
        header = [f" {name.upper()} " for name in header]
    lines = [_line(header, quoted)]
    lines += [_line([row[place] for place in places], quoted) for row in rows]
    if places == list(range(6)):
        stamp = str(hour * 3600).encode()
        for _ in range(variant % 4):
            bad = _TYPES_OF_BAD[random.integers(len(_TYPES_OF_BAD))].replace(b"{t}", stamp)
            lines.insert(int(random.integers(1, len(lines) + 1)), bad)
    if variant % 9 == 0:
        lines.insert(len(lines) // 2, b"")
    content = line_end.encode().join(lines) + (b"" if variant % 8 == 5 else line_end.encode())
    if variant % 10 == 7:
        content = b"\xef\xbb\xbf" + content
    ending, compress = _compression(variant)
    start = (EPOCH + timedelta(hours=hour)).strftime("%Y%m%d%H")
    path = folder / f"SalesReport-{start}.csv{ending}"
    if path.exists():
        path = _another_folder(folder) / path.name
    path.write_bytes(compress(content))
    return path


def _another_folder(folder: Path) -> Path:
    """An hour can be corrected twice: each report keeps its name, in a folder of its own."""
    numbered = folder / f"again-{sum(1 for _ in folder.glob('again-*')) + 1}"
    numbered.mkdir()
    return numbered


def _line(fields: list[str], quoted: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(
        text, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator=""
    )
    writer.writerow(fields)
    return text.getvalue().encode()


def _compression(variant: int) -> tuple[str, Callable[[bytes], bytes]]:
    if variant % 6 == 4:
        return ".gz", gzip.compress
    if variant % 6 == 5:
        return ".zst", zstandard.compress
    return "", bytes
