"""The physical lines of a report's content, as arrays of offsets.

Lines end with LF, or CRLF; a line's number is one more than the count of newline bytes before it.
"""

import codecs
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEWLINE: Final = 0x0A
CARRIAGE_RETURN: Final = 0x0D
_CHUNK: Final = 1 << 20
"""Bytes searched at a time: what stays in a processor's cache."""
_LINES_AT_ONCE: Final = 1 << 10


class PhysicalLines:
    """Content and where each of its lines starts and ends; indexes count from 0."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._bytes = np.frombuffer(content, dtype=np.uint8)
        newlines = self._positions(NEWLINE)
        if content and not content.endswith(b"\n"):
            newlines = np.append(newlines, len(content))
        self.ends: Offsets = newlines
        """Offset of each line's newline, or of the content's end."""
        self.starts: Offsets = np.zeros_like(newlines)
        self.starts[1:] = newlines[:-1] + 1

    def __len__(self) -> int:
        return len(self.ends)

    def line(self, first: int, last: int | None = None) -> bytes:
        """Return a line, or those from `first` to `last`, without the line end of the last."""
        end = self.ends[first if last is None else last]
        return self.content[self.starts[first] : end].removesuffix(b"\r")

    def bytes_of(self, first: int, last: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of the lines from `first` to `last`, without the newline of the last."""
        return self._bytes[self.starts[first] : self.ends[last]]

    def counts(self, byte: int) -> Offsets:
        """Return for each line how often a byte other than newline is in it."""
        reached = np.zeros(len(self), dtype=np.int64)
        total = line = 0
        for offset, found in self._found(byte):
            bound = offset + _CHUNK
            past = int(np.searchsorted(self.ends, bound, side="left"))
            reached[line:past] = total + np.searchsorted(found, self.ends[line:past])
            total += len(found)
            line = past
        reached[line:] = total
        return np.diff(reached, prepend=0)

    def are_empty(self) -> Flags:
        """Return for each line whether it has nothing but its line end."""
        lengths = self.ends - self.starts
        flags: Flags = lengths == 0
        if b"\r" in self.content:
            single = np.flatnonzero(lengths == 1)
            flags[single] = self._bytes[self.starts[single]] == CARRIAGE_RETURN
        return flags

    def have_stray_carriage_return(self) -> Flags:
        """Return for each line whether it has a carriage return that no newline follows."""
        flags = np.zeros(len(self), dtype=np.bool_)
        if b"\r" not in self.content:
            return flags
        returns = self._positions(CARRIAGE_RETURN)
        followers = np.minimum(returns + 1, len(self.content) - 1)
        stray = returns[self._bytes[followers] != NEWLINE]
        flags[np.searchsorted(self.ends, stray)] = True
        return flags

    def have_invalid_utf8(self) -> Flags:
        """Return for each line whether its bytes are not UTF-8."""
        flags = np.zeros(len(self), dtype=np.bool_)
        if self.content.isascii() or _is_utf8(self.content):
            return flags
        beyond_ascii = np.zeros(len(self), dtype=np.bool_)
        for offset in range(0, len(self.content), _CHUNK):
            high = np.flatnonzero(self._bytes[offset : offset + _CHUNK] > 0x7F) + offset
            beyond_ascii[np.searchsorted(self.ends, high)] = True
        beyond = np.flatnonzero(beyond_ascii)
        for offset in range(0, len(beyond), _LINES_AT_ONCE):
            part = beyond[offset : offset + _LINES_AT_ONCE]
            if not _is_utf8(self.content[self.starts[part[0]] : self.ends[part[-1]]]):
                flags[part] = [not _is_utf8(self.line(index)) for index in part.tolist()]
        return flags

    def selected(self, chosen: Flags, first: int) -> memoryview:
        """Return the chosen ones of the lines from `first` on, with their line ends."""
        if chosen.all():
            return memoryview(self.content)[self.starts[first] :]
        lengths = np.diff(self.starts[first:], append=len(self.content))
        return self._bytes[self.starts[first] :][np.repeat(chosen, lengths)].data

    def _positions(self, byte: int) -> Offsets:
        found = [positions for _, positions in self._found(byte)]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def _found(self, byte: int) -> Iterator[tuple[int, Offsets]]:
        """Yield each chunk's offset, and where in the content the byte is within it."""
        for offset in range(0, len(self._bytes), _CHUNK):
            yield offset, np.flatnonzero(self._bytes[offset : offset + _CHUNK] == byte) + offset


def _is_utf8(data: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    try:
        for offset in range(0, len(view), _CHUNK):
            decoder.decode(view[offset : offset + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
