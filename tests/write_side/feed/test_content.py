import gzip
import hashlib
import io
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from write_side.errors import ReportTooLarge, ReportUnreadable
from write_side.feed.content import checksum, uncompressed
from write_side.feed.report_name import Compression, ReportName

CONTENT = b"timestamp,product_id\n" + b"".join(b"%d,p%d\n" % (i * i, i) for i in range(200))
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00extra"


def report(compression: Compression) -> ReportName:
    return ReportName(f"SalesReport-2026112507.csv.{compression}", 0, compression)


def streamed_zstd(data: bytes) -> bytes:
    """A frame that does not say its size, as a pipe makes it, with a checksum."""
    buffer = io.BytesIO()
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    with compressor.stream_writer(buffer, closefd=False) as writer:
        writer.write(data)
    return buffer.getvalue()


COMPRESSED: list[tuple[Compression, bytes]] = [
    ("gz", gzip.compress(CONTENT)),
    ("zst", zstandard.compress(CONTENT)),
    ("zst", streamed_zstd(CONTENT)),
]


def test_uncompressed_content_stands_as_it_is() -> None:
    assert uncompressed(CONTENT, report("")) == CONTENT


@pytest.mark.parametrize(("compression", "data"), COMPRESSED)
def test_compressed_content_is_what_was_compressed(compression: Compression, data: bytes) -> None:
    assert uncompressed(data, report(compression)) == CONTENT


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
def test_members_and_frames_one_after_the_other_are_one_content(parts: list[bytes]) -> None:
    members = b"".join(map(gzip.compress, parts))
    frames = b"".join(map(zstandard.compress, parts))
    assert uncompressed(members, report("gz")) == b"".join(parts)
    assert uncompressed(frames, report("zst")) == b"".join(parts)


def test_skippable_frames_and_padding_zeros_are_passed_over() -> None:
    frame = zstandard.compress(CONTENT)
    assert uncompressed(SKIPPABLE + frame + SKIPPABLE + frame, report("zst")) == CONTENT * 2
    padded = gzip.compress(CONTENT) + bytes(700)
    assert uncompressed(padded, report("gz")) == CONTENT


@pytest.mark.parametrize(("compression", "data"), COMPRESSED)
def test_a_file_cut_short_at_any_byte_is_refused_whole(
    compression: Compression, data: bytes
) -> None:
    for length in range(len(data)):
        with pytest.raises(ReportUnreadable, match=r"SalesReport-2026112507\.csv"):
            uncompressed(data[:length], report(compression))


@pytest.mark.parametrize("compression", ["gz", "zst"])
@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_compression_are_refused(compression: Compression, data: bytes) -> None:
    with pytest.raises(ReportUnreadable):
        uncompressed(b"x" + data, report(compression))


@pytest.mark.parametrize("junk", [b"junk", b"\0junk"])
def test_junk_after_the_end_is_refused(junk: bytes) -> None:
    with pytest.raises(ReportUnreadable):
        uncompressed(gzip.compress(CONTENT) + junk, report("gz"))
    with pytest.raises(ReportUnreadable):
        uncompressed(zstandard.compress(CONTENT) + junk, report("zst"))


@pytest.mark.parametrize("compression", ["", "gz", "zst"])
def test_content_up_to_the_limit_is_taken_and_beyond_it_refused(compression: Compression) -> None:
    data = {"": CONTENT, "gz": gzip.compress(CONTENT), "zst": zstandard.compress(CONTENT)}
    size = len(CONTENT)
    assert uncompressed(data[compression], report(compression), size) == CONTENT
    with pytest.raises(ReportTooLarge, match=f"{size - 1:,}"):
        uncompressed(data[compression], report(compression), size - 1)


@pytest.mark.parametrize("compression", ["", "gz", "zst"])
def test_lines_up_to_the_limit_are_taken_and_beyond_it_refused(compression: Compression) -> None:
    data = {"": CONTENT, "gz": gzip.compress(CONTENT), "zst": zstandard.compress(CONTENT)}
    lines = CONTENT.count(b"\n")
    assert uncompressed(data[compression], report(compression), max_lines=lines) == CONTENT
    with pytest.raises(ReportTooLarge, match=f"the {lines - 1} lines .* in a smaller file"):
        uncompressed(data[compression], report(compression), max_lines=lines - 1)


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_a_bomb_is_never_inflated_much_beyond_the_limit(compression: Compression) -> None:
    zeros = bytes(64 << 20)
    bomb = gzip.compress(zeros, 9) if compression == "gz" else zstandard.compress(zeros)
    del zeros
    tracemalloc.start()
    try:
        with pytest.raises(ReportTooLarge):
            uncompressed(bomb, report(compression), 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_checksum_is_of_the_uncompressed_bytes() -> None:
    assert checksum(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert checksum(b"abc").startswith("ba7816bf")
