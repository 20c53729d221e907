"""`topsellers schema`: the SDL of the GraphQL subgraph."""

from topsellers.cli.options import ProgramOptions, settings_of
from topsellers.cli.terminal import say


def schema(*, options: ProgramOptions = ProgramOptions()) -> None:  # noqa: B008  (frozen)
    """Print the GraphQL SDL."""
    settings_of(options)
    from subgraph.schema import build_schema, exported_sdl

    say(exported_sdl(build_schema()).rstrip("\n"))
