"""What a client sends, read with an end to the time and to the bytes of a request's head."""

import http.client
import io
import socket
import time

HEAD_BYTES = 16384  # of the first line, and of all headers together


class _Arriving(io.RawIOBase):
    """The bytes of a socket until `deadline`; a time limit per `recv` would let a byte per minute hold a thread."""

    def __init__(self, connection):
        self.connection, self.deadline = connection, 0.0

    def readable(self):
        return True

    def readinto(self, buffer):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the client is too slow")
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class Received(io.BufferedReader):
    """A buffered reader of a socket, in the place of the `rfile` of `http.server`'s handlers."""

    def __init__(self, connection: socket.socket):
        super().__init__(_Arriving(connection))
        self._head_left = HEAD_BYTES

    def allow(self, seconds: float) -> None:
        """Let the next request, or its next part, take so many seconds from now."""
        self.raw.deadline = time.monotonic() + seconds

    def begin_headers(self) -> None:
        """Count the bytes of lines from here on."""
        self._head_left = HEAD_BYTES

    def readline(self, size: int = -1) -> bytes:
        """Return a line; `http.client.LineTooLong`, which `http.server` answers with 431, if the head is too long."""
        line = super().readline(min(size, HEAD_BYTES + 1) if size >= 0 else HEAD_BYTES + 1)
        self._head_left -= len(line)
        if self._head_left < 0:
            raise http.client.LineTooLong("head")
        return line
