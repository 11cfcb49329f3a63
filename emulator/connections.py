"""The end of a connection, when it is to be noticed."""

from __future__ import annotations

import socket
import struct

from aiohttp import web


def cut(request: web.BaseRequest) -> web.Response:
    """Reset the client's connection instead of answering. What is returned is never sent."""
    if request.transport is not None:
        connection: socket.socket = request.transport.get_extra_info("socket")
        # Lingering for zero seconds makes the close a TCP reset, which no client takes for the end of an answer.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()
