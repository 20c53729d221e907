"""`python -m tests.oracle FEED_DIR [--url http://host:port]`: a feed's lists, or the differences.

The reports of the folder are taken in the order of their hours. Without `--url` the lists are
printed; with it they are compared with what the system there answers: a line for each difference,
exit 1 where there is one.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.oracle.answers import Answers
from tests.oracle.comparison import compare
from tests.oracle.operations import files_in_order
from tests.oracle.rankings import Oracle


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("feed", type=Path, help="folder of SalesReport-….csv files")
    parser.add_argument("--url", help="the system to compare with, such as http://127.0.0.1:8080")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--depth", type=int, default=300, help="rows of each list to compare")
    parser.add_argument("--products", type=int, default=150, help="products to ask for ranks")
    parser.add_argument("--history", type=int, default=3, help="earlier hours to ask for")
    options = parser.parse_args()
    operations = files_in_order(options.feed, datetime.now(UTC))
    if not operations:
        parser.error(f"no report in {options.feed}: name a folder of SalesReport-….csv files")
    with Oracle(operations, threads=2) as oracle:
        version = oracle.last_version
        if options.url is None:
            _print_lists(Answers(oracle, version), as_json=options.json)
            return 0
        try:
            differences = compare(
                oracle,
                version,
                options.url,
                depth=options.depth,
                products=options.products,
                history=options.history,
            )
        except httpx.TransportError as error:
            parser.error(f"{options.url} does not answer ({error}): start the system first")
    if options.json:
        _print(json.dumps({"reports": len(operations), "differences": differences}))
    else:
        for difference in differences:
            _print(difference)
        _print(f"{len(operations)} reports, {len(differences)} differences")
    return 1 if differences else 0


def _print_lists(answers: Answers, *, as_json: bool) -> None:
    as_of = answers.as_of.isoformat() if answers.as_of else None
    lists = [
        {
            "category_id": category,
            "window": window,
            "metric": metric,
            "total_count": ranked.total_count,
            "items": [vars(row) for row in ranked.rows],
        }
        for (category, window, metric), ranked in answers.lists.items()
    ]
    if as_json:
        _print(json.dumps({"as_of": as_of, "categories": answers.categories, "lists": lists}))
        return
    _print(json.dumps({"as_of": as_of, "categories": answers.categories}, ensure_ascii=False))
    for ranked in lists:
        _print(json.dumps(ranked, ensure_ascii=False))


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
