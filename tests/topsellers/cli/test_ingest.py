"""Taking reports in: `ingest`, `reports withdraw`, `watch`."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.topsellers.conftest import Program, end, eventually, write_report


def test_all_that_waits_is_taken_and_told_in_one_line_each(program: Program) -> None:
    program.set(FEED_SETTLE="600")
    feed = program.home / "dropbox"
    write_report(feed, "2026010100", "a,toys,1,10.00", "b,toys,2,3.50")
    write_report(feed, "2026010101", "a,toys,1,10.00", "b,toys,none,1")
    (feed / "notes.txt").touch()
    (feed / "SalesReport-2026010102.csv").write_text("still being writ")
    done = program.run("ingest")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("SalesReport-2026010100.csv  2 rows  ")
    assert "1 row, 1 rejected (quarantine/SalesReport-2026010101.rejected.csv)  " in second
    assert (program.home / "quarantine" / "SalesReport-2026010101.rejected.csv").exists()
    assert "SalesReport-2026010102.csv" in done.stderr
    assert "notes.txt" in done.stderr
    assert (program.home / "feed-checksums.json").exists()

    write_report(feed, "2026010101", "a,toys,9,10.00")
    again = program.run("ingest", "--json")
    assert again.returncode == 1
    body: dict[str, Any] = json.loads(again.stdout)
    assert list(body) == ["reports", "refused", "unready", "ignored"]
    assert [report["result"] for report in body["reports"]] == ["unchanged"]
    assert [refused["code"] for refused in body["refused"]] == ["REPORT_CONFLICTS"]
    assert body["ignored"] == ["notes.txt"]
    assert "SalesReport-2026010101.csv" in again.stderr.splitlines()[0]

    corrected = program.run("ingest", str(feed / "SalesReport-2026010101.csv"), "--correct")
    assert corrected.returncode == 0
    assert "1 row, revision 2" in corrected.stdout
    named = program.run("ingest", str(feed / "SalesReport-2026010101.csv"))
    assert "unchanged" in named.stdout

    back = program.run("reports", "withdraw", "2026010101", "--reason", "the wrong shop")
    assert (back.returncode, back.stderr) == (0, "")
    assert back.stdout.startswith("Hour 2026010101  withdrawn")
    twice = program.run("reports", "withdraw", "2026010101", "--reason", "the wrong shop")
    assert twice.returncode == 1
    assert len(twice.stderr.splitlines()) == 1


@contextmanager
def watching(program: Program) -> Iterator[list[dict[str, str]]]:
    """Watch the feed; yields the log, which grows."""
    process = program.start("watch")
    log: list[dict[str, str]] = []

    def follow() -> None:
        assert process.stdout is not None
        log.extend(json.loads(line) for line in process.stdout if line.startswith("{"))

    reading = threading.Thread(target=follow)
    reading.start()
    try:
        eventually(lambda: any("Watching" in line["message"] for line in log))
        yield log
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        reading.join()
        assert process.stdout is not None
        process.stdout.close()
        assert code == 130


def test_a_watcher_takes_what_comes_and_says_once_what_it_refuses(program: Program) -> None:
    program.set(FEED_SETTLE="0.2")
    feed = program.home / "dropbox"

    def said(words: str) -> int:
        return sum(words in line["message"] for line in log)

    with watching(program) as log:
        write_report(feed, "2026010100", "a,toys,1,10.00")
        eventually(lambda: said("SalesReport-2026010100.csv  1 row") == 1)
        write_report(feed, "2026010100", "a,toys,20,10.00")
        eventually(lambda: said("Refused: SalesReport-2026010100.csv: ") == 1)
        refused = next(line for line in log if line["message"].startswith("Refused"))
        assert (refused["level"], refused["code"]) == ("error", "REPORT_CONFLICTS")
        write_report(feed, "2026010101", "a,toys,1,10.00")
        eventually(lambda: said("SalesReport-2026010101.csv  1 row") == 1)

        away = feed.rename(program.home / "away")
        eventually(lambda: said("Trying again until it is back") == 1)
        away.rename(feed)
        eventually(lambda: said("The feed is read again") == 1)
        write_report(feed, "2026010102", "a,toys,1,10.00")
        eventually(lambda: said("SalesReport-2026010102.csv  1 row") == 1)
        assert said("Refused: SalesReport-2026010100.csv: ") == 1


def test_old_quarantined_rows_go_when_reports_are_taken(program: Program) -> None:
    kept = program.home / "quarantine" / "SalesReport-2026010100.rejected.csv"
    kept.parent.mkdir(parents=True)
    kept.touch()
    os.utime(kept, (1_700_000_000, 1_700_000_000))
    assert program.run("ingest").returncode == 0
    assert not kept.exists()


def test_ctrl_c_leaves_what_was_taken_and_the_rest_for_later(program: Program) -> None:
    feed = program.home / "dropbox"
    program.run("generate", "--out", str(feed), "--hours", "8", "--rows", "20000")
    for path in feed.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    ingesting = program.start("ingest")
    assert ingesting.stdout is not None
    assert "rows" in ingesting.stdout.readline()
    code, said = end(ingesting, signal.SIGINT)
    assert code in (130, 0)
    if code:
        assert "Interrupted" in said.splitlines()[-1]
        assert "Traceback" not in said
    assert program.run("ingest").returncode == 0
    body = json.loads(program.run("ingest", "--json").stdout)
    assert [report["result"] for report in body["reports"]] == ["unchanged"] * 8
    shutil.rmtree(feed)
