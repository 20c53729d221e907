"""The contract's row rules in SQL: the good rows of a report's file.

DuckDB reads the file as plain lines (a line that is not UTF-8 is dropped alone), and the fields are
taken apart by expressions. So a quoted field must not span lines; where one does, all its lines
count as bad. No report of a feed needs that: only a column that nobody reads could hold it.
"""

from pathlib import Path

import duckdb

_FIELD = '"(?:[^"]|"")*"|[^",]*'
# A separator that no feed holds, so that a line is one column, control characters and all.
_LINES = (
    "(SELECT rtrim(line, chr(13)) AS line FROM read_csv($path, auto_detect = false, "
    "strict_mode = false, ignore_errors = true, header = false, delim = '\x1c\x1d\x1e\x1f', "
    "quote = '', escape = '', columns = {'line': 'VARCHAR'}))"
)
# A leading comma makes every field begin with one, so that empty ones are found too.
_FIELDS = f"""
    list_transform(
        regexp_extract_all(',' || line, ',({_FIELD})', 1),
        lambda field: trim(
            CASE WHEN starts_with(field, '"')
                THEN replace(field[2:-2], '""', '"') ELSE field END, ' '))
"""
_WHOLE_LINE = f"regexp_full_match(line, '(?:{_FIELD})(?:,(?:{_FIELD}))*')"
_COLUMNS = ("timestamp", "product_id", "category_id", "customer_id", "qty", "total_price")
_CONTROL = "[\\x00-\\x1f\\x7f]"


def good_rows(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    """Return the good rows as (category_id, product_id, quantity, amount_minor).

    Raises `ValueError` where the file has no usable header.
    """
    place = _header(connection, path)
    texts = ", ".join(f"fields[{place[name]}] AS {name}_" for name in _COLUMNS)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE good AS
        WITH lines AS (
            SELECT {_FIELDS} AS fields FROM {_LINES}
            WHERE line <> '' AND {_WHOLE_LINE}
        ),
        texts AS (SELECT {texts} FROM lines WHERE len(fields) = $width),
        numbers AS (
            SELECT *,
                CASE WHEN regexp_full_match(qty_, '-?[0-9]+')
                    THEN TRY_CAST(qty_ AS BIGINT) END AS quantity,
                CASE WHEN regexp_full_match(total_price_, '-?[0-9]+([.][0-9]{{1,2}})?')
                    THEN TRY_CAST(total_price_ AS DECIMAL(18, 2)) END AS price
            FROM texts
        )
        SELECT category_id_ AS category_id, product_id_ AS product_id, quantity,
            CAST(100 * (CASE WHEN quantity < 0 THEN -abs(price) ELSE price END) AS BIGINT)
                AS amount_minor
        FROM numbers
        WHERE strlen(product_id_) BETWEEN 1 AND 128
            AND NOT regexp_matches(product_id_, '{_CONTROL}')
            AND strlen(category_id_) BETWEEN 1 AND 128
            AND NOT regexp_matches(category_id_, '{_CONTROL}')
            AND strlen(customer_id_) <= 128 AND NOT regexp_matches(customer_id_, '{_CONTROL}')
            AND quantity <> 0 AND abs(quantity) <= 1000000
            AND abs(price) < 1000000000 AND (quantity < 0 OR price >= 0)
            AND (regexp_full_match(timestamp_, '-?[0-9]+')
                OR (regexp_full_match(timestamp_,
                        '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-5][0-9]'
                        || '([.,][0-9]+)?)?(Z|z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?)?')
                    AND TRY_CAST(replace(timestamp_[:16], 'T', ' ') AS TIMESTAMP) IS NOT NULL))
        """,
        {"path": str(path), "width": place["width"]},
    )
    return connection.table("good")


def _header(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, int]:
    """Return each column's place from 1 on, and under `width` how many there are."""
    found = connection.execute(
        f"""
        SELECT list_transform({_FIELDS}, lambda name: lower(name))
        FROM {_LINES} WHERE line <> '' LIMIT 1
        """,
        {"path": str(path)},
    ).fetchone()
    names: list[str] = found[0] if found else []
    if any(names.count(name) != 1 for name in _COLUMNS):
        raise ValueError(f"{path} has no usable header: {names}")
    return {name: names.index(name) + 1 for name in _COLUMNS} | {"width": len(names)}
