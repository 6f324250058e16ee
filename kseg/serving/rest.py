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

    def images(self, contents: list[bytes], signature: str, output: str, timeout: float) -> list[bytes | list[bytes]]:
        """Send encoded images; return the bytes, or list of bytes, that `output` (named `..._bytes`) holds for each."""
        instances = [{"b64": base64.b64encode(content).decode("ascii")} for content in contents]
        answer = self._call(":predict", {"signature_name": signature, "instances": instances}, timeout)
        try:
            rows = answer["predictions"]
            rows = [row[output] if output in row else row for row in rows]
            return [[base64.b64decode(file["b64"]) for file in row] if isinstance(row, list)
                    else base64.b64decode(row["b64"]) for row in rows]
        except (KeyError, TypeError, ValueError) as failure:
            raise ServingError(f"The server's answer has no base64 output {output!r}: {str(answer)[:200]}. Serve a "
                               "model exported by kseg.export.saved_model.") from failure

    def status(self, timeout: float) -> list[dict[str, Any]]:
        """Return the versions of the model and their states, a list of dicts."""
        return self._call("", None, timeout).get("model_version_status", [])

    def metadata(self, timeout: float) -> dict[str, Any]:
        """Return the signatures of the model as the server describes them, a dict."""
        return self._call("/metadata", None, timeout).get("metadata", {})

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def _call(self, action, body, timeout):
        url = self._base + action
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:  # nosec B310: http(s), see __init__
                return json.loads(response.read())
        except urllib.error.HTTPError as failure:
            raise ServingError(f"The server at {url} answered status {failure.code}: {_message(failure)}",
                               failure.code, failure.code in _RETRYABLE) from failure
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, ConnectionError) as failure:
            raise _no_answer(url, failure, timeout) from failure
        except ValueError as failure:
            raise ServingError(f"The server at {url} answered something that is not JSON: is it TensorFlow Serving's "
                               "REST port (8501)?") from failure


def _no_answer(url, failure, timeout):
    reason = getattr(failure, "reason", failure)
    if isinstance(reason, TimeoutError):
        return ServingError(f"The server at {url} did not answer within {timeout:g} s. Raise `timeout` or send fewer "
                            "images at once.", None, True)
    return ServingError(f"There is no server at {url}: {reason or type(failure).__name__}. Start one (`kseg "
                        "serve-config` writes the command) or correct `url`.", None, True)


def _message(failure):
    text = failure.read().decode("utf-8", "replace")
    try:
        text = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        pass
    return " ".join(str(text).split())[:600] or failure.reason
