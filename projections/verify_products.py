"""Product to categories in Redis, compared with every pair that ever had a sale."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

import duckdb
import numpy as np
import polars as pl

from projections.differences import Difference, Differences
from projections.errors import ReadModelUnavailable
from projections.product_categories import bucket_key
from projections.redis_connection import REDIS_FAILURES, RedisClient
from write_side.partitioning import partition_of

_PAIRS_AT_ONCE: Final = 500_000
_BUCKETS_AT_ONCE: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pairs (bucket VARCHAR, category_id VARCHAR, product_id VARCHAR)
"""
_SORTED: Final = "SELECT bucket, category_id, product_id FROM pairs ORDER BY bucket"


class ExpectedPairs:
    """Gathers the pairs of all partitions, so that each bucket is read once and not 64 times."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(_SCHEMA)

    def add(self, known: pl.DataFrame, category_ids: Sequence[str]) -> None:
        """Add pairs: `category`, a place in `category_ids`, and `product_id`."""
        products = known.get_column("product_id").unique()
        # The readers' own function: what they look up is what has to be there.
        buckets = [bucket_key(product_id.encode()) for product_id in products]
        keys = pl.DataFrame({"product_id": products, "bucket": buckets})
        ids = pl.Series("category_id", category_ids, dtype=pl.String)
        pairs = known.select(
            ids.gather(known.get_column("category")).alias("category_id"), "product_id"
        ).join(keys, on="product_id", how="left")
        self._connection.register("known", pairs.to_arrow())
        self._connection.execute(
            "INSERT INTO pairs SELECT bucket, category_id, product_id FROM known"
        )
        self._connection.unregister("known")

    def compare(
        self, redis: RedisClient, differences: Differences, on_pairs: Callable[[int], None]
    ) -> None:
        """See that each pair is in its bucket; raises `ReadModelUnavailable`."""
        reader = self._connection.sql(_SORTED).to_arrow_reader(_PAIRS_AT_ONCE)
        for batch in reader:
            pairs = pl.DataFrame(batch)
            if pairs.is_empty():
                continue
            missing = _missing(redis, pairs)
            some = [_difference(*row) for row in missing.head(differences.room).iter_rows()]
            differences.extend(some, missing.height)
            on_pairs(pairs.height)


def _missing(redis: RedisClient, pairs: pl.DataFrame) -> pl.DataFrame:
    expected = pairs.with_columns(
        pl.concat_str("product_id", pl.lit("\x00"), "category_id").cast(pl.Binary).alias("pair")
    )
    buckets = pairs.get_column("bucket").unique(maintain_order=True).to_list()
    found = pl.concat(_stored(redis, buckets))
    return expected.join(found, on=["bucket", "pair"], how="anti").drop("pair")


def _stored(redis: RedisClient, buckets: Sequence[str]) -> Iterator[pl.DataFrame]:
    for start in range(0, len(buckets), _BUCKETS_AT_ONCE):
        some = buckets[start : start + _BUCKETS_AT_ONCE]
        try:
            pipeline = redis.pipeline(transaction=False)
            for bucket in some:
                pipeline.hkeys(bucket)
            answers = pipeline.execute()
        except REDIS_FAILURES as error:
            raise ReadModelUnavailable(
                f"the products' categories can't be read: {error}"
            ) from error
        places = np.repeat(np.arange(len(some)), [len(fields) for fields in answers])
        yield pl.DataFrame(
            {
                "bucket": pl.Series(some, dtype=pl.String).gather(places),
                "pair": pl.Series(list(chain.from_iterable(answers)), dtype=pl.Binary),
            }
        )


def _difference(bucket: str, category_id: str, product_id: str) -> Difference:
    return Difference(
        partition=partition_of(category_id),
        category=category_id,
        window=None,
        order=None,
        what=f"product {product_id} among the products' categories",
        expected=f"the pair in {bucket}",
        found="nothing",
    )
