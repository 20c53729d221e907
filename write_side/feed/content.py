"""What a report's file says once it is uncompressed, and the checksum it is known by."""

import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import zstandard

from write_side.errors import ReportTooLarge, ReportUnreadable
from write_side.feed.drop_location import MAX_REPORT_BYTES, MAX_REPORT_LINES
from write_side.feed.report_name import Compression, ReportName

_STEP: Final = 1 << 20
"""Bytes that gzip inflates at a time."""
_GZIP_WINDOW: Final = 31
"""zlib's code for a gzip wrapper with the largest window."""
_ZSTD_STEP: Final = 1 << 16
"""Most bytes that zstd is given at a time."""
_ZSTD_GROWTH: Final = (128 << 10) // 4
"""Most that one byte of zstd becomes: a block of 128 KiB takes four bytes at least."""


def uncompressed(
    data: bytes,
    report: ReportName,
    max_bytes: int = MAX_REPORT_BYTES,
    max_lines: int = MAX_REPORT_LINES,
) -> bytes:
    """Return the content of a report's file.

    Several gzip members or zstd frames, one after the other, are one content. Raises
    `ReportUnreadable` where the compression is cut short or damaged, and `ReportTooLarge` beyond
    `max_bytes` or `max_lines` of content, without inflating much more than that.
    """
    pieces: list[bytes] = []
    length = lines = 0
    for piece in _inflated(data, report.compression, report.name, max_bytes):
        length += len(piece)
        lines += piece.count(b"\n")
        if length > max_bytes:
            raise _too_large(report, f"{max_bytes:,} bytes")
        if lines > max_lines:
            raise _too_large(report, f"{max_lines:,} lines")
        pieces.append(piece)
    # A single piece is not copied.
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def checksum(content: bytes) -> str:
    """Return the SHA-256 of uncompressed content, in hexadecimal: with the hour, its identity."""
    return sha256(content).hexdigest()


def _inflated(data: bytes, compression: Compression, name: str, limit: int) -> Iterator[bytes]:
    if not compression:
        yield data
        return
    try:
        yield from _gunzipped(data) if compression == "gz" else _unzstd(data, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise ReportUnreadable(
            f"the compressed file is cut short or damaged: {name} ({error}). Deliver it again."
        ) from error


def _gunzipped(data: bytes) -> Iterator[bytes]:
    rest = data
    while True:
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            piece = member.decompress(rest, _STEP)
            rest = member.unconsumed_tail
            if not piece and not rest and not member.eof:
                raise EOFError("its end is missing")
            yield piece
        # Tapes and some writers fill up with zeros, which every gzip skips.
        rest = member.unused_data.lstrip(b"\0")
        if not rest:
            return


def _unzstd(data: bytes, limit: int) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    position = produced = 0
    while position < len(data):
        if frame.eof:
            frame = decompressor.decompressobj()
        # zstd cannot be told how much to give at most, so it is given only as much as cannot
        # become more than what is still allowed.
        step = max(1, min(_ZSTD_STEP, (limit - produced) // _ZSTD_GROWTH))
        given = data[position : position + step]
        piece = frame.decompress(given)
        position += len(given) - len(frame.unused_data)
        produced += len(piece)
        yield piece
    if not frame.eof:
        raise EOFError("its end is missing")


def _too_large(report: ReportName, limit: str) -> ReportTooLarge:
    return ReportTooLarge(
        f"the content is more than the {limit} that a report may have: {report.name}. "
        "Deliver the hour in a smaller file."
    )
