"""What a VirtualService asks for besides forwarding: delegates, mirrors, CORS, hashing, faults of gRPC. Real workloads and curl."""
import json
import threading

import pytest

from mesh import Mesh, until
from test_http import Upstream, answer

SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: [{host}], http: {http}}}
---
"""
RAW = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
"""


def service(http, host="web", name=None):
    return SERVICE.format(name=name or host, host=host, http=json.dumps(http))


def to(host, subset=None):
    return [{"destination": {"host": host, **({"subset": subset} if subset else {})}}]


@pytest.fixture(scope="module")
def mesh():
    with Mesh() as made:
        made.echo("web", "v1")
        yield made


@pytest.fixture
def mirrors(mesh):
    """Two upstreams that see what is sent to them, and answer nothing until told."""
    made = [Upstream(), Upstream()]
    mesh.apply("".join(RAW.format(name=f"mirror{i}", port=upstream.port) for i, upstream in enumerate(made)))
    yield made
    for upstream in made:
        upstream.close()


def test_mirrors_get_a_shadow_and_never_delay_the_client(mesh, mirrors):
    hang = threading.Event()
    for upstream in mirrors:
        upstream.script = lambda peer, reader, head: hang.wait(20) and False
    mesh.apply(service([{"route": to("web"), "mirrors": [{"destination": {"host": "mirror0.test", "port": {"number": 80}}},
                                                         {"destination": {"host": "mirror1.test", "port": {"number": 80}}}]}]))
    client = mesh.client()
    status, _, body, seconds = client.get("http://web:9080/shadowed?x=1")
    assert status == 200 and json.loads(body)["service"] == "web" and seconds < 5
    for upstream in mirrors:
        until(lambda: upstream.requests, 5, "the shadow")
        head = upstream.requests[0].decode()
        assert head.startswith("GET /shadowed?x=1 HTTP/1.1\r\n") and "\r\nhost: web:9080\r\n" in head, head   # istiod wants no -shadow
        assert "x-envoy-internal: true" in head
    hang.set()


def test_a_mirrors_errors_and_its_share(mesh, mirrors):
    mirrors[0].script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n") or True
    mesh.apply(service([{"route": to("web"), "mirror": {"host": "mirror0.test", "port": {"number": 80}}, "mirrorPercentage": {"value": 30}}]))
    client = mesh.client()
    statuses = {client.get("http://web:9080/")[0] for _ in range(400)}
    assert statuses == {200}
    until(lambda: len(mirrors[0].requests) > 70, 5, "a share of the requests")
    assert len(mirrors[0].requests) < 170 and mirrors[1].requests == []


def test_cors_by_curl(mesh):
    mesh.apply(service([{"route": to("web"), "corsPolicy": {
        "allowOrigins": [{"exact": "http://ok.test"}, {"regex": r"http://.*\.fine\.test"}], "allowMethods": ["GET", "POST"], "allowHeaders": ["x-a"],
        "exposeHeaders": ["x-e"], "maxAge": "60s", "allowCredentials": True}}]))

    def ask(origin, *options):
        text = mesh.curl("http://web:9080/", "-i", "-H", f"Origin: {origin}", *options).stdout
        return {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in text.split("\n\n")[0].splitlines()[1:])}, text.split()[1]

    until(lambda: "access-control-allow-origin" in ask("http://ok.test")[0], 5, "the policy")
    for origin in ("http://ok.test", "http://a.fine.test"):
        headers, status = ask(origin, "-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET")
        assert status == "200" and headers["access-control-allow-origin"] == origin
        assert headers["access-control-allow-methods"] == "GET,POST" and headers["access-control-allow-headers"] == "x-a"
        assert headers["access-control-max-age"] == "60" and headers["access-control-allow-credentials"] == "true"
        headers, status = ask(origin)
        assert headers["access-control-allow-origin"] == origin and headers["access-control-expose-headers"] == "x-e"
    headers, status = ask("http://bad.test")
    assert status == "200" and "access-control-allow-origin" not in headers


def test_delegates(mesh):
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{match: [{uri: {prefix: /leaf}}], delegate: {name: leaf}}, {route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf}
spec: {http: [{match: [{uri: {prefix: /leaf/gone}}], directResponse: {status: 410, body: {string: leaf}}}, {route: [{destination: {host: web}}], headers: {request: {set: {x-leaf: '1'}}}}]}
""")
    client = mesh.client()
    until(lambda: client.get("http://web:9080/leaf/gone/a")[0] == 410, 5, "the delegate")
    headers = json.loads(client.get("http://web:9080/leaf/a")[2])["headers"]
    assert headers["x-leaf"] == "1"
    assert "x-leaf" not in json.loads(client.get("http://web:9080/a")[2])["headers"]
    mesh.run("delete", "virtualservice", "leaf")


def test_consistent_hashing_by_header_and_by_a_cookie_that_is_made(mesh):
    for _ in range(2):
        mesh.echo("ring", "v1")
    policy = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: ring}}
spec: {{host: ring, trafficPolicy: {{loadBalancer: {{consistentHash: {hash}}}}}}}
"""
    client = mesh.client()

    def instances(headers):
        return {json.loads(client.get("http://ring:9080/", headers)[2])["instance"] for _ in range(10)}

    mesh.apply(policy.format(hash="{httpHeaderName: x-user}"))
    until(lambda: len(instances({"x-user": "anna"})) == 1, 5, "hashing")
    seen = [instances({"x-user": f"user{i}"}) for i in range(32)]
    assert all(len(one) == 1 for one in seen) and len(set.union(*seen)) == 2

    mesh.apply(policy.format(hash="{httpCookie: {name: sid, ttl: 60s, path: /x}}"))
    until(lambda: "set-cookie" in client.get("http://ring:9080/")[1], 5, "the cookie")
    _, headers, body, _ = client.get("http://ring:9080/")
    cookie = headers["set-cookie"]
    assert cookie.startswith('sid="') and cookie.endswith("; Max-Age=60; Path=/x; HttpOnly"), cookie
    with_it = instances({"Cookie": cookie.split(";")[0]})
    assert with_it == {json.loads(body)["instance"]}
    assert "set-cookie" not in client.get("http://ring:9080/", {"Cookie": cookie.split(";")[0]})[1]


def test_aborts_with_a_grpc_status(mesh):
    mesh.apply(service([{"route": to("web"), "fault": {"abort": {"grpcStatus": "NOT_FOUND", "percentage": {"value": 100}}}}]))
    client = mesh.client()
    until(lambda: "grpc-status" in client.get("http://web:9080/", {"Content-Type": "application/grpc"}, "POST")[1], 5, "the fault")
    status, headers, _, _ = client.get("http://web:9080/", {"Content-Type": "application/grpc"}, "POST")
    assert (status, headers["grpc-status"], headers["grpc-message"]) == (200, "5", "fault filter abort")


def test_rewritten_hosts_are_told(mesh):
    mesh.apply(service([{"route": to("web"), "rewrite": {"authority": "inner.test"}}]))
    client = mesh.client()

    def headers():
        return json.loads(client.get("http://web:9080/")[2])["headers"]

    until(lambda: headers()["host"] == "inner.test", 5, "the rewrite")
    assert headers()["x-envoy-original-host"] == "web:9080"


# MeshConfig's proxyHeaders, for all proxies of the mesh.
@pytest.mark.parametrize("disabled", [False, True])
def test_envoys_own_headers_may_be_left_out(tmp_path, disabled):
    config = tmp_path / "mesh.yaml"
    config.write_text(f"defaultConfig: {{proxyHeaders: {{envoyDebugHeaders: {{disabled: {json.dumps(disabled)}}}}}}}\n")
    with Mesh(options=["--mesh-config", str(config)]) as mesh:
        mesh.echo("web")
        mesh.apply(service([{"timeout": "3s", "rewrite": {"uri": "/new"}, "route": to("web")}]))
        until(lambda: json.loads(mesh.curl("http://web:9080/old").stdout)["path"] == "/newold", 5, "the rewrite")
        head, body = mesh.curl("http://web:9080/old", "-i").stdout.replace("\r", "").split("\n\n", 1)
        seen = {name.lower() for name in json.loads(body)["headers"]} | {line.split(":")[0].lower() for line in head.split("\n")[1:]}
        own = {"x-envoy-original-path", "x-envoy-expected-rq-timeout-ms", "x-envoy-upstream-service-time"}
        assert seen & own == (set() if disabled else own)
        assert "x-envoy-attempt-count" in seen
