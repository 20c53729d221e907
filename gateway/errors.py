"""What the gateway itself refuses, before rankings are asked.

GatewayError
└── RequestRefused           answered with its status and code, in words for the client
    ├── TargetTooLong        414  the request target is over its bound
    ├── BodyTooLarge         413  the body is over its bound
    ├── BodyTypeUnsupported  415  the body is not JSON
    └── TooManyStreams       503  as many streams are open as one process serves
"""

from http import HTTPStatus
from typing import ClassVar

from subgraph.errors import BAD_USER_INPUT, TOO_COMPLEX, UNAVAILABLE


class GatewayError(Exception):
    """Base of all errors of this package."""


class RequestRefused(GatewayError):
    """A request that is answered with `status` and `code`; its text may be shown to anyone."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    code: ClassVar[str] = BAD_USER_INPUT


class TargetTooLong(RequestRefused):
    """The request target is over its bound."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG


class BodyTooLarge(RequestRefused):
    """The body is over its bound."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = TOO_COMPLEX


class BodyTypeUnsupported(RequestRefused):
    """The body is not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class TooManyStreams(RequestRefused):
    """As many streams are open as one process serves."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = UNAVAILABLE


class ProcessEnding(RequestRefused):
    """The process serves no new streams, as it ends."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = UNAVAILABLE
