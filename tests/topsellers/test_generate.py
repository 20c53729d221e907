"""What a generated feed is like, seen through the files that it writes."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from topsellers.category_names import category_names
from topsellers.generate import first_hour, generate_feed, generate_report, write_report
from write_side.hours import end_of, parse_stamp, start_of

START = parse_stamp("2026030110")


def report(hour: int = START, rows: int = 20_000, seed: int = 1) -> pl.DataFrame:
    return generate_report(hour, rows, products=5_000, categories=30, seed=seed)


def test_a_feed_has_one_report_an_hour_with_the_rows_asked_for(tmp_path: Path) -> None:
    made = list(generate_feed(tmp_path / "feed", 3, 500, 200, 10, 1, START))

    assert [file.path.name for file in made] == [
        "SalesReport-2026030110.csv",
        "SalesReport-2026030111.csv",
        "SalesReport-2026030112.csv",
    ]
    assert sorted((tmp_path / "feed").iterdir()) == [file.path for file in made]
    for file in made:
        rows = pl.read_csv(file.path, infer_schema=False)
        assert rows.height == file.rows == 500
        assert rows.columns == [
            "timestamp",
            "product_id",
            "category_id",
            "customer_id",
            "qty",
            "total_price",
        ]


def test_reports_come_one_at_a_time(tmp_path: Path) -> None:
    feed = generate_feed(tmp_path, 1_000_000, 10, 20, 3, 1, START)

    next(feed)
    next(feed)

    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        next(generate_feed(tmp_path / name, 1, 300, 200, 10, seed, START)).path.read_bytes()
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    )

    assert first == again
    assert first != other


def test_an_hour_does_not_depend_on_how_many_were_asked_for(tmp_path: Path) -> None:
    long = list(generate_feed(tmp_path / "long", 3, 300, 200, 10, 1, START))
    (short,) = generate_feed(tmp_path / "short", 1, 300, 200, 10, 1, START + 2)

    assert long[2].path.read_bytes() == short.path.read_bytes()


def test_a_report_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path, target: Path) -> None:
        raise OSError(f"no space for {target.name}")

    monkeypatch.setattr(Path, "replace", fail)

    with pytest.raises(OSError, match="no space"):
        write_report(tmp_path, START, report(rows=10))
    assert list(tmp_path.iterdir()) == []


def test_every_row_keeps_the_feeds_rules(tmp_path: Path) -> None:
    (file,) = generate_feed(tmp_path, 1, 5_000, 2_000, 20, 1, START)
    rows = pl.read_csv(file.path, infer_schema=False)

    assert rows["total_price"].str.contains(r"^-?\d+\.\d\d$").all()
    assert rows["qty"].str.contains(r"^-?[1-9]\d*$").all()
    assert rows["timestamp"].str.contains(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$").all()
    assert rows["product_id"].str.contains(r"^P\d{8}$").all()
    assert rows["category_id"].is_in(category_names(20)).all()
    assert rows["customer_id"].drop_nulls().str.contains(r"^C\d{8}$").all()
    negative = rows["total_price"].str.starts_with("-")
    assert (negative == rows["qty"].str.starts_with("-")).all()


def test_about_three_rows_in_a_hundred_are_returns() -> None:
    assert 0.02 < (report()["qty"] < 0).mean() < 0.04


def test_some_customers_are_unknown_and_most_are_many() -> None:
    customers = report()["customer_id"]

    assert 0.03 < customers.null_count() / customers.len() < 0.07
    assert customers.n_unique() > 10_000


def test_few_products_and_categories_sell_much() -> None:
    rows = report()

    products = rows.group_by("product_id").len().sort("len", descending=True)["len"]
    categories = rows.group_by("category_id").len().sort("len", descending=True)["len"]
    assert products.head(50).sum() > rows.height / 4
    assert products.len() > 2_000
    assert categories[0] > 5 * categories[-1]
    assert categories.len() == 30


def test_some_products_sell_in_several_categories() -> None:
    sold_in = report().group_by("product_id").agg(pl.col("category_id").n_unique())

    assert 0.02 < (sold_in["category_id"] > 1).mean() < 0.2
    assert sold_in["category_id"].max() == 2


def test_a_product_has_its_price_in_every_hour() -> None:
    def prices(hour: int) -> pl.DataFrame:
        return (
            report(hour)
            .with_columns(price=pl.col("total_price") / pl.col("qty"))
            .group_by("product_id")
            .agg(pl.col("price").max())
        )

    both = prices(START).join(prices(START + 30), on="product_id", suffix="_later")

    assert (both["price"] == both["price_later"]).mean() > 0.75
    assert both["price"].n_unique() > 50


def test_ranks_move_between_hours_and_the_best_stay_near_the_top() -> None:
    def best(hour: int) -> list[str]:
        sold = report(hour).group_by("product_id").agg(pl.col("qty").sum())
        return sold.sort("qty", "product_id", descending=True)["product_id"].head(20).to_list()

    now, next_hour, next_day = best(START), best(START + 1), best(START + 24)

    assert now != next_hour
    assert 8 <= len(set(now) & set(next_hour)) < 20
    assert len(set(now) & set(next_day)) >= 5


def test_timestamps_lie_in_the_hour_but_for_a_few() -> None:
    stamps = report()["timestamp"].str.to_datetime(time_unit="us", time_zone="UTC")

    inside = stamps.is_between(start_of(START), end_of(START), closed="left")
    assert stamps.is_sorted()
    assert 0.99 < inside.mean() < 1.0


def test_ids_do_not_tell_how_popular_a_product_is() -> None:
    best = report().group_by("product_id").len().sort("len", descending=True).head(20)

    numbers = best["product_id"].str.slice(1).cast(pl.Int64)
    assert numbers.max() > 3_000
    assert numbers.min() < 2_000


def test_a_feed_ends_by_default_with_the_last_full_hour(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)

    made = list(generate_feed(tmp_path, 5, 10, 20, 3, 1, now=now))

    assert made[0].hour == first_hour(5, now)
    assert end_of(made[-1].hour) == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_empty_hour_has_a_header(tmp_path: Path) -> None:
    (file,) = generate_feed(tmp_path, 1, 0, 20, 3, 1, START)

    assert file.path.read_text() == (
        "timestamp,product_id,category_id,customer_id,qty,total_price\n"
    )


def test_one_product_in_one_category_is_a_feed() -> None:
    rows = generate_report(START, 100, products=1, categories=1, seed=0)

    assert rows["product_id"].n_unique() == 1
    assert rows["category_id"].unique().to_list() == ["kitchen"]


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"hours": 0}, "0 hours"),
        ({"rows": -1}, "-1 rows"),
        ({"products": 0}, "0 products"),
        ({"products": 1_000_000_001}, "1000000001 products"),
        ({"categories": 0}, "0 categories"),
        ({"seed": -1}, "-1 is no seed"),
        ({"start": None}, "first hour"),
    ],
)
def test_what_makes_no_feed_is_refused_before_anything_is_written(
    tmp_path: Path, sizes: dict[str, int], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        generate_feed(**{"out": tmp_path / "feed", "start": START, **sizes})

    assert not (tmp_path / "feed").exists()


def test_category_names_are_different_and_readable_however_many() -> None:
    names = category_names(5_000)

    assert len(set(names)) == 5_000
    assert names[:3] == category_names(3)
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)
