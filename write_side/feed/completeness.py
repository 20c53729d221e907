"""When a file in the drop location counts as complete."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Completeness:
    """The rule: a marker beside the file where one is agreed on, else that it stood still."""

    settle_seconds: float = 2.0
    """For how long size and time have to stand still; unused where there is a marker."""
    marker: str | None = None
    """What a marker's name has after the report's, say `.done`."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was seen: size in bytes, nanoseconds since 1970 of its last change."""

    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class _Watched:
    sighting: Sighting
    since: float
    """When it was first seen like this, in seconds since 1970."""
    changed: bool
    """Whether it was seen otherwise before."""


@dataclass(slots=True)
class Stillness:
    """Remembers what files looked like, to tell those that stand still from those that grow.

    One watcher owns it: it is not safe to share between threads.
    """

    settle_seconds: float
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def stands_still(self, key: str, sighting: Sighting, now: float) -> bool:
        """Note a sighting and tell whether the file stood still for `settle_seconds`.

        `now` is in seconds since 1970. A file that never changed under watch is judged by its own
        time; one that did, or has a time in the future, by how long it was watched.
        """
        watched = self._watched.get(key)
        if watched is None or watched.sighting != sighting:
            watched = _Watched(sighting, since=now, changed=watched is not None)
            self._watched[key] = watched
        settled = now - self.settle_seconds
        if watched.since <= settled:
            return True
        return not watched.changed and sighting.modified_ns / 1e9 <= settled

    def forget_all_but(self, keys: Iterable[str]) -> None:
        """Drop what is remembered of files that are gone."""
        kept = set(keys)
        self._watched = {key: seen for key, seen in self._watched.items() if key in kept}
