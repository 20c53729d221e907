"""Strawberry's ASGI view, told how this gateway answers: media types, statuses, codes, bytes."""

from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import msgspec
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.base import BaseRequestProtocol
from strawberry.types.execution import ExecutionResult

from gateway.problems import RETRY_AFTER_SECONDS
from graphql import GraphQLError
from projections.rankings_query import LiveRankings
from subgraph.context import OperationContext
from subgraph.cursors import CursorCodec
from subgraph.errors import BAD_USER_INPUT, UNAVAILABLE
from subgraph.schema import RankingsSchema

GRAPHQL_RESPONSE_JSON: Final = "application/graphql-response+json; charset=utf-8"
PLAIN_JSON: Final = "application/json; charset=utf-8"


class AcceptedType(Enum):
    """Which media type a client wants its answer in."""

    GRAPHQL_RESPONSE = "graphql-response"
    PLAIN = "plain"
    ANY = "any"

    def media_type(self, refused: bool) -> str:
        """Return the media type of an answer, or of a refusal before execution."""
        plain = self is AcceptedType.PLAIN or (self is AcceptedType.ANY and not refused)
        return PLAIN_JSON if plain else GRAPHQL_RESPONSE_JSON


def accepted_type(accept: str) -> AcceptedType:
    """Return what an `Accept` header asks for; of two that are equally welcome, the first."""
    best, chosen = 0.0, AcceptedType.ANY
    for one in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in one.split(";"))
        wanted = {
            "application/graphql-response+json": AcceptedType.GRAPHQL_RESPONSE,
            "application/json": AcceptedType.PLAIN,
        }.get(media_type)
        weight = _weight(parameters)
        if wanted is not None and weight > best:
            best, chosen = weight, wanted
    return chosen


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


class Outcome:
    """What an execution was, beside its data; kept with the request."""

    def __init__(self, accepted: AcceptedType) -> None:
        self.accepted = accepted
        self.context: OperationContext | None = None
        self.complete = False
        """Whether the answer is whole: no error in it."""


class RequestAdapter(StarletteRequestAdapter):
    """A request whose media type is compared as the standard says: in any letter case."""

    @property
    def content_type(self) -> str | None:
        """The `Content-Type`, in small letters."""
        value = super().content_type
        return None if value is None else value.lower()


class RankingsGraphQL(GraphQL[OperationContext, None]):
    """Executes the subgraph's operations for HTTP requests.

    The request's state holds its `Outcome`. Streaming transports come as protocols of this view.
    """

    request_adapter_class = RequestAdapter

    def __init__(
        self,
        schema: RankingsSchema,
        rankings: LiveRankings,
        currency: str,
        cursors: CursorCodec,
    ) -> None:
        """Execute `schema` over `rankings`."""
        super().__init__(schema, graphql_ide=None, subscription_protocols=())
        self._rankings = rankings
        self._currency = currency
        self._cursors = cursors

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> OperationContext:
        """Make the context of the request's one operation."""
        context = OperationContext(self._rankings, self._currency, self._cursors)
        outcome: Outcome = request.state.outcome
        outcome.context = context
        request.state.sub_response = response
        return context

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """Never: a request without a query is a mistake here."""
        del request
        return False

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Read the operation; raises `HTTPException` for what is no JSON object."""
        if request.method == "POST" and not (await request.get_body()).lstrip().startswith(b"{"):
            raise HTTPException(400, "The body must be a JSON object with a `query`.")
        return await super().parse_http_body(request)

    def decode_json(self, data: str | bytes) -> object:
        """Decode JSON; raises `HTTPException`."""
        try:
            return msgspec.json.decode(data)
        except (ValueError, RecursionError):
            raise HTTPException(400, "The request is not valid JSON in UTF-8.") from None

    def encode_json(self, data: object) -> bytes:
        """Encode JSON."""
        return msgspec.json.encode(data)

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        """Note what the result was, and return it as it is sent."""
        outcome: Outcome = request.state.outcome
        if not result.errors:
            outcome.complete = True
            return {"data": result.data}
        errors = result.errors
        refused = result.data is None and all(error.path is None for error in errors)
        sub_response: Response = request.state.sub_response
        sub_response.headers["content-type"] = outcome.accepted.media_type(refused)
        if _is_unavailable(result.data, errors):
            sub_response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            sub_response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        elif refused and outcome.accepted is not AcceptedType.PLAIN:
            sub_response.status_code = HTTPStatus.BAD_REQUEST
        formatted: list[object] = [error.formatted for error in errors]
        return {"errors": formatted} if refused else {"errors": formatted, "data": result.data}

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        """Encode what is sent."""
        return Response(
            self.encode_json(response_data),
            status_code=sub_response.status_code or HTTPStatus.OK,
            headers=dict(sub_response.headers),
        )


def refusal(message: str, code: str = BAD_USER_INPUT) -> bytes:
    """Return the body of a request that is refused before execution."""
    error = GraphQLError(message, extensions={"code": code})
    return msgspec.json.encode({"errors": [error.formatted]})


def _is_unavailable(data: dict[str, Any] | None, errors: list[GraphQLError]) -> bool:
    nothing = data is None or all(value is None for value in data.values())
    return nothing and all((error.extensions or {}).get("code") == UNAVAILABLE for error in errors)
