"""From the fields that an earlier release wrote to those that events have today."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Fields = dict[str, Any]
Upcast = Callable[[Fields], Fields]
"""Returns the fields of the next schema version, from those of one."""

UPCASTS: Final[Mapping[tuple[str, int], Upcast]] = {}
"""By event type and the schema version that each starts from. All events are of version 1 yet; a
type that did not change from one version to the next needs none."""


def upcast(
    event_type: str,
    fields: Fields,
    written: int,
    current: int,
    upcasts: Mapping[tuple[str, int], Upcast] = UPCASTS,
) -> Fields:
    """Return an event's fields as schema version `current` has them, step by step.

    `fields` are those of version `written`.
    """
    for version in range(written, current):
        step = upcasts.get((event_type, version))
        if step is not None:
            fields = step(fields)
    return fields
