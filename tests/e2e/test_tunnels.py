"""CONNECT that ends at the proxy, tunnels through a proxy of HTTP/2, and WebSocket over both versions."""
import base64
import contextlib
import hashlib
import json
import socket
import subprocess
import threading

import pytest

from h2_client import H2Client
from h2_server import H2Server
from mesh import Mesh, until
from test_http import Upstream

# A gateway that ends CONNECT: what istiod has no words for is written as patches.
ENDS_CONNECT = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec: {{selector: {{istio: ingressgateway}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: edge}}
spec: {{hosts: ['*'], gateways: [edge], http: [{{route: [{{destination: {{host: inner.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: inner}}
spec:
  hosts: [inner.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: connect, namespace: istio-system}}
spec:
  configPatches:
  - applyTo: NETWORK_FILTER
    match: {{context: GATEWAY, listener: {{filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager}}}}}}}}
    patch:
      operation: MERGE
      value:
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          http2_protocol_options: {{allow_connect: true}}
          upgrade_configs: [{{upgrade_type: CONNECT}}]
  - applyTo: HTTP_ROUTE
    match: {{context: GATEWAY}}
    patch:
      operation: INSERT_FIRST
      value:
        name: tunnel
        match: {{connect_matcher: {{}}}}
        route:
          cluster: outbound|80||inner.test
          upgrade_configs: [{{upgrade_type: CONNECT, connect_config: {{}}}}]
  - applyTo: HTTP_ROUTE
    match: {{context: GATEWAY}}
    patch:
      operation: INSERT_FIRST
      value:
        name: tunnel-by-post
        match: {{path: /, headers: [{{name: ":method", string_match: {{exact: POST}}}}]}}
        route:
          cluster: outbound|80||inner.test
          upgrade_configs: [{{upgrade_type: CONNECT, connect_config: {{allow_post: true}}}}]
---
"""
# TCP that comes in at a port of the mesh and goes through the gateway above, as a tunnel of HTTP/2.
THROUGH = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: far}}
spec:
  hosts: [far.test]
  addresses: [240.0.0.77]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 7000, name: tcp, protocol: TCP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tcp: 1}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: forward}}
spec:
  hosts: [forward.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 3128, name: tcp, protocol: TCP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tcp: {gateway}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: forward}}
spec:
  host: forward.test
  trafficPolicy:
    tunnel: {{protocol: {protocol}, targetHost: far.test, targetPort: 7000}}
    connectionPool: {{http: {{h2UpgradePolicy: {upgrade}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: far}}
spec:
  hosts: [far.test]
  tcp: [{{match: [{{port: 7000}}], route: [{{destination: {{host: forward.test, port: {{number: 3128}}}}}}]}}]
"""


class TcpEcho:
    """Sends back what comes; at the end of it, "end" and its own end."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        with contextlib.suppress(OSError), peer:
            while data := peer.recv(65536):
                peer.sendall(data)
            peer.sendall(b"end")

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def mesh():
    with Mesh(options=["--gateway-port", "80=0"]) as made:
        yield made


@pytest.fixture(scope="module")
def echo():
    made = TcpEcho()
    yield made
    made.close()


def gateway_address(mesh):
    return until(lambda: json.loads((mesh.folder / "ports.json").read_text()).get("gateway-80"), 10, "the gateway's port")


def read_all(peer):
    data = b""
    while piece := peer.recv(65536):
        data += piece
    return data


def connect(address, target="far.test:7000"):
    """(socket, status line) behind the answer to a CONNECT of HTTP/1.1."""
    host, port = address.rsplit(":", 1)
    peer = socket.create_connection((host, int(port)), timeout=20)
    peer.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = peer.recv(1)
        if not byte:
            break
        head += byte
    return peer, head.split(b"\r\n")[0].decode()


BIG = bytes(range(256)) * 8192   # 2 MiB


def test_connect_over_http1_ends_at_the_gateway(mesh, echo):
    mesh.apply(ENDS_CONNECT.format(port=echo.port))
    until(lambda: connect(gateway_address(mesh))[1].startswith("HTTP/1.1 200"), 10, "the tunnel")
    peer, _ = connect(gateway_address(mesh))
    with peer:
        peer.sendall(b"hello")
        assert peer.recv(5) == b"hello"
        sender = threading.Thread(target=peer.sendall, args=(BIG,))
        sender.start()
        got = b""
        while len(got) < len(BIG):
            got += peer.recv(65536)
        sender.join()
        assert got == BIG
        peer.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"end"


def test_connect_over_http2_ends_at_the_gateway(mesh, echo):
    mesh.apply(ENDS_CONNECT.format(port=echo.port))
    with H2Client(gateway_address(mesh)) as client:
        streams = [client.start([(":method", "CONNECT"), (":authority", f"far.test:{7000 + i}")], end=False) for i in range(3)]
        client.wait(lambda: all(client.answers[stream].status == 200 for stream in streams))
        for i, stream in enumerate(streams):
            client.send(stream, f"hello {i}".encode())
        client.wait(lambda: all(client.answers[stream].body == f"hello {i}".encode() for i, stream in enumerate(streams)))
        client.send(streams[0], b"", end=True)
        client.wait(lambda: client.answers[streams[0]].ended)
        assert client.answers[streams[0]].body == b"hello 0end" and client.answers[streams[0]].reset is None
        # The others go on.
        client.send(streams[1], b"!")
        client.wait(lambda: client.answers[streams[1]].body == b"hello 1!")


def test_a_tunnel_to_nobody_is_answered_503(mesh, echo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    mesh.apply(ENDS_CONNECT.format(port=port))
    until(lambda: connect(gateway_address(mesh))[1].startswith("HTTP/1.1 503"), 10, "the refusal")
    with H2Client(gateway_address(mesh)) as client:
        stream = client.start([(":method", "CONNECT"), (":authority", "far.test:7000")], end=False)
        client.wait(lambda: client.answers[stream].status is not None)
        assert client.answers[stream].status == 503


def test_curl_through_the_tunnel(mesh):
    upstream = Upstream()
    upstream.script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ninside") or True
    mesh.apply(ENDS_CONNECT.format(port=upstream.port))

    def curl():
        return subprocess.run(["curl", "-s", "--max-time", "10", "--proxytunnel", "-x", f"http://{gateway_address(mesh)}", "http://far.test:7000/a"],
                              capture_output=True, text=True).stdout

    until(lambda: curl() == "inside", 10, "the answer from the end of the tunnel")
    # The endpoint got the bytes of the tunnel and nothing else: no head of the CONNECT, no header of a proxy.
    assert upstream.requests[-1].startswith(b"GET /a HTTP/1.1\r\nHost: far.test:7000\r\nUser-Agent: curl/") and b"x-" not in upstream.requests[-1]
    upstream.close()


@pytest.mark.parametrize("protocol", ["CONNECT", "POST"])
@pytest.mark.parametrize("upgrade", ["DO_NOT_UPGRADE", "UPGRADE"], ids=["http1", "http2"])
def test_tcp_goes_through_a_tunnel(mesh, echo, upgrade, protocol):
    gateway = gateway_address(mesh).rsplit(":", 1)[1]
    mesh.apply(ENDS_CONNECT.format(port=echo.port) + THROUGH.format(gateway=gateway, protocol=protocol, upgrade=upgrade))
    before = downstream_protocols(mesh)

    def ask():
        done = mesh.run("exec", "--as", "sleep", "--", "/usr/bin/python3", "-c",
                        "import socket; s = socket.create_connection(('far.test', 7000), 10); s.sendall(b'x' * 300000 + b'y'); s.shutdown(1)\n"
                        "d = b''\nwhile p := s.recv(65536): d += p\nprint(len(d), d[-4:])", check=False)
        return done.stdout.strip()

    until(lambda: ask() == "300004 b'yend'", 10, "the answer from behind the tunnel")
    after = downstream_protocols(mesh)
    changed = {key for key in after if after[key] > before.get(key, 0)}
    # A connection of HTTP/2 may be there already.
    assert changed == {"http1"} if upgrade == "DO_NOT_UPGRADE" else changed <= {"http2"} and after["http2"] > 0, (before, after)


def downstream_protocols(mesh):
    """How many connections of each version of HTTP the gateway has taken."""
    _, text = mesh.admin("/stats")
    out = {}
    for line in text.splitlines():
        for version in ("http1", "http2"):
            if f"downstream_cx_{version}_total" in line and "80" in line:
                out[version] = out.get(version, 0) + int(line.rsplit(":", 1)[1])
    return out


# ---- WebSocket: the upgrade of HTTP/1.1 and the extended CONNECT of HTTP/2 (RFC 8441), mixed

class WebSocketServer(TcpEcho):
    """Takes an upgrade of HTTP/1.1, then sends back what comes."""

    def __init__(self):
        self.heads = []
        super().__init__()

    def talk(self, peer):
        with contextlib.suppress(OSError), peer:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += peer.recv(1)
            self.heads.append(head)
            key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            while data := peer.recv(65536):
                peer.sendall(data)


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="   # RFC 6455, section 1.3


def websocket_over_http1(address):
    """(socket behind the 101, its head)"""
    host, port = address.rsplit(":", 1)
    peer = socket.create_connection((host, int(port)), timeout=20)
    peer.sendall(f"GET /chat HTTP/1.1\r\nHost: inner.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = peer.recv(1)
        if not byte:
            break
        head += byte
    return peer, head.decode().lower()


def talk_over_http1(address):
    peer, head = websocket_over_http1(address)
    with peer:
        assert head.startswith("http/1.1 101 ") and f"sec-websocket-accept: {ACCEPT}".lower() in head, head
        for piece in (b"ping", BIG[:200_000]):
            sender = threading.Thread(target=peer.sendall, args=(piece,))
            sender.start()
            got = b""
            while len(got) < len(piece):
                got += peer.recv(65536)
            sender.join()
            assert got == piece


def talk_over_http2(address):
    with H2Client(address) as client:
        client.wait(client.settings_known)
        stream = client.start([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "inner.test"), (":path", "/chat"),
                               ("sec-websocket-version", "13")], end=False)
        answer = client.answers[stream]
        client.wait(lambda: answer.status is not None)
        assert answer.status == 200, (answer.status, answer.headers)
        client.send(stream, b"ping")
        client.wait(lambda: answer.body == b"ping")
        client.send(stream, b"pong")
        client.wait(lambda: answer.body == b"pingpong")


TO_HTTP2 = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: inner}
spec: {host: inner.test, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}}
"""


def test_websocket_to_an_upstream_of_http1(mesh):
    server = WebSocketServer()
    mesh.apply(ENDS_CONNECT.format(port=server.port))
    mesh.run("delete", "destinationrule", "inner", check=False)
    until(lambda: websocket_over_http1(gateway_address(mesh))[1].startswith("http/1.1 101"), 10, "the upgrade")
    talk_over_http1(gateway_address(mesh))
    talk_over_http2(gateway_address(mesh))
    assert server.heads[-1].startswith(b"GET /chat HTTP/1.1\r\n") and b"upgrade: websocket" in server.heads[-1].lower()
    server.close()


def test_websocket_to_an_upstream_of_http2(mesh):
    server = H2Server()
    mesh.apply(ENDS_CONNECT.format(port=server.port) + TO_HTTP2)
    until(lambda: websocket_over_http1(gateway_address(mesh))[1].startswith("http/1.1 101"), 10, "the upgrade")
    talk_over_http1(gateway_address(mesh))
    talk_over_http2(gateway_address(mesh))
    seen = server.calls[-1].headers
    assert (seen[":method"], seen[":protocol"], seen[":path"]) == ("CONNECT", "websocket", "/chat")
    server.close()
