"""`GET …/top-products/stream`: a list as server-sent events."""

import asyncio

from starlette.types import Receive, Scope, Send

from gateway.errors import TooManyStreams
from gateway.event_streams import EventStreams, ListFeed, watched
from gateway.rest_parameters import limit_parameter, query_parameters
from gateway.rest_rankings import LIST_PARAMETERS, RestRankings
from subgraph.ranking_pages import PageRequest

STREAM_ROUTE = "/v1/categories/{category_id}/top-products/stream"

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # Proxies that gather what they pass on would hold events back.
    (b"x-accel-buffering", b"no"),
]


class StreamEndpoint:
    """Serves streams. What is wrong is answered as a problem, before a stream begins.

    `Last-Event-ID` needs no reading: the newest list comes at once whatever a client had, since
    it replaces all that came before.
    """

    def __init__(
        self, streams: EventStreams, rest: RestRankings, keep_alive_seconds: float, most: int
    ) -> None:
        """Serve up to `most` streams at once."""
        self._streams = streams
        self._rest = rest
        self._keep_alive_seconds = keep_alive_seconds
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a stream that ends when the client goes."""
        given = query_parameters(scope["query_string"], LIST_PARAMETERS)
        ranking = self._rest.ranking(scope["path_params"], given)
        request = PageRequest(ranking, limit_parameter(given))
        if self._streams.open >= self._most:
            raise TooManyStreams("As many streams are open here as one process serves. Try again.")
        feed = await self._streams.enter(request)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._serve(feed, receive, send)
        finally:
            await self._streams.leave(request, feed)

    async def _serve(self, feed: ListFeed, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(feed, send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            done, _ = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            # A send that fails because the client is gone is no failure of ours.
            if leaving not in done:
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, feed: ListFeed, send: Send) -> None:
        async for chunk in watched(feed, self._keep_alive_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
