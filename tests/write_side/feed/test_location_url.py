import time
from pathlib import Path

import pytest

from write_side.errors import FeedUnavailable
from write_side.feed.completeness import Completeness
from write_side.feed.location_url import open_drop_location


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_a_local_folder_is_named_by_a_path_or_a_file_url(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "drop box"
    folder.mkdir()
    (folder / "SalesReport-2026112507.csv").write_bytes(b"x")
    url = form.format(str(folder).replace(" ", "%20") if "://" in form else folder)
    location = open_drop_location(url, Completeness(settle_seconds=0), time.time)
    assert [waiting.report.stamp for waiting in location.list().reports] == ["2026112507"]


@pytest.mark.parametrize("url", ["ftp://host/reports", "file://elsewhere/reports"])
def test_a_url_that_no_adapter_serves_is_named(url: str) -> None:
    with pytest.raises(FeedUnavailable, match=url):
        open_drop_location(url, Completeness(), time.time)
