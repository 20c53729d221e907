"""The live board: `/` is its page, `/board/{file}` what the page loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.static_files import StaticFile, static_files

BOARD_ROUTE: Final = "/board/{file:path}"
BOARD_FOLDER: Final = Path(__file__).with_name("board")


class BoardFiles:
    """An endpoint that serves the board's files by their names."""

    def __init__(self, files: Mapping[str, StaticFile]) -> None:
        """Serve these files, by their paths under `/board/`."""
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the file; raises `HTTPException` 404 where there is none."""
        file = self._files.get(scope["path_params"]["file"])
        if file is None:
            raise HTTPException(404)
        await file(scope, receive, send)


def board_routes(folder: Path) -> list[Route]:
    """Return the routes of the board whose files lie in `folder`."""
    files = static_files(BOARD_ROUTE, folder)
    routes = [Route(BOARD_ROUTE, BoardFiles(files), methods=["GET"])]
    if "index.html" in files:
        routes.append(Route("/", files["index.html"], methods=["GET"]))
    return routes
