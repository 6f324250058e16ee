"""The page's server: answers equal kseg.predict, threads get their own, and what does not belong there is refused."""

import concurrent.futures
import http.client
import io
import json
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.serving import LocalServer
from tests.conftest import structured_image
from tests.export.tiny import tiny_model

TYPE = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def server(model):
    with LocalServer(model, port=0, max_megabytes=0.2, max_megapixels=0.5) as server:
        yield server


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(content, kind, **options)
    return content.getvalue()


def connection(server):
    return http.client.HTTPConnection(*server.url.split("/")[2].split(":"), timeout=20)


def asked(server, method="GET", path="/", body=None, headers=()):
    """Return (status, headers, content) of one request."""
    one = connection(server)
    try:
        one.request(method, path, body, dict(headers))
        answer = one.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        one.close()


def raw(server, content, wait=10.0):
    """Return all that is answered to bytes."""
    host, port = server.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as one:
        one.sendall(content)
        return everything(one)


def everything(one):
    answer = b""
    while part := one.recv(65536):
        answer += part
    return answer


def unpacked(content):
    """Return (ids, confidence or None, masks or None, head) of an answer, written apart from the package's code."""
    line, _, rest = content.partition(b"\n")
    head = json.loads(line)
    size = head["height"], head["width"]
    planes = np.frombuffer(rest, np.uint8).reshape(-1, *size)
    assert len(planes) == 1 + head["confidence"] + head["masks"]
    masks = np.moveaxis(planes[len(planes) - head["masks"]:], 0, -1) if head["masks"] else None
    return planes[0], planes[1] if head["confidence"] else None, masks, head


def segmented(server, content):
    status, _, answer = asked(server, "POST", "/segment", content, TYPE)
    assert status == 200, answer
    return unpacked(answer)


def pictures():
    colour, grey = structured_image(41, 63), structured_image(30, 52)[..., 1]
    turned = Image.Exif()
    turned[274] = 6
    alpha = np.dstack([colour, np.tile(np.arange(63, dtype=np.uint8) * 4, (41, 1))])
    return {
        "png": encoded(colour), "jpeg": encoded(colour, "JPEG"), "webp": encoded(colour, "WEBP", lossless=True),
        "gif": encoded(Image.fromarray(colour).quantize(64), "GIF"), "grey": encoded(grey), "alpha": encoded(alpha),
        "turned": encoded(colour, "JPEG", exif=turned), "one pixel": encoded(colour[:1, :1]),
        "16 bit": encoded((grey.astype(np.uint16) * 257)),
        "cmyk": encoded(Image.fromarray(colour).convert("CMYK"), "JPEG"),
        "tiff": encoded(colour, "TIFF"), "bmp": encoded(colour, "BMP"),
    }


@pytest.mark.parametrize("name", pictures())
def test_labels_are_those_of_predict(server, model, tmp_path, name):
    content = pictures()[name]
    path = tmp_path / "a.image"  # an ending says nothing
    path.write_bytes(content)
    ids, confidence, masks, head = segmented(server, content)
    np.testing.assert_array_equal(ids, kseg.predict(model, path))
    best = kseg.predict(model, path, output="probabilities").max(axis=-1)
    assert np.abs(confidence - 255 * best).max() <= 0.5 + 1e-3
    assert masks is None and head["milliseconds"] >= 0
    if name == "turned":
        assert ids.shape == (63, 41)


def test_options_are_those_of_predict(model, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(structured_image(70, 50)))
    options = {"window": (32, 48), "overlap": 0.25, "blend": "uniform", "scales": (0.75, 1.0), "flip": True}
    with LocalServer(model, port=0, **options) as server:
        ids, confidence, _, _ = segmented(server, path.read_bytes())
    np.testing.assert_array_equal(ids, kseg.predict(model, path, **options))
    best = kseg.predict(model, path, output="probabilities", **options).max(axis=-1)
    assert np.abs(confidence - 255 * best).max() <= 0.5 + 1e-3


def test_large_photographs_are_done_by_windows(model, monkeypatch):
    monkeypatch.setattr("kseg.serving.photograph.LARGE", 60 * 60)
    monkeypatch.setattr("kseg.serving.photograph.SCENE_WINDOW", (32, 32))
    image = structured_image(61, 60)
    with LocalServer(model, port=0) as server:
        ids = segmented(server, encoded(image))[0]
    np.testing.assert_array_equal(ids, kseg.predict(model, image, window=(32, 32)))
    assert (ids != kseg.predict(model, image)).any()


def test_binary_and_multilabel():
    image = structured_image(33, 47)
    binary = tiny_model(classes=1)
    with LocalServer(binary, port=0, threshold=0.3) as server:
        ids, confidence, _, _ = segmented(server, encoded(image))
        page = json.loads(asked(server, path="/model.json")[2])
    np.testing.assert_array_equal(ids, kseg.predict(binary, image, threshold=0.3))
    yes = kseg.predict(binary, image, output="probabilities")[..., 0]
    assert np.abs(confidence - 255 * np.where(ids, yes, 1 - yes)).max() <= 0.5 + 1e-3
    assert page["task"] == "binary" and page["threshold"] == 0.3 and len(page["classes"]) == 2


def test_stacked_labels_come_as_masks():
    from kseg.inference.results import one_label
    from kseg.tasks import TASKS

    probabilities = np.array([[[0.9, 0.6, 0.2], [0.1, 0.2, 0.3], [0.4, 0.7, 0.8]]], np.float32)
    labels = TASKS["multilabel"].decide(probabilities, [0.95, 0.5, 0.5])
    ids, shares = one_label(labels, probabilities, TASKS["multilabel"])
    np.testing.assert_array_equal(ids, [[1, 255, 2]])
    np.testing.assert_allclose(shares, [[0.6, 0.7, 0.8]], rtol=1e-6)


def test_multilabel_masks_are_the_labels_of_predict():
    from kseg.models import Segmenter

    plain, image = tiny_model(classes=3), structured_image(33, 47)
    model = Segmenter(plain.inputs, plain.outputs, task="multilabel")
    with LocalServer(model, port=0, threshold=(0.4, 0.5, 0.6)) as server:
        ids, confidence, masks, _ = segmented(server, encoded(image))
    labels = kseg.predict(model, image, threshold=(0.4, 0.5, 0.6))
    np.testing.assert_array_equal(masks, labels)
    assert (ids[labels.any(-1)] < 3).all() and (ids[~labels.any(-1)] == 255).all()
    given = kseg.predict(model, image, output="probabilities")
    sure = np.where(labels.any(-1), np.where(labels, given, 0).max(-1), 1 - given.max(-1))
    assert np.abs(confidence - 255 * sure).max() <= 0.5 + 1e-3
    assert 0 < labels.any(-1).mean() < 1


@pytest.fixture(scope="module")
def labels_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("tflite") / "labels.tflite"
    kseg.export.tflite(model, path, image_size=(32, 32), output="labels")
    return path


def test_a_tflite_file_of_labels_alone(labels_file):
    path, image = labels_file, structured_image(40, 56)
    with LocalServer(path, port=0) as server:
        ids, confidence, _, _ = segmented(server, encoded(image))
        assert json.loads(asked(server, path="/model.json")[2])["title"] == "labels.tflite"
    np.testing.assert_array_equal(ids, kseg.predict(path, image))
    assert confidence is None


def test_eight_threads_get_each_its_own(labels_file):
    """Of an interpreter, which is one for all: without the lock it stops, or gives one's answer to another."""
    images = [np.roll(structured_image(180 + one, 260 - one), 37 * one, axis=1) for one in range(8)]
    expected = [kseg.predict(labels_file, image) for image in images]
    together = threading.Barrier(8)
    with LocalServer(labels_file, port=0) as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for one, answers in enumerate(pool.map(lambda one: _asked_often(server, images[one], together), range(8))):
            for answer in answers:
                np.testing.assert_array_equal(answer, expected[one])


def _asked_often(server, image, together):
    keeping, content = connection(server), encoded(image)
    together.wait()
    answers = []
    for _ in range(6):
        keeping.request("POST", "/segment", content, TYPE)
        answers.append(unpacked(keeping.getresponse().read())[0])
    keeping.close()
    return answers


def test_stored_numbers_of_a_model_with_a_range(tmp_path):
    from kseg.models import Segmenter

    plain = tiny_model()
    model = Segmenter(plain.inputs, plain.outputs)
    model.pixel_range = (0, 4095)
    content = encoded(structured_image(33, 47)[..., 0].astype(np.uint16) * 16 + 3)
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with LocalServer(model, port=0) as server:
        np.testing.assert_array_equal(segmented(server, content)[0], kseg.predict(model, path))


def test_the_page_and_its_headers(server):
    for path in ("/", "/index.html", "/app.js", "/engine_server.js", "/style.css", "/segment.css"):
        status, headers, content = asked(server, path=path)
        assert status == 200 and content, path
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert not any(name.startswith("Access-Control") for name in headers)
    assert asked(server, path="/app.js")[1]["Content-Type"].startswith("text/javascript")
    status, headers, content = asked(server, "HEAD", "/")
    assert status == 200 and int(headers["Content-Length"]) > 1000 and content == b""
    page = json.loads(asked(server, path="/model.json?again")[2])
    assert page["engine"] == "server" and page["server"] == {"max_bytes": 200_000}


@pytest.mark.parametrize("path", [
    "/../../etc/passwd", "/../../../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
    "/..%252f..%252fetc/passwd", "//etc/passwd", "/etc/passwd", "/..\\..\\etc\\passwd", "/%5c..%5cetc",
    "/segment/../local_server.py", "/app.js/", "/./app.js", "/app.js%00.css", "/engine_litert.js", "/model.keras",
    "file:///etc/passwd", "http://127.0.0.1/etc/passwd", "*", "/segment_page.py"])
def test_no_address_leads_to_a_file(server, path):
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert b"root:" not in answer and json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "error": "There is nothing at this address."}


@pytest.mark.parametrize("host", [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "localhost:80@evil.example", "10.0.0.7",
    "[2001:db8::1]", "", "localhost:port", "localhost, evil.example", "xn--lcalhost-n0a"])
def test_a_foreign_host_is_refused(server, host):
    for method, path, body in (("GET", "/", None), ("POST", "/segment", pictures()["png"])):
        status, _, content = asked(server, method, path, body, {"Host": host, **TYPE})
        assert status == 403 and "not a name of this server" in json.loads(content)["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1", "127.0.0.1:1", "[::1]:8000"])
def test_own_names_are_taken(server, host):  # with any port: a tunnel may end at another
    assert asked(server, headers={"Host": host})[0] == 200


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"},
    {"Origin": "http://localhost.evil.example"}, {"Origin": "file://"}, {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}])
def test_pages_of_other_sites_are_refused(server, headers):
    status, _, content = asked(server, "POST", "/segment", pictures()["png"], {"Host": "localhost", **TYPE, **headers})
    assert status == 403 and json.loads(content) == {"error": "Pages of other sites may not use this server."}


def test_the_own_page_and_programs_are_taken(server):
    for headers in ({}, {"Origin": "http://localhost:1234"}, {"Sec-Fetch-Site": "same-origin"}):
        assert asked(server, "POST", "/segment", pictures()["png"],
                     {"Host": "localhost:1234", **TYPE, **headers})[0] == 200
    assert asked(server, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})[0] == 200  # a link


@pytest.mark.parametrize("method, path, status", [
    ("POST", "/", 405), ("GET", "/segment", 405), ("PUT", "/segment", 405), ("OPTIONS", "/segment", 405),
    ("DELETE", "/app.js", 405), ("BREW", "/", 405), ("BREW", "/coffee", 404)])
def test_other_methods(server, method, path, status):
    answered, headers, content = asked(server, method, path)
    assert answered == status and json.loads(content)["error"]
    assert headers["Allow"] == (None if status == 404 else "POST" if path == "/segment" else "GET, HEAD")


@pytest.mark.parametrize("headers, status", [
    ("", 411), ("Transfer-Encoding: chunked", 411), ("Transfer-Encoding: chunked\r\nContent-Length: 3", 400),
    ("Content-Length: 3\r\nContent-Length: 4", 400), ("Content-Length: -3", 400), ("Content-Length: +3", 400),
    ("Content-Length: 0x3", 400), ("Content-Length: 3, 3", 400), ("Content-Length: 99999999999999999999", 400),
    ("Content-Length: 200001", 413)])
def test_lengths_of_bodies(server, headers, status):
    lines = ["POST /segment HTTP/1.1", "Host: localhost", "Content-Type: image/png", *headers.split("\r\n")]
    answer = raw(server, ("\r\n".join(filter(None, lines)) + "\r\n\r\nabc").encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status) and b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1  # the body is no second request


@pytest.mark.parametrize("kind", [None, "text/plain", "multipart/form-data; boundary=a",
                                  "application/x-www-form-urlencoded", "application/json"])
def test_what_forms_can_send_is_refused(server, kind):
    status, _, content = asked(server, "POST", "/segment", pictures()["png"], {"Content-Type": kind} if kind else {})
    assert status == 415 and "application/octet-stream" in json.loads(content)["error"]


def test_an_oversize_upload_is_refused_while_it_is_sent(server):
    status, _, content = asked(server, "POST", "/segment", bytes(5_000_000), TYPE)
    assert status == 413 and "5.0 million bytes" in json.loads(content)["error"]


def test_curl_is_told_before_it_sends(server):
    head = "POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nExpect: 100-continue\r\n"
    assert raw(server, f"{head}Content-Length: 900000\r\n\r\n".encode()).startswith(b"HTTP/1.1 413")
    content = pictures()["png"]
    answer = raw(server, f"{head}Connection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_more_bytes_than_announced_are_the_next_request(server):
    content = pictures()["png"]
    head = f"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(content)}"
    answer = raw(server, f"{head}\r\n\r\n".encode() + content + b"garbage\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200") and answer.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 400" in answer
    get = b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n"
    assert raw(server, (get + b"\r\n") * 2 + get + b"Connection: close\r\n\r\n").count(b"HTTP/1.1 200") == 3


def test_a_body_that_ends_early(server):
    host, port = server.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as one:
        one.sendall(b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                    b"Content-Length: 100\r\n\r\nabc")
        one.shutdown(socket.SHUT_WR)
        answer = everything(one)
    assert answer.startswith(b"HTTP/1.1 400") and b"after 3 of 100 bytes" in answer


@pytest.mark.parametrize("content, status", [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n", 400), (b"GET\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTP/1.1 more\r\nHost: localhost\r\n\r\n", 400), (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 20000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"A: " + b"b" * 900 + b"\r\n") * 50 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 400)])
def test_garbage(server, content, status):
    answer = raw(server, content)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert asked(server)[0] == 200


def huge_png(height, width):
    """Return a PNG of a few kilobytes whose header announces so many pixels; its rows are as long as they should be."""
    def part(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer, rows = zlib.compressobj(9), b""
    for _ in range(min(height, 2000)):
        rows += packer.compress(bytes(1 + width))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows + packer.flush()) + part(b"IEND", b"")


@pytest.mark.parametrize("size", [(1000, 1000), (60000, 60000)])
def test_a_small_file_of_many_pixels(server, size):
    content = huge_png(*size)
    assert len(content) < 200_000
    status, _, answer = asked(server, "POST", "/segment", content, TYPE)
    assert status == 413 and f"{size[0]}×{size[1]} pixels" in json.loads(answer)["error"]


def two_faced():
    """Return a TIFF of 4×4 pixels whose beginning is that of a FLI film of 9000×9000, which Pillow asks first."""
    place = 0x1AF11  # of the directory; its low bytes are FLI's mark
    entries = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 16), (277, 1), (278, 4), (279, 16)]
    head = struct.pack("<2sHI4H", b"II", 42, place, 9000, 9000, 8, 3)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, 4, 1, value)
                                                           for tag, value in entries) + bytes(4)
    return head.ljust(place, b"\0") + directory


def test_a_file_with_the_beginning_of_another_format(server):
    """The header that is measured must be that of the reader which decodes."""
    content = two_faced()
    with Image.open(io.BytesIO(content), formats=["TIFF"]) as picture:
        assert picture.size == (4, 4)
    with Image.open(io.BytesIO(content), formats=["FLI"]) as picture:  # the first to be asked in a new process
        assert picture.size == (9000, 9000)
    status, _, answer = asked(server, "POST", "/segment", content, TYPE)
    assert status == 422 and "not an image file that can be read" in json.loads(answer)["error"]


def test_a_file_whose_reader_is_not_installed(server, monkeypatch):
    def missing(*_, **__):
        raise ImportError("`image` needs rasterio")

    monkeypatch.setattr("kseg.data.decode.stored_photograph", missing)
    status, _, answer = asked(server, "POST", "/segment", pictures()["png"], TYPE)
    assert status == 422 and "needs rasterio" in json.loads(answer)["error"]


@pytest.mark.parametrize("content", [
    b"", b"a", b"not an image " * 50, pictures()["png"][:200], pictures()["jpeg"][:300],
    pictures()["png"][:60] + b"X" + pictures()["png"][61:], b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"P6\n3 3\n255\n" + bytes(27), b"\x93NUMPY" + bytes(122) + b"DICM"])
def test_what_is_no_image(server, content, tmp_path):
    status, _, answer = asked(server, "POST", "/segment", content, TYPE)
    assert status == 422
    sentence = json.loads(answer)["error"]
    assert "image" in sentence and str(tmp_path.parent.parent) not in sentence and "kseg/" not in sentence
    assert segmented(server, pictures()["png"])[0].shape == (41, 63)


def test_more_than_8_bits_have_the_sentence_of_predict(server):
    content = encoded(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16)
    status, _, answer = asked(server, "POST", "/segment", content, TYPE)
    assert status == 422 and "more than 8 bits" in json.loads(answer)["error"]


def test_a_model_that_fails_is_no_end(server, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("secret/path")

    monkeypatch.setattr(server.segment._whole, "with_confidence", fail)
    status, _, answer = asked(server, "POST", "/segment", pictures()["png"], TYPE)
    assert status == 500 and b"secret" not in answer and "secret/path" in caplog.text
    monkeypatch.undo()
    segmented(server, pictures()["png"])


def test_one_line_for_a_request(model):
    lines = []
    with LocalServer(model, port=0, on_request=lines.append) as server:  # its own: no line of a test before comes late
        asked(server, "POST", "/segment", pictures()["png"], TYPE)
        raw(server, b"GET /\x1b[31m\x9b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        for _ in range(100):  # the line is written after the answer
            if len(lines) == 2:
                break
            time.sleep(0.02)
    missed, done = sorted(lines)  # "GET" and "POST"
    assert done.startswith("127.0.0.1 POST /segment 200 ") and done.endswith(" 63×41 pixels")
    assert missed.isprintable() and missed.startswith("127.0.0.1 GET /\\x1b[31m\\x9b 404 ")


@pytest.fixture(scope="module")
def impatient(model):
    with LocalServer(model, port=0, timeout=0.5) as server:
        yield server


@pytest.mark.parametrize("start, step", [
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"A: b\r\n"), (b"G", b"E"),
    (b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\n", b"a")])
def test_slow_clients_are_sent_away(impatient, start, step):
    """A byte now and then keeps no connection: the time is that of the whole request, not of a byte."""
    host, port = impatient.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as one:
        one.sendall(start)
        one.settimeout(0.1)
        answer, begun = b"", time.monotonic()
        while not answer and time.monotonic() - begun < 20:
            try:
                one.sendall(step)
                answer = one.recv(65536)
            except TimeoutError:
                pass
    assert answer.startswith(b"HTTP/1.1 408")


def test_many_idle_connections_leave_room_after_the_timeout(impatient):
    host, port = impatient.url.split("/")[2].split(":")
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(32)]
    refused = [socket.create_connection((host, int(port)), timeout=10)]
    assert refused[0].recv(100).startswith(b"HTTP/1.1 503")
    assert [one.recv(10) for one in idle] == [b""] * 32
    assert asked(impatient)[0] == 200
    for one in idle + refused:
        one.close()


def test_ports_and_addresses(model, monkeypatch):
    first = LocalServer(model, port=0)
    taken = int(first.url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(OSError, match=f"`port` must be free on 127.0.0.1; .* got port={taken}. Pass another, or 0"):
        LocalServer(model, port=taken)
    monkeypatch.setattr("kseg.serving.listener._PORTS", range(taken, taken + 40))
    second = LocalServer(model)  # the next that is free
    assert int(second.url.rsplit(":", 1)[1].strip("/")) > taken
    first.close()  # without having served
    second.close()
    second.close()
    for port in (-1, 70000, 1.5):
        with pytest.raises((ValueError, TypeError), match="`port` must be "):
            LocalServer(model, port=port)
    with pytest.raises(OSError, match="`host` must be an address of this machine"):
        LocalServer(model, port=0, host="no such machine")
    with pytest.raises(OSError, match="`host` must be an address of this machine, got host='192.0.2.1'"):
        LocalServer(model, host="192.0.2.1")
    with LocalServer(model, port=0, host="0.0.0.0") as wide:
        assert wide.url.startswith("http://127.0.0.1:")
        assert asked(wide, headers={"Host": "192.168.1.5:8000"})[0] == 200
        assert asked(wide, headers={"Host": f"{socket.gethostname()}:8000"})[0] == 200
        assert asked(wide, headers={"Host": "evil.example"})[0] == 403


def test_wrong_options_and_models_are_said_at_the_start(model, tmp_path):
    with pytest.raises(ValueError, match="`scales` must be numbers above 0"):
        LocalServer(model, port=0, scales=(0,))
    with pytest.raises(FileNotFoundError, match="`model` must be the path of a file"):
        LocalServer(tmp_path / "none.keras", port=0)
    with pytest.raises(ValueError, match="`max_megabytes` must be a number between"):
        LocalServer(model, port=0, max_megabytes=0)


def test_closing_finishes_the_photograph_in_work(model, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    server = LocalServer(model, port=0)
    real = server.segment._whole.with_confidence

    def slow(image):
        begun.set()
        assert go.wait(10)
        return real(image)

    monkeypatch.setattr(server.segment._whole, "with_confidence", slow)
    with concurrent.futures.ThreadPoolExecutor() as pool, server:
        waiting = pool.submit(segmented, server, pictures()["png"])
        assert begun.wait(10)
        closing = pool.submit(server.close)
        time.sleep(0.3)
        assert not closing.done()
        go.set()
        assert waiting.result(10)[0].shape == (41, 63)
        closing.result(10)
    with pytest.raises(ConnectionRefusedError):
        asked(server)
