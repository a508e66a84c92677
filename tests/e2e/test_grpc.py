"""What depends on the status of gRPC, over real HTTP/2 from end to end: retries, timeouts, faults, ejections."""
import base64
import time

import pytest

from h2_client import H2Client
from h2_server import H2Server
from mesh import Mesh, until

CONFIG = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: calls}}
spec:
  hosts: [calls.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: grpc, protocol: GRPC}}]
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: calls}}
spec: {{hosts: [calls.test], http: [{{{http}route: [{{destination: {{host: calls.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: calls}}
spec: {{host: calls.test, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}{policy}}}}}
"""
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
OK = ([("content-type", "application/grpc")], b"\0\0\0\0\2ok", [("grpc-status", "0")])


def failure(status, message="no"):
    """Trailers only: what servers answer that refuse a call."""
    return ([("content-type", "application/grpc"), ("grpc-status", str(status)), ("grpc-message", message)], b"", [])


def late_failure(status):
    return ([("content-type", "application/grpc")], b"\0\0\0\0\2ok", [("grpc-status", str(status))])


@pytest.fixture(scope="module")
def mesh():
    with Mesh() as made:
        yield made


@pytest.fixture
def servers():
    made = [H2Server(), H2Server()]
    yield made
    for server in made:
        server.close()


def client(mesh, target="calls.test:80"):
    """HTTP/2 as workload `sleep`, through the mesh's forward proxy."""
    def tunnel(raw):
        credentials = base64.b64encode(b"sleep:mesh").decode()
        raw.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += raw.recv(1)
        assert head.startswith(b"HTTP/1.1 200"), head
        return raw
    return H2Client(mesh.ports["http-proxy"], tunnel)


def call(mesh, *headers):
    """(grpc-status, Answer, seconds)"""
    begin = time.monotonic()
    with client(mesh) as connection:
        answer = connection.request("POST", "calls.test", "/Calls/One", [*GRPC, *headers], b"\0\0\0\0\2hi")
    status = answer.trailers.get("grpc-status", answer.headers.get("grpc-status"))
    return status and int(status), answer, time.monotonic() - begin


def serve(mesh, servers, http="", policy="", wait=True):
    endpoints = ", ".join(f"{{address: 127.0.0.1, ports: {{grpc: {server.port}}}}}" for server in servers)
    mesh.apply(CONFIG.format(endpoints=endpoints, http=http, policy=policy))
    for server in servers:
        server.calls.clear()


def test_a_call_is_http2_all_the_way(mesh, servers):
    servers[0].script = lambda request, number: OK
    serve(mesh, servers[:1])
    status, answer, _ = call(mesh)
    assert (status, answer.status, answer.body, answer.trailers) == (0, 200, b"\0\0\0\0\2ok", {"grpc-status": "0"})
    seen = servers[0].calls[-1]
    assert (seen.headers[":path"], seen.headers["te"], seen.body) == ("/Calls/One", "trailers", b"\0\0\0\0\2hi")


@pytest.mark.parametrize("on, status, tries", [("unavailable", 14, 3), ("resource-exhausted", 8, 3), ("deadline-exceeded", 4, 3), ("cancelled", 1, 3),
                                               ("internal", 13, 3), ("unavailable", 5, 1)])
def test_retries_by_status(mesh, servers, on, status, tries):
    servers[0].script = lambda request, number: failure(status)
    serve(mesh, servers[:1], http=f"retries: {{attempts: 2, retryOn: {on}}}, ")
    assert call(mesh)[0] == status
    assert len(servers[0].calls) == tries
    # The second try succeeds: nobody sees the first.
    servers[0].calls.clear()
    servers[0].script = lambda request, number: failure(status) if number == 1 else OK
    if tries > 1:
        assert call(mesh)[0] == 0 and len(servers[0].calls) == 2


def test_a_status_in_the_trailers_is_not_tried_again(mesh, servers):
    servers[0].script = lambda request, number: late_failure(14)
    serve(mesh, servers[:1], http="retries: {attempts: 2, retryOn: unavailable}, ")
    status, answer, _ = call(mesh)
    assert (status, answer.body, len(servers[0].calls)) == (14, b"\0\0\0\0\2ok", 1)


def test_timeouts_of_the_route_and_of_the_caller(mesh, servers):
    servers[0].script = lambda request, number: None
    serve(mesh, servers[:1], http="timeout: 0.3s, ")
    status, answer, seconds = call(mesh)
    assert status == 14 and 0.25 < seconds < 5, (status, answer.headers, seconds)   # as Envoy 1.40
    serve(mesh, servers[:1])
    status, answer, seconds = call(mesh, ("grpc-timeout", "300m"))
    assert status in (4, 14) and 0.25 < seconds < 5, (status, answer.headers, seconds)
    serve(mesh, servers[:1], http="retries: {attempts: 1, perTryTimeout: 0.2s, retryOn: 'deadline-exceeded,unavailable,5xx'}, ")
    status, _, seconds = call(mesh)
    assert status in (4, 14) and 0.35 < seconds < 5 and len(servers[0].calls) == 2, (status, seconds, len(servers[0].calls))


def test_faults(mesh, servers):
    servers[0].script = lambda request, number: OK
    serve(mesh, servers[:1], http="fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}, ")
    status, answer, _ = call(mesh)
    assert (status, answer.status, answer.headers["grpc-message"], servers[0].calls) == (14, 200, "fault filter abort", [])
    serve(mesh, servers[:1], http="fault: {delay: {fixedDelay: 0.4s, percentage: {value: 100}}}, ")
    status, _, seconds = call(mesh)
    assert status == 0 and seconds > 0.4


@pytest.mark.parametrize("kind", ["headers", "trailers"])
def test_an_endpoint_that_answers_unavailable_is_ejected(mesh, servers, kind):
    bad = failure(14) if kind == "headers" else late_failure(14)
    servers[0].script = lambda request, number: bad
    servers[1].script = lambda request, number: OK
    serve(mesh, servers, http="retries: {attempts: 0}, ",
          policy=", outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 100}")
    seen = [call(mesh)[0] for _ in range(12)]
    assert 3 <= seen.count(14) <= 5 and seen[-5:] == [0] * 5, seen
    # Statuses that say nothing about the endpoint do not count.
    servers[1].script = lambda request, number: failure(5)
    assert [call(mesh)[0] for _ in range(8)] == [5] * 8
