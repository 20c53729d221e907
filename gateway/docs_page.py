"""`/docs`: the REST endpoints and the error codes on one page, without scripts or other hosts."""

from html import escape
from typing import Any, Final

from gateway.openapi import OPENAPI_ROUTE
from subgraph.errors import (
    BAD_USER_INPUT,
    CURSOR_EXPIRED,
    INTERNAL_SERVER_ERROR,
    NOT_FOUND,
    TOO_COMPLEX,
    UNAVAILABLE,
)

DOCS_ROUTE: Final = "/docs"
STYLE_ROUTE: Final = "/docs/docs.css"

CODES: Final = {
    BAD_USER_INPUT: "An argument or parameter breaks its rule; the text names it. Mend it.",
    NOT_FOUND: "Nothing is known by this id, or was published by then. Check the id.",
    CURSOR_EXPIRED: (
        "A cursor works for 10 minutes after its version was replaced. Begin again without it."
    ),
    TOO_COMPLEX: "A request asks for more at once than is answered. Ask for less.",
    UNAVAILABLE: "The rankings can't be read at the moment. Try again after some seconds.",
    INTERNAL_SERVER_ERROR: "Something went wrong here that we did not expect; it is logged.",
}


def docs_page(document: dict[str, Any]) -> bytes:
    """Return the page for an OpenAPI document, as UTF-8."""
    info = document["info"]
    endpoints = "".join(
        _endpoint(path, operations["get"]) for path, operations in document["paths"].items()
    )
    codes = "".join(
        f'<dt id="{code}"><code>{code}</code></dt><dd>{_prose(text)}</dd>'
        for code, text in CODES.items()
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: REST endpoints</title>"
        f'<link rel="stylesheet" href="{STYLE_ROUTE}"></head><body><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{_prose(info['description'])}</p>"
        f'<p><a href="{OPENAPI_ROUTE}">OpenAPI document</a> · <a href="/">Live board</a></p>'
        f"{endpoints}"
        f"<section><h2>Error codes</h2><p>Errors are <code>application/problem+json</code>;"
        f" GraphQL errors carry the same codes.</p><dl>{codes}</dl></section>"
        "</main></body></html>"
    )
    return page.encode()


def _endpoint(path: str, operation: dict[str, Any]) -> str:
    description = operation.get("description")
    rows = "".join(_parameter(parameter) for parameter in operation["parameters"])
    answers = "".join(
        f"<tr><th scope=row>{escape(status)}</th><td>{_prose(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<section><h2>{escape(operation['summary'])}</h2>"
        f"<p><code>GET {escape(path)}</code></p>"
        f"{f'<p>{_prose(description)}</p>' if description else ''}"
        "<table><thead><tr><th scope=col>Parameter<th scope=col>Meaning<th scope=col>Default"
        f"</tr></thead><tbody>{rows}</tbody></table>"
        "<table><thead><tr><th scope=col>Status<th scope=col>Meaning</tr></thead>"
        f"<tbody>{answers}</tbody></table></section>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    meaning = _prose(parameter["description"])
    if "enum" in schema:
        meaning += " " + ", ".join(f"<code>{escape(value)}</code>" for value in schema["enum"])
    elif "maximum" in schema:
        meaning += f" {schema['minimum']} to {schema['maximum']}."
    return (
        f"<tr><th scope=row><code>{escape(parameter['name'])}</code></th>"
        f"<td>{meaning}</td><td>{escape(str(schema.get('default', '')))}</td></tr>"
    )


def _prose(text: str) -> str:
    """Return a text as HTML, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
