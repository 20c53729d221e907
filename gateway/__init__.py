"""The ASGI application: GraphQL transport, REST, live board, answer cache, health and metrics."""
