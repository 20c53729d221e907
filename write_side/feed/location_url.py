"""From a drop location's URL to its adapter."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from write_side.errors import FeedUnavailable
from write_side.feed.completeness import Completeness
from write_side.feed.drop_location import DropLocation
from write_side.feed.local_folder import LocalFolder


def open_drop_location(
    url: str, completeness: Completeness, clock: Callable[[], float]
) -> DropLocation:
    """Return the drop location at a local path or a `file://` URL.

    `clock` gives seconds since 1970. Raises `FeedUnavailable` for a URL that no adapter serves, and
    where a missing folder cannot be made.
    """
    if "://" not in url:
        return LocalFolder(Path(url), completeness, clock)
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise FeedUnavailable(
            f"no such kind of drop location: {url}. Give a local folder or a file:// URL."
        )
    return LocalFolder(Path(unquote(parts.path)), completeness, clock)
