"""Answers that no well-made server gives: each is told in a sentence, within the time limit."""

import base64
import json

import numpy as np
import pytest

from kseg.serving import Client, ServingError
from tests.serving.raw_server import RawServer, json_answer
from tests.serving.test_answers import FILE, LABELS

ROW = {"b64": base64.b64encode(FILE).decode()}
BODY = json.dumps({"predictions": [ROW]}).encode()


def failure(answer, call="segment", pause=0.0, timeout=5.0, retries=0):
    """Return what the client raises, and how often it asked."""
    with RawServer(answer, pause) as server, Client(server.url, "street", retries=retries, timeout=timeout,
                                                    backoff=0.01) as client:
        with pytest.raises(ServingError) as caught:
            client.segment(np.zeros((7, 9, 3), np.uint8)) if call == "segment" else getattr(client, call)()
        return caught.value, server.requests


@pytest.mark.parametrize("head", [
    f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
    f"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(BODY):x}\r\n"])
def test_a_good_answer(head):
    end = b"\r\n0\r\n\r\n" if "chunked" in head else b""
    with RawServer(head.encode() + BODY + end) as server, Client(server.url, "street") as client:
        np.testing.assert_array_equal(client.segment(np.zeros((7, 9, 3), np.uint8)), LABELS)


@pytest.mark.parametrize("before", ["", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"])
def test_a_server_that_drips_does_not_hold_the_client(before):
    found, _ = failure(before.encode() + b"HTTP/1.1 200 OK" + b" " * 200, pause=0.02, timeout=0.3)
    assert "did not answer within 0.3 s" in str(found) and found.retryable


@pytest.mark.parametrize("answer", [
    b"", b"HTT", b"HTTP/1.1 200 OK\r\nContent-", json_answer(BODY[:20], length=len(BODY)), b"\0\xff garbage" * 20,
    json_answer(BODY, length=10**15), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nabc"])
def test_an_answer_that_ends_too_early_is_asked_for_again(answer):
    found, requests = failure(answer, retries=1)
    assert requests == 2 and "did not answer to the end, or not in HTTP: " in str(found)


def test_an_error_that_is_cut_off_is_an_error():
    found, requests = failure(json_answer(b'{"error": "a lo', status="503 Busy", length=400), retries=1)
    assert requests == 2 and found.status == 503 and str(found).endswith("answered status 503: Busy")


def test_a_redirection_is_told_and_not_followed():
    with RawServer(json_answer(BODY)) as other:
        found, _ = failure(json_answer(b"", f"Location: {other.url}/x", status="302 Found"))
        assert str(found).endswith(f"answered status 302: it redirects to '{other.url}/x'. Pass that server as `url`.")
        assert not other.requests


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[1]", b"7", b"<html>", b'{"predictions": [', b"\xff\xfe\0"])
@pytest.mark.parametrize("call", ["segment", "status", "metadata"])
def test_what_is_no_json_object(body, call):
    found, _ = failure(json_answer(body), call)
    assert "something that is not a JSON object: is it TensorFlow Serving's REST port (8501)?" in str(found)


@pytest.mark.parametrize("call, document", [
    ("status", {"model_version_status": 7}), ("status", {"model_version_status": [7]}), ("metadata", {"metadata": []}),
    ("segment", {"predictions": 7}), ("segment", {"predictions": [7]}), ("segment", {"predictions": [{"b64": "é"}]}),
    ("segment", {"predictions": [{"b64": ROW["b64"][:60] + "!" + ROW["b64"][60:]}]}),
    ("segment", {"predictions": {"labels_png_bytes": ROW}}), ("segment", {"predictions": []}),
    ("segment", {"predictions": [ROW, ROW]})])
def test_documents_of_another_shape(call, document):
    assert "The server" in str(failure(json_answer(json.dumps(document).encode()), call)[0])
