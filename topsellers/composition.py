"""The composition root: which adapter stands behind each port, as the settings say.

Everything is a context manager that gives back what it opened.
"""

import os
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from projections.redis_connection import check_server, open_redis
from projections.redis_rankings import RedisRankings
from projections.worker import ReadModel
from topsellers.embedded_redis import embedded_redis
from topsellers.secret_keys import pseudonym_key, secret_keys
from topsellers.settings import EMBEDDED_REDIS, Settings, prepare_home
from write_side.event_store import EventStore
from write_side.feed.completeness import Completeness
from write_side.feed.drop_location import DropLocation
from write_side.feed.location_url import open_drop_location
from write_side.feed.quarantine import Quarantine
from write_side.ingestion import Ingestion
from write_side.intake import KnownFiles
from write_side.open_event_store import open_event_store
from write_side.store_identity import store_identity

QUARANTINE_FOLDER: Final = "quarantine"
KNOWN_FILES: Final = "feed-checksums.json"


class OpenStore(msgspec.Struct, frozen=True):
    """An event store that is open, and who it is."""

    store: EventStore
    store_id: str


@contextmanager
def opened_store(settings: Settings) -> Iterator[OpenStore]:
    """Open the event store, made where it is missing; raises `EventStoreUnavailable`."""
    prepare_home(settings.home)
    store = open_event_store(settings.event_store_url)
    try:
        yield OpenStore(store, store_identity(store).store_id)
    finally:
        store.close()


@contextmanager
def redis_address(settings: Settings) -> Iterator[str]:
    """Yield the URL of a Redis that can hold the read model; the embedded one is kept meanwhile.

    Raises `EmbeddedRedisUnavailable`, `RedisUrlInvalid`, `RedisUnsuitable`,
    `ReadModelUnavailable`.
    """
    if settings.redis_url != EMBEDDED_REDIS:
        _check(settings.redis_url)
        yield settings.redis_url
        return
    prepare_home(settings.home)
    with embedded_redis(settings.home) as url:
        _check(url)
        yield url


def check_parts(settings: Settings) -> None:
    """Open, once, all that the roles need, so that what is wrong is told once, before they start.

    Raises what `opened_store`, `redis_address`, `open_feed` and `make_ingestion` do.
    """
    with opened_store(settings) as opened:
        make_ingestion(settings, opened.store)
    open_feed(settings).list()
    if settings.redis_url != EMBEDDED_REDIS:
        _check(settings.redis_url)


@contextmanager
def opened_read_model(opened: OpenStore, redis_url: str) -> Iterator[ReadModel]:
    """Open the read model for those who write or check it."""
    redis = open_redis(redis_url)
    try:
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="blocks") as threads:
            yield ReadModel(opened.store, opened.store_id, redis, threads)
    finally:
        redis.close()


@asynccontextmanager
async def opened_rankings(opened: OpenStore, redis_url: str) -> AsyncIterator[RedisRankings]:
    """Open the rankings for those who read them."""
    async with RedisRankings(redis_url, opened.store, opened.store_id) as rankings:
        yield rankings


def make_ingestion(settings: Settings, store: EventStore) -> Ingestion:
    """Return what ingesting needs; raises `HomeUnusable` where there can be no secret key."""
    key = pseudonym_key(secret_keys(settings))
    return Ingestion(store, make_quarantine(settings), key, lambda: datetime.now(UTC))


def make_quarantine(settings: Settings) -> Quarantine:
    """Return where rejected rows are kept."""
    return Quarantine(settings.home / QUARANTINE_FOLDER)


def purge_quarantine(settings: Settings) -> int:
    """Delete what was kept for longer than the settings say; returns how many files."""
    kept_for = timedelta(days=settings.quarantine_days)
    return make_quarantine(settings).purge(kept_for, datetime.now(UTC))


def open_feed(settings: Settings) -> DropLocation:
    """Return the drop location; raises `FeedUnavailable`."""
    completeness = Completeness(settings.feed_settle, settings.feed_marker)
    return open_drop_location(settings.feed_url, completeness, time.time)


def known_files(settings: Settings) -> KnownFiles:
    """Return what is remembered of the files that were read before."""
    return KnownFiles(settings.home / KNOWN_FILES)


def shown_path(settings: Settings, path: Path) -> str:
    """Return how a path under the home is shown to people: without the home."""
    return str(path.relative_to(settings.home)) if path.is_relative_to(settings.home) else str(path)


def _check(redis_url: str) -> None:
    redis = open_redis(redis_url)
    try:
        check_server(redis)
    finally:
        redis.close()
