"""Load balancing by DestinationRule, with the real program and real clients: hashing, localities, warm-up, PEAK_EWMA."""
import collections
import concurrent.futures
import json
import re
import time

import pytest

from mesh import Mesh, until

HOSTS = 5


def rule(policy, host="web", annotations="{}"):
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}, annotations: {annotations}}}
spec: {{host: {host}, trafficPolicy: {policy}}}
"""


def hash_by(key):
    return rule(f"{{loadBalancer: {{consistentHash: {{{key}}}}}}}")


def deploy(mesh, hosts=HOSTS):
    for number in range(hosts):
        mesh.echo("web", f"v{number}")


def pod(body):
    return json.loads(body)["version"]


def owners(client, requests):
    """The pod that answered each of the requests (url, headers)."""
    out = []
    for url, headers in requests:
        status, _, body, _ = client.get(url, headers)
        assert status == 200, (status, body)
        out.append(pod(body))
    return out


def host_port(mesh, service):
    cluster = mesh.clusters()[f"outbound|9080||{service}.default.svc.cluster.local"]
    return cluster["host_statuses"][0]["address"]["socket_address"]["port_value"]


BY_HEADER = [("http://web:9080/", {"x-user": f"user-{i}"}) for i in range(40)]
BY_QUERY = [(f"http://web:9080/?user=user-{i}", {}) for i in range(40)]
BY_COOKIE = [("http://web:9080/", {"cookie": f"user=user-{i}"}) for i in range(40)]


@pytest.mark.parametrize("table", ["", ", ringHash: {minimumRingSize: 4096}", ", maglev: {tableSize: 65537}"], ids=["default", "ring", "maglev"])
@pytest.mark.parametrize("key, requests", [
    ("httpHeaderName: x-user", BY_HEADER), ("httpQueryParameterName: user", BY_QUERY),
    ("httpCookie: {name: user, ttl: 0s}", BY_COOKIE)], ids=["header", "query", "cookie"])
def test_the_same_key_goes_to_the_same_pod_on_every_worker(key, requests, table):
    with Mesh(concurrency=2) as mesh:
        deploy(mesh)
        mesh.apply(hash_by(key + table))
        first = owners(mesh.client(), requests)
        assert len(set(first)) == HOSTS, first
        # Each client is a connection of its own: some come to the other worker.
        for _ in range(4):
            assert owners(mesh.client(), requests) == first


def test_a_key_without_a_value_goes_anywhere(mesh):
    deploy(mesh)
    mesh.apply(hash_by("httpHeaderName: x-user"))
    assert len(set(owners(mesh.client(), [("http://web:9080/", {})] * 60))) == HOSTS


def test_one_source_ip_goes_to_one_pod(mesh):
    deploy(mesh)
    mesh.apply(hash_by("useSourceIp: true"))
    assert len(set(owners(mesh.client(), [("http://web:9080/", {})] * 40))) == 1


def test_a_missing_cookie_is_made_and_keeps_its_client(mesh):
    deploy(mesh)
    mesh.apply(hash_by("httpCookie: {name: stick, ttl: 60s, path: /}"))
    for _ in range(5):
        done = mesh.curl("http://web:9080/", "-D", "-")
        cookie = re.search(r"(?im)^set-cookie: (stick=\"?[0-9a-f]+\"?);.*Max-Age=60.*Path=/", done.stdout)
        assert cookie, done.stdout
        made_for = pod(done.stdout.split("\n\n", 1)[1])
        for _ in range(5):
            again = mesh.curl("http://web:9080/", "-D", "-", "-H", f"cookie: {cookie.group(1)}").stdout
            assert "set-cookie" not in again.lower(), again
            assert pod(again.split("\n\n", 1)[1]) == made_for


@pytest.mark.parametrize("hosts", [3, 5])
def test_one_pod_more_moves_few_keys(mesh, hosts):
    deploy(mesh, hosts)
    mesh.apply(hash_by("httpHeaderName: x-user, maglev: {tableSize: 65537}"))
    requests = [("http://web:9080/", {"x-user": f"k{i}"}) for i in range(1500)]
    client = mesh.client()
    before = owners(client, requests)
    mesh.echo("web", "vnew")
    until(lambda: len({pod(client.get("http://web:9080/", {"x-user": f"p{i}"})[2]) for i in range(60)}) == hosts + 1, 5, "the new pod to serve")
    after = owners(client, requests)
    moved = sum(a != b for a, b in zip(before, after))
    assert moved <= 1.3 / hosts * len(requests), moved


def test_warm_up_gives_a_new_pod_a_growing_share(mesh):
    mesh.echo("web", "v1")
    mesh.echo("web", "v2")
    mesh.apply(rule("{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 4s, minimumPercent: 10}}}"))
    client = mesh.client()
    # A view begins with its first request, and its first pods warm up like all others: they must be through with it.
    begun = time.monotonic()
    assert set(client.versions("http://web:9080/", 10)) == {"v1", "v2"}
    until(lambda: time.monotonic() > begun + 4.1, 6, "the first two to be warm")
    mesh.echo("web", "v3")
    until(lambda: client.versions("http://web:9080/", 20).get("v3"), 5, "the first request to the new pod")
    early = client.versions("http://web:9080/", 150)
    assert early["v3"] < 35, early
    until(lambda: client.versions("http://web:9080/", 60).get("v3", 0) >= 18, 12, "an even share")


def test_peak_ewma_gives_a_slow_pod_less(mesh):
    mesh.echo("web", "fast-1")
    mesh.echo("web", "fast-2")
    mesh.echo("web", "slow", "--delay", "200ms")
    mesh.apply(rule("{loadBalancer: {simple: LEAST_REQUEST}}", annotations="{lateen.dev/load-balancer: PEAK_EWMA}"))
    seen = mesh.client().versions("http://web:9080/", 90)
    assert seen.get("slow", 0) <= 6, seen


LOCALITIES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: places}}
spec:
  hosts: [places.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: {near}}}, locality: region1/zone1}}
  - {{address: 127.0.0.1, ports: {{http: {far}}}, locality: region2/zone1}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: caller, labels: {{app: caller}}}}
spec: {{address: 127.0.0.9, labels: {{app: caller}}, locality: region1/zone1}}
"""


def test_traffic_stays_in_the_region_until_its_pods_fail(mesh):
    ports = {}
    mesh.echo("near", "near", "--fail-first", "0")
    mesh.echo("far", "far")
    for name in ("near", "far"):
        ports[name] = host_port(mesh, name)
    mesh.apply(LOCALITIES.format(**ports))
    mesh.apply(rule("{loadBalancer: {localityLbSetting: {enabled: true, failover: [{from: region1, to: region2}]}}, "
                    "outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 100}}",
                    host="places.test"))
    client = mesh.client("caller")
    assert client.versions("http://places.test/", 20) == {"near": 20}
    seen = mesh.clusters("caller")["outbound|80||places.test"]["host_statuses"]
    assert {h["locality"]["region"]: h.get("priority", 0) for h in seen} == {"region1": 0, "region2": 1}
    mesh.processes[0].terminate()
    mesh.processes[0].wait(5)
    until(lambda: client.get("http://places.test/")[0] == 200, 5, "the failover")
    assert client.versions("http://places.test/", 20) == {"far": 20}


def test_traffic_is_distributed_by_weights(mesh):
    ports = {}
    for name in ("near", "far"):
        mesh.echo(name, name)
        ports[name] = host_port(mesh, name)
    mesh.apply(LOCALITIES.format(**ports))
    mesh.apply(rule("{loadBalancer: {localityLbSetting: {enabled: true, distribute: [{from: region1/*, to: {region1/*: 80, region2/*: 20}}]}}, "
                    "outlierDetection: {consecutive5xxErrors: 7}}", host="places.test"))
    seen = collections.Counter(mesh.client("caller").versions("http://places.test/", 200))
    assert abs(seen["near"] - 160) <= 4, seen


def test_retries_beyond_the_budget_are_not_made(mesh):
    mesh.echo("web", "v1", "--status", "503", "--delay", "300ms")
    mesh.apply(rule("{retryBudget: {percent: 10, minRetryConcurrency: 1}}"))
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}], retries: {attempts: 1, retryOn: 5xx}}]}
""")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: mesh.client().get("http://web:9080/")[0], range(10)))
    assert statuses == [503] * 10
    hosts = mesh.clusters()["outbound|9080||web.default.svc.cluster.local"]["host_statuses"]
    total = next(int(s["value"]) for s in hosts[0]["stats"] if s["name"] == "rq_total")
    assert 11 <= total <= 15, total


def test_passthrough_goes_where_the_client_meant_to_go(mesh):
    mesh.echo("web", "v1")
    port = host_port(mesh, "web")
    mesh.apply(f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: here}}
spec:
  hosts: [here.test]
  addresses: [127.0.0.1]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  endpoints: [{{address: nowhere.invalid}}]
""")
    client = mesh.client()
    assert client.get(f"http://127.0.0.1:{port}/")[0] == 503
    mesh.apply(rule("{loadBalancer: {simple: PASSTHROUGH}}", host="here.test"))
    status, _, body, _ = client.get(f"http://127.0.0.1:{port}/")
    assert status == 200, body
    assert pod(body) == "v1"


CLIENTS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: clients}
spec: {hosts: [clients.test], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: caller}}}
---
""" + "".join(f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}}}
spec: {{address: 127.0.0.{10 + i}, locality: here/{zone}, labels: {{app: caller}}}}
---
""" for i, (name, zone) in enumerate((("caller", "a"), ("caller-2", "b"))))
ZONED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: zoned}}
spec:
  hosts: [zoned.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: zoned}}
spec: {{host: zoned.test, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN, zoneAwareLbSetting: {setting}}}}}}}
"""


def test_zone_aware_routing(mesh_1_and_4):
    """Half of the callers are in zone a. With 3 of 4 endpoints there, all of their requests stay; with 1 of 4 (25 % for half
    of the callers), every second one does."""
    from test_http import Upstream
    mesh = mesh_1_and_4
    upstreams = [Upstream() for _ in range(4)]
    for upstream in upstreams:
        upstream.script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") or True

    def shares(zones, setting, identity="caller", count=400):
        endpoints = ", ".join(f"{{address: 127.0.0.1, ports: {{http: {u.port}}}, locality: here/{zone}}}" for u, zone in zip(upstreams, zones))
        mesh.apply(CLIENTS + ZONED.format(endpoints=endpoints, setting=setting))
        client = mesh.client(identity)
        for upstream in upstreams:
            upstream.requests.clear()
        for _ in range(count):
            assert client.get("http://zoned.test/")[0] == 200
        return sum(len(u.requests) for u, zone in zip(upstreams, zones) if zone == "a") / count

    assert shares("aaab", "{minClusterSize: 1}") == 1
    assert 0.4 < shares("abbb", "{minClusterSize: 1}") < 0.6
    assert 0.15 < shares("abbb", "{minClusterSize: 6}") < 0.35          # too small a cluster: everybody gets the same
    assert 0.15 < shares("abbb", "{minClusterSize: 1, enabled: false}") < 0.35
    assert 0.15 < shares("abbb", "{minClusterSize: 1}", "stranger") < 0.35   # whose place nobody knows
    assert 0.4 < shares("aaab", "{minClusterSize: 1}", "caller-2") < 0.6     # zone b: half of what it needs is there
    for upstream in upstreams:
        upstream.close()
