"""The listening socket of a local server: how many connections it holds, and on which port."""

import contextlib
import errno
import http.server
import logging
import os
import socket
import socketserver
import sys
import threading
import time

from kseg import checks

_LOG = logging.getLogger("kseg")
_PORTS = range(8000, 8020)  # tried in turn where none is asked for
_CONNECTIONS = 32  # at once; a browser opens six
_FAREWELL = 3.0  # seconds in which clients must have taken their last answer
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The listening socket: a thread per connection, and so many at once."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = os.name == "posix"  # elsewhere two programs could listen on one port

    def __init__(self, family: int, address: tuple, handler: type[http.server.BaseHTTPRequestHandler]):
        self.address_family = family
        self._places, self._open = threading.BoundedSemaphore(_CONNECTIONS), set()
        super().__init__(address, handler)

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the name service who this machine is
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        if not self._places.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.settimeout(0.5)
                request.sendall(_BUSY)
            return self.shutdown_request(request)
        self._open.add(request)
        try:
            return super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._open.discard(request)
            self._places.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)
            self._places.release()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # else the client went away
            _LOG.exception("a connection failed")

    def disconnect(self) -> None:
        """End the connections that are still open: no more is read from them, and answers under way are given out."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RD)
        end = time.monotonic() + _FAREWELL
        while self._open and time.monotonic() < end:
            time.sleep(0.01)


def listening(host: str, port: int | None, handler: type[http.server.BaseHTTPRequestHandler]) -> Listener:
    """Return a `Listener` on an address and a port, or on the first free one from 8000 where `port` is None.

    Raises:
        ValueError, TypeError: if `port` is no port.
        OSError: if it is taken, or `host` is no address of this machine.
    """
    if port is not None and checks.positive_integer("port", port, "Pass 0 for any that is free.", minimum=0) > 65535:
        raise ValueError(checks.sentence("port", "must be at most 65535", port, "Pass 0 for any that is free."))
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as failure:
        raise _no_host(host) from failure
    for last in (candidates := _PORTS if port is None else [port]):
        try:
            return Listener(family, (address[0], last, *address[2:]), handler)
        except PermissionError as failure:
            raise PermissionError(checks.sentence("port", "must be one that this user may listen on", last,
                                                  "Pass a number above 1023.")) from failure
        except OSError as failure:
            if failure.errno == errno.EADDRNOTAVAIL:
                raise _no_host(host) from failure
            taken = failure
    raise OSError(checks.sentence(
        "port", f"must be free on {host}; the system says: {taken.strerror}", port if port is not None else
        f"{candidates[0]}-{candidates[-1]}", "Pass another, or 0 for any that is free.")) from taken


def _no_host(host):
    return OSError(checks.sentence("host", "must be an address of this machine", host,
                                   "Leave it out for this machine alone, or pass 0.0.0.0 for all."))
