"""TensorFlow Serving's REST protocol, version 1. Standard library only."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from kseg import checks
from kseg.serving.errors import ServingError
from kseg.serving.opener import opener, read_whole

_RETRYABLE = (408, 429, 502, 503, 504)


class RestTransport:
    """Requests to one model over REST.

    Args:
        url: str, "http://host:8501".
        model: str, the model's name on the server.
        version: int or None (the newest).
        headers: dict of str, sent along, for example an authorisation.
    """

    def __init__(self, url: str, model: str, version: int | None = None, headers: dict[str, str] | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(checks.sentence(
                "url", "must start with http:// or https:// for REST", url,
                'Write for example "http://localhost:8501".'))
        name = f"/v1/models/{urllib.parse.quote(model, safe='')}"
        self._base = url.rstrip("/") + name + (f"/versions/{version}" if version is not None else "")
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._opener = opener()

    def images(self, contents: list[bytes], signature: str, output: str, timeout: float) -> list[bytes | list[bytes]]:
        """Send encoded images; return the bytes, or list of bytes, that `output` (named `..._bytes`) holds for each."""
        instances = [{"b64": base64.b64encode(content).decode("ascii")} for content in contents]
        answer = self._call(":predict", {"signature_name": signature, "instances": instances}, timeout)
        try:
            rows = answer["predictions"]
            rows = [row[output] if output in row else row for row in rows]
            return [[_decoded(file) for file in row] if isinstance(row, list) else _decoded(row) for row in rows]
        except (KeyError, TypeError, ValueError) as failure:
            raise ServingError(f"The server's answer has no base64 output {output!r}: {str(answer)[:200]}. Serve a "
                               "model exported by kseg.export.saved_model.") from failure

    def status(self, timeout: float) -> list[dict[str, Any]]:
        """Return the versions of the model and their states, a list of dicts."""
        return self._part("", "model_version_status", list, timeout)

    def metadata(self, timeout: float) -> dict[str, Any]:
        """Return the signatures of the model as the server describes them, a dict."""
        return self._part("/metadata", "metadata", dict, timeout)

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def _part(self, action, name, kind, timeout):
        answer = self._call(action, None, timeout)
        part = answer.get(name, kind())
        if not isinstance(part, kind) or kind is list and not all(isinstance(entry, dict) for entry in part):
            raise ServingError(f"The server at {self._base}{action} answered no {name}: {str(answer)[:200]}. Is it "
                               "TensorFlow Serving's REST port (8501)?")
        return part

    def _call(self, action, body, timeout):
        url = self._base + action
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=self._headers)
        try:
            with self._opener.open(request, timeout=timeout) as response:
                content = read_whole(response)
        except urllib.error.HTTPError as failure:
            raise ServingError(f"The server at {url} answered status {failure.code}: {_message(failure)}",
                               failure.code, failure.code in _RETRYABLE) from failure
        except (OSError, http.client.HTTPException, ValueError) as failure:
            raise _no_answer(url, failure, timeout) from failure
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ServingError(f"The server at {url} answered something that is not a JSON object: is it TensorFlow "
                               "Serving's REST port (8501)?")
        return answer


def _decoded(file):
    return base64.b64decode(file["b64"], validate=True)


def _no_answer(url, failure, timeout):
    reason = getattr(failure, "reason", failure)
    if isinstance(reason, TimeoutError):
        return ServingError(f"The server at {url} did not answer within {timeout:g} s. Raise `timeout` or send fewer "
                            "images at once.", None, True)
    said = " ".join(str(reason).split())[:200] or type(failure).__name__
    if isinstance(failure, urllib.error.URLError):  # nothing was answered
        return ServingError(f"There is no server at {url}: {said}. Start one (`kseg serve-config` writes the command) "
                            "or correct `url`.", None, True)
    return ServingError(f"The server at {url} did not answer to the end, or not in HTTP: {said}. Send the request "
                        "again, or correct `url`.", None, True)


def _message(failure):
    """Return what an answer other than 200 says, as far as it can be read."""
    if 300 <= failure.code < 400:
        return f"it redirects to {failure.headers.get('Location')!r:.300}. Pass that server as `url`."
    try:
        text = read_whole(failure).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError):
        text = ""
    try:
        text = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return " ".join(str(text).split())[:600] or failure.reason
