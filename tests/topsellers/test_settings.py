import os
from pathlib import Path

import pytest

from topsellers.errors import HomeUnusable, SettingInvalid
from topsellers.settings import EMBEDDED_REDIS, prepare_home, read_settings


def test_without_any_variable_everything_lies_under_the_home() -> None:
    settings = read_settings({})
    home = Path.cwd() / ".topsellers"
    assert settings.home == home
    assert settings.feed_url == str(home / "dropbox")
    assert settings.event_store_url == f"sqlite:///{home}/events.db"
    assert settings.redis_url == EMBEDDED_REDIS
    assert (settings.feed_settle, settings.feed_marker) == (2.0, None)
    assert (settings.currency, settings.quarantine_days) == ("USD", 30)
    assert (settings.log_level, settings.log_format) == ("info", "json")
    assert settings.introspection
    assert settings.secret_keys == ()


def test_the_log_is_for_people_on_a_terminal() -> None:
    assert read_settings({}, on_terminal=True).log_format == "console"
    given = {"TOPSELLERS_LOG_FORMAT": "json"}
    assert read_settings(given, on_terminal=True).log_format == "json"


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read_settings({"TOPSELLERS_CURRENCY": " "}).currency == "USD"


def test_secret_keys_are_a_list_with_the_new_one_first() -> None:
    keys = f"{'n' * 16}, {'o' * 20}"
    assert read_settings({"TOPSELLERS_SECRET_KEY": keys}).secret_keys == ("n" * 16, "o" * 20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://user:secret@host"),
        ("FEED_SETTLE", "-1"),
        ("FEED_SETTLE", "soon"),
        ("FEED_MARKER", "/done"),
        ("CURRENCY", "usd"),
        ("CURRENCY", "EURO"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "n" * 16 + ","),
        ("QUARANTINE_DAYS", "0"),
        ("QUARANTINE_DAYS", "1.5"),
        ("QUARANTINE_DAYS", "9" * 7),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("INTROSPECTION", "perhaps"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid) as raised:
        read_settings({f"TOPSELLERS_{name}": value})
    message = str(raised.value)
    assert message.startswith(f"TOPSELLERS_{name} is wrong: ")
    assert "\n" not in message
    assert "secret" not in message


def test_a_home_is_made(tmp_path: Path) -> None:
    prepare_home(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(HomeUnusable, match=f"{home}.*TOPSELLERS_HOME"):
            prepare_home(home)


def test_a_home_that_may_not_be_written_to_is_told(tmp_path: Path) -> None:
    # Root may write everywhere but where there are no files to be made.
    home = Path("/proc/self/home") if os.geteuid() == 0 else tmp_path
    tmp_path.chmod(0o500)
    with pytest.raises(HomeUnusable, match="TOPSELLERS_HOME"):
        prepare_home(home)
