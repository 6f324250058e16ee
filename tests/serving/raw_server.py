"""A server that answers every request with bytes as they are, for what no well-made server would answer."""

import socket
import threading
import time


class RawServer:
    """Answer with `answer` and close; with a `pause`, seconds, byte by byte. `requests` counts."""

    def __init__(self, answer=b"", pause=0.0):
        self.answer, self.pause, self.requests = answer, pause, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listening.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                connection = self._listening.accept()[0]
            except OSError:
                return  # closed
            self.requests += 1
            try:
                with connection:
                    _take_request(connection)
                    for piece in ([self.answer] if not self.pause else map(bytes, zip(self.answer))):
                        connection.sendall(piece)
                        time.sleep(self.pause)
            except OSError:
                pass  # the client hung up


def json_answer(body, *lines, status="200 OK", length=None):
    """Return an answer whose head tells the true length of `body`, or `length`."""
    length = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {length}", *lines, "\r\n"]
    return "\r\n".join(head).encode() + body


def _take_request(connection):
    taken = b""
    while b"\r\n\r\n" not in taken:
        if not (piece := connection.recv(65536)):
            return
        taken += piece
    head, _, body = taken.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while len(body) < sum(lengths):
        body += connection.recv(65536)
