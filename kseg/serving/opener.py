"""Requests over HTTP with an end to the time and to the bytes of an answer. Standard library only."""

import http.client
import io
import time
import urllib.request

from kseg.serving.received import Arriving

_LARGEST = 1 << 30  # bytes of an answer
_PIECE = 1 << 20  # bytes; asked for all at once, memory would be set aside for whatever length a head claims


def opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https addresses, through the environment's proxies; the `timeout` is of everything.

    Redirections raise `HTTPError`: followed, a POST would become a GET, and an authorisation go to another server.
    """
    return urllib.request.build_opener(_Http(), _Https(), _NoRedirection())


def read_whole(response: http.client.HTTPResponse) -> bytes:
    """Return the body of an answer.

    Raises:
        http.client.IncompleteRead: if it ends before its Content-Length, or, where that is not told, with the head.
        http.client.HTTPException: if it is implausibly large.
        TimeoutError, OSError: if it does not arrive.
    """
    pieces, size = [], 0
    while piece := response.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST:
            raise http.client.HTTPException(f"the answer has more than {_LARGEST} bytes")
    missing = getattr(response, "length", None)
    if missing or missing is None and not pieces:  # a head that is cut off passes for a whole one
        raise http.client.IncompleteRead(b"".join(pieces), missing)
    return b"".join(pieces)


class _Until(Arriving):
    """The bytes of a socket that stays open until this is closed."""

    def __init__(self, connection):
        super().__init__(connection, time.monotonic() + connection.gettimeout())
        self._stream = connection.makefile("rb", buffering=0)

    def close(self):
        self._stream.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock, *arguments, **options):
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock))


class _Connection(http.client.HTTPConnection):
    """One time limit from connecting to the last byte of the answer, rather than one per piece."""

    response_class = _Answer

    def connect(self):
        self.deadline = time.monotonic() + self.timeout
        super().connect()
        self._hurry()

    def getresponse(self):
        self._hurry()
        return super().getresponse()

    def _hurry(self):
        self.sock.settimeout(max(0.001, self.deadline - time.monotonic()))


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req):
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req):
        return self.do_open(_SecureConnection, req)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
