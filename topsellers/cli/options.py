"""The options that commands share: each is an environment variable's value for one run."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from topsellers.logging_setup import set_up_logging
from topsellers.settings import LOG_LEVELS, PREFIX, Settings, read_settings

SETTINGS = Group("Settings", help="Each is also an environment variable, TOPSELLERS_ and its name.")

JsonFlag = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
Window = Literal["hour", "day", "week", "month", "all_time"]
Metric = Literal["units", "revenue"]


def _setting(what: str) -> Parameter:
    return Parameter(group=SETTINGS, help=what, show_default=False)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ProgramOptions:
    """What every command has."""

    verbose: Annotated[
        bool, Parameter(negative=(), help="Say what an error came from.", show_default=False)
    ] = False
    log_level: Annotated[
        str | None, _setting(f"What is logged: {', '.join(LOG_LEVELS)}; info by default.")
    ] = None
    log_format: Annotated[
        str | None, _setting("console or json; console by default on a terminal.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class StoreOptions(ProgramOptions):
    """What commands have that use the event store."""

    home: Annotated[
        str | None, _setting("Where the embedded parts keep their data; .topsellers by default.")
    ] = None
    event_store_url: Annotated[
        str | None, _setting("The event store; sqlite:///HOME/events.db by default.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class FeedOptions(StoreOptions):
    """What commands have that take reports in."""

    feed_url: Annotated[str | None, _setting("The drop location; HOME/dropbox by default.")] = None
    feed_settle: Annotated[
        str | None, _setting("Seconds that a file stands still until it is taken; 2 by default.")
    ] = None
    feed_marker: Annotated[
        str | None, _setting("What stands beside a complete file instead: its name and this.")
    ] = None
    secret_key: Annotated[
        str | None,
        _setting("The secret key; others on this machine see options, so rather set the variable."),
    ] = None
    quarantine_days: Annotated[
        str | None, _setting("How long rejected rows are kept; 30 by default.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ReadModelOptions(StoreOptions):
    """What commands have that use the read model."""

    redis_url: Annotated[
        str | None, _setting("The Redis of the read model; embedded:// by default.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class AnswerOptions(ReadModelOptions):
    """What commands have that answer with rankings."""

    currency: Annotated[str | None, _setting("The feed's one currency; USD by default.")] = None
    secret_key: Annotated[
        str | None,
        _setting("The secret key; others on this machine see options, so rather set the variable."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ServerOptions(AnswerOptions):
    """What commands have that serve."""

    introspection: Annotated[str | None, _setting("GraphQL introspection; true by default.")] = None


@dataclass(frozen=True, kw_only=True)
class AllOptions(FeedOptions, ServerOptions):
    """What commands have that do everything."""


def given_environment(options: ProgramOptions) -> dict[str, str]:
    """Return this process's environment with what the options say instead."""
    return {**os.environ, **_given(options)}


def settings_of(options: ProgramOptions) -> Settings:
    """Return the settings of a run, and log as they say; raises `SettingInvalid`."""
    settings = read_settings(given_environment(options), on_terminal=sys.stderr.isatty())
    set_up_logging(settings.log_level, settings.log_format)
    return settings


def _given(options: ProgramOptions) -> Mapping[str, str]:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        PREFIX + name.upper(): value for name, value in values.items() if isinstance(value, str)
    }
