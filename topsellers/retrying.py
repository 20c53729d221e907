"""How a role bears what it needs being away for a while: one warning, then patience."""

import logging
import time
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 5.0


class Outage:
    """One thing that may be away; counts the failures in a row."""

    def __init__(self, logger: logging.Logger, back: str) -> None:
        """Tell `logger`; `back` is what is said when the outage is over."""
        self._logger = logger
        self._back = back
        self._pause = FIRST_SECONDS
        self._since: float | None = None

    def failed(self, error: Exception) -> float:
        """Note a failure, told once an outage; returns how many seconds to wait."""
        if self._since is None:
            self._since = time.monotonic()
            self._logger.warning(
                "%s Trying again until it is back.",
                error,
                extra={"code": getattr(error, "code", None)},
            )
        pause = self._pause
        self._pause = min(2 * pause, LONGEST_SECONDS)
        return pause

    def passed(self) -> None:
        """Note that it worked."""
        if self._since is not None:
            self._logger.info("%s, after %.0f s", self._back, time.monotonic() - self._since)
            self._since = None
            self._pause = FIRST_SECONDS
