"""Reading a request's body whole, within its bound."""

from starlette.types import Message, Receive, Scope

from gateway.errors import BodyTooLarge


async def read_body(scope: Scope, receive: Receive, largest: int) -> bytes:
    """Return the body; raises `BodyTooLarge` as soon as it is known to be over the bound."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > largest:
            raise BodyTooLarge(_too_large(largest))
    message = await receive()
    if not message.get("more_body"):
        body = message.get("body", b"")
        if len(body) > largest:
            raise BodyTooLarge(_too_large(largest))
        return bytes(body)
    chunks, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body"):
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > largest:
            raise BodyTooLarge(_too_large(largest))
        chunks.append(chunk)
    return b"".join(chunks)


def replayed(body: bytes) -> Receive:
    """Return a `receive` that gives a body that was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _too_large(largest: int) -> str:
    return f"The body is over {largest:,} bytes. Send less at once."
