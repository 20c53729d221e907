"""Product to categories, in Redis: where a product was ever sold.

64 slots by product, each of many small hashes whose fields are (product, category) pairs. Pairs
are only ever added, so writers need no order among them. Each slot also keeps, for each
partition, the version up to which that partition's pairs are complete; it is raised after the
pairs are written, so a reader that finds it behind the partition's head knows that some are lost.
A slot whose server was set back raises no mark over what it lost: the script compares.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl
import polars_hash as plh
import xxhash

from projections.errors import ReadModelUnavailable
from projections.redis_connection import REDIS_FAILURES, RedisClient

SLOTS: Final = 64
BUCKETS: Final = 16_384
"""Hashes a slot: with 100 million products some hundred pairs each, which Redis keeps compact."""
_SEPARATOR: Final = b"\x00"
"""Stands between product and category; ids have no control characters."""
_PAIRS_AT_ONCE: Final = 2_000
"""Pairs that one script adds: some milliseconds in which its node does nothing else."""

_WRITING_SECONDS: Final = 600
"""How long a slot remembers which scripts of a writer it has seen."""

_ADD: Final = """
local tag = string.match(KEYS[1], '^{c%d+}:')
for bucket, pair in string.gmatch(ARGV[1], '([^\\30]+)\\30([^\\29]+)\\29') do
  redis.call('HSET', tag .. bucket, pair, '')
end
if ARGV[2] == 'part' then
  redis.call('SADD', KEYS[2], ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
  return 'added'
end
local whole = redis.call('SCARD', KEYS[2]) == tonumber(ARGV[3])
local built_on = tonumber(ARGV[4])
local raised = {}
for i = 5, #ARGV, 2 do
  local now = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '-1')
  if now < tonumber(ARGV[i + 1]) then
    if not whole or now < built_on then return 'behind' end
    raised[#raised + 1] = i
  end
end
for _, i in ipairs(raised) do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('DEL', KEYS[2])
return 'raised'
"""
"""KEYS: the slot's marks, whose hash tag all its keys share, and which parts of this writing came.
ARGV: pairs, each as bucket, record separator, field, group separator (ids have no control
characters); then `part`, its number and the seconds to remember it, or `last`, how many parts came
before, the version built on, and marks as field, version. A million pairs so cross as some hundred
arguments, made by columns. A client sends a part again where the answer was lost, which changes
nothing."""


def bucket_key(product_id: bytes) -> str:
    """Return the key of the hash that holds a product's pairs."""
    digest = xxhash.xxh64_intdigest(product_id)
    return f"{{c{digest % SLOTS:02d}}}:{digest // SLOTS % BUCKETS}"


def slot_of(product_id: bytes) -> int:
    """Return the slot of a product."""
    return xxhash.xxh64_intdigest(product_id) % SLOTS


def marks_key(slot: int) -> str:
    """Return the key of the versions up to which a slot's pairs are complete."""
    return f"{{c{slot:02d}}}:complete"


def marks_field(store_id: str, partition: int) -> str:
    """Return the field of a partition's mark; those of another event store don't count."""
    return f"{store_id}:{partition}"


def categories_in(fields: Iterable[bytes], product_id: bytes) -> list[str]:
    """Return a product's categories among the fields of its hash, in the order of their bytes."""
    prefix = product_id + _SEPARATOR
    return [
        category.decode()
        for category in sorted(f[len(prefix) :] for f in fields if f.startswith(prefix))
    ]


def read_marks(redis: RedisClient, store_id: str, partitions: Sequence[int]) -> dict[int, int]:
    """Return for each partition the version up to which all slots have its pairs, -1 for none.

    Raises `ReadModelUnavailable`.
    """
    fields = [marks_field(store_id, partition) for partition in partitions]
    try:
        pipeline = redis.pipeline(transaction=False)
        for slot in range(SLOTS):
            pipeline.hmget(marks_key(slot), fields)
        slots = pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"the products' categories can't be read: {error}") from error
    return {
        partition: min(int(marks[place]) if marks[place] is not None else -1 for marks in slots)
        for place, partition in enumerate(partitions)
    }


def write_pairs(
    redis: RedisClient,
    pairs: pl.DataFrame,
    store_id: str,
    complete: Mapping[int, int],
    built_on: int = -1,
) -> bool:
    """Add pairs (`category_id`, `product_id`), then raise the partitions' marks.

    `complete` gives for each partition the version to which its pairs are complete with these and
    those of version `built_on`; by default these are all. Returns false where a slot lost
    something meanwhile, by a failover: all pairs have to be written then. Raises
    `ReadModelUnavailable`.
    """
    marks = [
        item
        for partition, version in complete.items()
        for item in (marks_field(store_id, partition), version)
    ]
    waiting = _payloads(pairs)
    writing = secrets.token_hex(8)
    try:
        for slot in range(SLOTS):
            *some, last = waiting.get(slot, [b""])
            keys = marks_key(slot), f"{{c{slot:02d}}}:writing:{writing}"
            for number, payload in enumerate(some):
                redis.eval(_ADD, 2, *keys, payload, "part", number, _WRITING_SECONDS)
            raised = redis.eval(_ADD, 2, *keys, last, "last", len(some), built_on, *marks)
            if raised == b"behind":
                return False
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"the products' categories can't be written: {error}") from error
    return True


def _payloads(pairs: pl.DataFrame) -> dict[int, list[bytes]]:
    """Return the pairs of each slot, as the script reads them, `_PAIRS_AT_ONCE` in each."""
    digest = plh.col("product_id").nchash.xxhash64()
    record = pl.format(
        "{}\x1e{}\x00{}\x1d", pl.col("bucket"), pl.col("product_id"), pl.col("category_id")
    )
    payloads = (
        pairs.lazy()
        .with_columns((digest % SLOTS).alias("slot"), (digest // SLOTS % BUCKETS).alias("bucket"))
        .select("slot", record.alias("records"))
        .with_columns((pl.int_range(pl.len()).over("slot") // _PAIRS_AT_ONCE).alias("part"))
        .group_by("slot", "part")
        .agg(pl.col("records").str.join(""))
        .collect()
    )
    by_slot: dict[int, list[bytes]] = defaultdict(list)
    for slot, _, records in payloads.iter_rows():
        by_slot[slot].append(records.encode())
    return by_slot
