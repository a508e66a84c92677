"""The inbound side of a Sidecar: listeners with a bind of their own in front of a workload."""
import concurrent.futures
import contextlib
import json
import socket
import threading

import pytest

from mesh import Mesh, until
from test_http import Upstream, free_port
from test_tunnels import TcpEcho

WORKLOAD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: app}}
spec:
  hosts: [app.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  workloadSelector: {{labels: {{app: app}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: app-1}}
spec: {{address: 127.0.0.1, labels: {{app: app}}}}
---
"""
SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: app}}
spec:
  workloadSelector: {{labels: {{app: app}}}}
  ingress: [{ingress}]
"""


def listener(port, to, protocol="HTTP", more=""):
    return f"{{port: {{number: {port}, protocol: {protocol}, name: p{port}}}, bind: 127.0.0.1, defaultEndpoint: '127.0.0.1:{to}'{more}}}"


@pytest.fixture
def mesh(request):
    with Mesh() as made:
        yield made


@pytest.fixture
def upstream():
    made = Upstream()
    made.script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") or True
    yield made
    made.close()


def opened(mesh, port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    return False


def test_requests_and_bytes_go_through_the_workloads_own_listeners(mesh, upstream):
    port, tcp_port, echo = free_port(), free_port(), TcpEcho()
    mesh.apply(WORKLOAD.format(port=port) + SIDECAR.format(ingress=listener(port, upstream.port) + ", " + listener(tcp_port, echo.port, "TCP")))
    until(lambda: opened(mesh, port), 5, "the listener")
    client = mesh.client()
    assert client.get("http://app.test/a")[2] == b"ok"
    assert upstream.requests[-1].startswith(b"GET /a HTTP/1.1\r\nhost: app.test\r\n")
    with socket.create_connection(("127.0.0.1", tcp_port), timeout=10) as peer:
        peer.sendall(b"hello")
        peer.shutdown(socket.SHUT_WR)
        data = b""
        while piece := peer.recv(100):
            data += piece
    assert data == b"helloend"
    assert f"127.0.0.1 {port} " in " ".join(mesh.run("proxy-config", "listener", "inbound:default/app-1").stdout.split())
    assert any(key.startswith("inbound-default/app-1-") for key in json.loads((mesh.folder / "ports.json").read_text()))
    # Another endpoint, while it runs; and away with all of it.
    other = Upstream()
    other.script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother") or True
    mesh.apply(SIDECAR.format(ingress=listener(port, other.port)))
    until(lambda: client.get("http://app.test/")[2] == b"other", 5, "the new endpoint")
    assert not opened(mesh, tcp_port)
    mesh.run("delete", "sidecar", "app")
    until(lambda: not opened(mesh, port), 5, "the listener to close")
    for server in (other, echo):
        server.close()


def test_limits_in_front_of_the_workload(mesh, upstream):
    port = free_port()
    go = threading.Event()
    upstream.script = lambda peer, reader, head: go.wait(20) and (peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") or True)
    limits = ", connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"
    mesh.apply(WORKLOAD.format(port=port) + SIDECAR.format(ingress=listener(port, upstream.port, more=limits)) + """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app}
spec: {hosts: [app.test], http: [{retries: {attempts: 0}, route: [{destination: {host: app.test}}]}]}
""")
    until(lambda: opened(mesh, port), 5, "the listener")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(lambda: mesh.client().get("http://app.test/")[0]) for _ in range(8)]
        until(lambda: sum(one.done() for one in asked) >= 4, 10, "the overflow")   # a worker may always have one connection
        go.set()
        codes = [one.result() for one in asked]
    assert set(codes) == {200, 503} and codes.count(200) <= 4, codes


def test_a_port_that_is_taken_is_named(mesh, upstream):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mesh.apply(WORKLOAD.format(port=port) + SIDECAR.format(ingress=listener(port, upstream.port)))
        until(lambda: "LTN0908" in mesh.run("get", "sidecar").stderr, 5, "the problem")
        assert f"cannot listen on 127.0.0.1:{port}" in mesh.run("get", "sidecar").stderr
    until(lambda: mesh.client().get("http://app.test/")[0] == 200, 10, "the listener, once the port is free")
