"""Which partition a category belongs to.

A partition is the unit of everything: streams, totals, blocks, head, rebuild. Their count is fixed
when a store is made, so it is a constant of the format, not a setting.
"""

from hashlib import blake2b

PARTITIONS = 64


def partition_of(category_id: str) -> int:
    """Return the partition of a category: the first 8 bytes of BLAKE2b of its id, modulo 64."""
    digest = blake2b(category_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % PARTITIONS
