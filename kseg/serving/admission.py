"""Which requests a server for one person's browser takes, by their heads alone: whose page asks, and what it sends.

A page on any other site can make its visitor's browser send requests to this machine. Two things give it away:
`Origin`, which browsers set and pages cannot, and `Host`, which names the foreign site even where its name has been
pointed at this machine (DNS rebinding).
"""

import dataclasses
import email.message
import ipaddress
import re

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_LENGTH = re.compile(r"[0-9]{1,15}")
_FILE_TYPES = ("application/octet-stream", "image/")  # no page may send these to another site without asking it first


class Refusal(Exception):
    """A request that is not done.

    Attributes:
        status: int, of HTTP.
        headers: dict, header → value, sent along.
    """

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None):
        super().__init__(sentence)
        self.status, self.headers = status, headers or {}


@dataclasses.dataclass(frozen=True)
class Admission:
    """The rules of one server.

    Args:
        loopback: bool, whether it listens on this machine's own addresses alone; others in Host are then wrong.
        names: set of str, lower case, the names by which it may be called; numeric addresses need no name.
        max_bytes: int, the longest body.
    """

    loopback: bool
    names: frozenset[str]
    max_bytes: int

    def check_caller(self, headers: email.message.Message) -> None:
        """Raise `Refusal` unless the request names this server and comes from its own page, or from no page."""
        hosts = headers.get_all("Host", [])
        if len(hosts) != 1:
            raise Refusal(400, "A request must have one Host header.")
        if not self._is_ours(hosts[0]):
            raise Refusal(403, f"Host {ascii(hosts[0][:100])} is not a name of this server. Open it by the address "
                               "that it printed when it started, or by that of its machine.")
        origins = headers.get_all("Origin", [])
        own = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}  # https: through a tunnel
        foreign = any(origin.lower() not in own for origin in origins)
        if foreign or headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and headers.get(
                "Sec-Fetch-Mode") != "navigate":
            raise Refusal(403, "Pages of other sites may not use this server.")

    def body_length(self, headers: email.message.Message) -> int:
        """Return how many bytes the body of an upload has; raise `Refusal` unless that is known, legal and allowed."""
        lengths = headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in headers:
            raise Refusal(400 if lengths else 411, "Send the file in one piece, with its Content-Length and without "
                                                   "Transfer-Encoding.")
        if not lengths:
            raise Refusal(411, "Say with Content-Length how many bytes follow.")
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            raise Refusal(400, "Content-Length must be one whole number.")
        if int(lengths[0]) > self.max_bytes:
            raise Refusal(413, f"The file has {int(lengths[0]) / 1e6:.1f} million bytes, and this server takes at most "
                               f"{self.max_bytes / 1e6:g} million. Send a smaller one, or start the server with a "
                               "larger --max-megabytes.")
        kind = headers.get("Content-Type", "").strip().lower()
        if not kind.startswith(_FILE_TYPES):
            raise Refusal(415, "Send the bytes of an image file, with Content-Type: application/octet-stream.")
        return int(lengths[0])

    def _is_ours(self, host):
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = (found[1] or found[2]).lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return address.is_loopback or not self.loopback
