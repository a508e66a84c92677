"""HTTP/1.1 on the wire: a raw client in front of a Gateway, a raw upstream behind it."""
import base64
import contextlib
import hashlib
import socket
import threading

import pytest

from mesh import Mesh, until

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec: {{selector: {{istio: ingressgateway}}, servers: [{{port: {{number: {gateway}, name: http, protocol: HTTP}}, hosts: ['*']}}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: raw}}
spec:
  hosts: [raw.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {upstream}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: raw}}
spec: {{hosts: ['*'], gateways: [edge], http: [{{route: [{{destination: {{host: raw.test}}}}]}}]}}
"""


class Upstream:
    """Accepts connections one after the other for a script: a function (socket, stream of request bytes)."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.script = None
        self.requests = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        with contextlib.suppress(OSError), peer:
            peer.settimeout(20)
            reader = peer.makefile("rb")
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = reader.readline()
                    if not line:
                        return
                    head += line
                self.requests.append(head)
                if not self.script(peer, reader, head):
                    return

    def close(self):
        self.listener.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def setup():
    upstream = Upstream()
    gateway = free_port()
    with Mesh() as mesh:
        mesh.apply(GATEWAY.format(gateway=gateway, upstream=upstream.port))

        def listening():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", gateway), 1):
                return True

        until(listening, 5, "the gateway")
        yield gateway, upstream
    upstream.close()


@pytest.fixture
def wire(setup):
    gateway, upstream = setup
    upstream.requests.clear()
    client = socket.create_connection(("127.0.0.1", gateway), 10)
    client.settimeout(10)
    yield client, client.makefile("rb"), upstream
    client.close()


def read_head(reader):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        assert line, f"the connection ended in the head: {head!r}"
        head += line
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict((k.lower(), v.strip()) for k, v in (l.split(":", 1) for l in lines[1:] if l))


def length_body(reader, headers):
    return reader.read(int(headers["content-length"]))


def read_chunked(reader):
    body, trailers = b"", {}
    while True:
        size = int(reader.readline().split(b";")[0], 16)
        if size == 0:
            break
        body += reader.read(size)
        assert reader.read(2) == b"\r\n"
    while (line := reader.readline()) != b"\r\n":
        name, value = line.decode().split(":", 1)
        trailers[name.lower()] = value.strip()
    return body, trailers


def answer(body, extra=b""):
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n%s" % (len(body), extra, body)


def test_keep_alive_and_pipelining(wire):
    client, reader, upstream = wire
    upstream.script = lambda peer, _, head: peer.sendall(answer(head.split()[1])) or True
    client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % i for i in range(10)))
    for i in range(10):
        status, headers = read_head(reader)
        assert (status, length_body(reader, headers)) == (200, b"/%d" % i)


def test_chunked_both_ways_with_trailers(wire):
    client, reader, upstream = wire

    def script(peer, stream, head):
        body, trailers = read_chunked(stream)
        peer.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n")
        peer.sendall(b"%x\r\n%s\r\n0\r\nx-sum: %s\r\n\r\n" % (len(body), body, trailers.get("x-in", "none").encode()))
        return True

    upstream.script = script
    client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nx-in: 7\r\n\r\n")
    status, headers = read_head(reader)
    assert status == 200 and headers["transfer-encoding"] == "chunked"
    assert read_chunked(reader) == (b"hello world", {"x-sum": "7"})


def test_head_has_a_length_and_no_body(wire):
    client, reader, upstream = wire
    upstream.script = lambda peer, _, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n") or True
    client.sendall(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n" * 2)
    for _ in range(2):
        status, headers = read_head(reader)
        assert status == 200 and headers["content-length"] == "1234"


def test_expect_continue(wire):
    client, reader, upstream = wire

    def script(peer, stream, head):
        assert b"expect: 100-continue" in head
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.sendall(answer(stream.read(5)))
        return True

    upstream.script = script
    client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
    assert read_head(reader)[0] == 100
    client.sendall(b"12345")
    status, headers = read_head(reader)
    assert (status, length_body(reader, headers)) == (200, b"12345")


def test_early_hints_go_through(wire):
    client, reader, upstream = wire
    upstream.script = lambda peer, _, head: peer.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + answer(b"ok")) or True
    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    status, headers = read_head(reader)
    if status == 103:
        status, headers = read_head(reader)
    assert (status, length_body(reader, headers)) == (200, b"ok")


def test_websocket_upgrade_is_raw_both_ways(wire):
    client, reader, upstream = wire
    key = base64.b64encode(b"0123456789abcdef")
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())

    def script(peer, stream, head):
        assert b"upgrade: websocket" in head.lower()
        peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: %s\r\n\r\n" % accept)
        while data := stream.read1(65536):
            peer.sendall(data.upper())
        return False

    upstream.script = script
    client.sendall(b"GET /chat HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: %s\r\n\r\n" % key)
    status, headers = read_head(reader)
    assert status == 101 and headers["sec-websocket-accept"] == accept.decode() and headers["upgrade"] == "websocket"
    for word in (b"hello", b"\x00\x01binary"):
        client.sendall(word)
        assert reader.read(len(word)) == word.upper()
    client.shutdown(socket.SHUT_WR)
    assert reader.read() == b""


def test_a_large_body_streams_with_bounded_memory(setup, wire):
    client, reader, upstream = wire
    size = 64 * 1024 * 1024
    block = bytes(range(256)) * 4096

    def script(peer, stream, head):
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            peer.sendall(block)
        return True

    upstream.script = script
    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    status, headers = read_head(reader)
    digest, expected = hashlib.sha256(), hashlib.sha256()
    for _ in range(size // len(block)):
        digest.update(reader.read(len(block)))
        expected.update(block)
    assert status == 200 and digest.digest() == expected.digest()


def test_early_response_while_the_body_is_sent(wire):
    client, reader, upstream = wire
    upstream.script = lambda peer, _, head: peer.sendall(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n") and False
    client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + b"x" * 1000)
    assert read_head(reader)[0] == 413


def test_truncated_response_is_seen_as_truncated(wire):
    client, reader, upstream = wire
    upstream.script = lambda peer, _, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345") and False
    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    status, _ = read_head(reader)
    assert status == 200 and reader.read() == b"12345"


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 101 + b"\r\n", 431),
    (b"GARBAGE\r\n\r\n", 400),
], ids=["no-host", "two-hosts", "cl-and-te", "long-header", "many-headers", "garbage"])
def test_refusals(wire, request_bytes, status):
    client, reader, upstream = wire
    client.sendall(request_bytes)
    got, headers = read_head(reader)
    assert got == status and headers.get("connection") == "close"
    assert upstream.requests == []


def test_gateway_headers(wire):
    client, reader, upstream = wire
    upstream.script = lambda peer, _, head: peer.sendall(answer(b"ok")) or True
    client.sendall(b"GET /a/../b HTTP/1.1\r\nhost: A.test\r\nx-envoy-upstream-rq-timeout-ms: 1\r\n\r\n")
    status, headers = read_head(reader)
    assert status == 200 and headers["server"] == "istio-envoy" and "date" in headers
    assert headers["x-envoy-upstream-service-time"].isdigit()
    head = upstream.requests[0].decode().lower()
    assert head.startswith("get /b http/1.1\r\nhost: a.test\r\n"), head
    for name in ("x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-request-id: ", "x-envoy-attempt-count: 1"):
        assert name in head, head
    assert "x-envoy-upstream-rq-timeout-ms" not in head
