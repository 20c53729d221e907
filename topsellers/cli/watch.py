"""`topsellers watch`: take reports in as they come."""

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from topsellers.cli.failures import describe_failure
from topsellers.cli.ingest import outcome_line
from topsellers.cli.options import FeedOptions, settings_of
from topsellers.parent_process import end_with_parent
from topsellers.retrying import Outage
from topsellers.settings import Settings

if TYPE_CHECKING:
    from write_side.feed.drop_location import DropLocation, Listing
    from write_side.ingestion import Ingestion, IngestOutcome
    from write_side.intake import Intake, KnownFiles

POLL_SECONDS: Final = 0.5
FULL_PASS_SECONDS: Final = 60.0
"""How often all reports are looked at though no file changed: one of the future may be due."""
PURGE_SECONDS: Final = timedelta(days=1).total_seconds()

_LOGGER = logging.getLogger("topsellers.watch")


def watch(
    *,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    options: FeedOptions = FeedOptions(),  # noqa: B008  (frozen)
) -> None:
    """Take reports in as they come, until it is ended."""
    settings = settings_of(options)
    end_with_parent(parent)
    from topsellers.composition import (
        known_files,
        make_ingestion,
        open_feed,
        opened_store,
    )
    from write_side.errors import EventStoreUnavailable, FeedUnavailable, QuarantineUnavailable

    with opened_store(settings) as opened:
        watcher = _Watcher(
            settings,
            make_ingestion(settings, opened.store),
            open_feed(settings),
            known_files(settings),
        )
        outage = Outage(_LOGGER, "The feed is read again")
        _LOGGER.info("Watching %s", settings.feed_url)
        while True:
            try:
                watcher.look()
            except (FeedUnavailable, EventStoreUnavailable, QuarantineUnavailable) as error:
                time.sleep(outage.failed(error))
            else:
                outage.passed()
                time.sleep(POLL_SECONDS)


class _Watcher:
    """What a watcher knows from one look to the next."""

    def __init__(
        self,
        settings: Settings,
        ingestion: "Ingestion",
        location: "DropLocation",
        known: "KnownFiles",
    ) -> None:
        self._settings = settings
        self._ingestion = ingestion
        self._location = location
        self._known = known
        self._seen: Listing | None = None
        self._seen_at = 0.0
        self._purged_at: float | None = None
        self._since = 0.0
        self._told: set[str] = set()

    def look(self) -> None:
        """Take in what is complete; raises what `take_in` and `purge` raise."""
        from topsellers.composition import purge_quarantine
        from write_side.intake import take_in

        now = time.monotonic()
        if self._purged_at is None or now - self._purged_at > PURGE_SECONDS:
            purge_quarantine(self._settings)
            self._purged_at = now
        listing = self._location.list()
        if self._unchanged(listing) and now - self._seen_at < FULL_PASS_SECONDS:
            return
        self._since = time.monotonic()
        intake = take_in(self._ingestion, self._location, self._known, told=self._hear)
        self._tell(intake)
        # A report that changed while it was read is looked at again at once.
        incomplete = sum(not waiting.complete for waiting in listing.reports)
        self._seen = listing if len(intake.unready) <= incomplete else None
        self._seen_at = now

    def _unchanged(self, listing: "Listing") -> bool:
        seen = self._seen
        return (
            seen is not None
            and listing.reports == seen.reports
            and listing.ignored == seen.ignored
            and [str(error) for error in listing.refused] == [str(error) for error in seen.refused]
        )

    def _hear(self, outcome: "IngestOutcome") -> None:
        now = time.monotonic()
        if outcome.result.value != "unchanged":
            _LOGGER.info("%s", outcome_line(self._settings, outcome, now - self._since))
        self._since = now

    def _tell(self, intake: "Intake") -> None:
        """Say once what is refused or ignored, and again where the reason is another."""
        current: set[str] = set()
        for refusal in intake.refusals:
            failure = describe_failure(refusal.error)
            current.add(failure.message)
            if failure.message not in self._told:
                _LOGGER.error(
                    "Refused: %s: %s",
                    refusal.name,
                    failure.message.removeprefix(f"{refusal.name}: "),
                    extra={"code": failure.code},
                )
        for name in intake.ignored:
            current.add(name)
            if name not in self._told:
                _LOGGER.info("Ignored, as the name is no report's: %s", name)
        self._told = current
