"""The three exercises of the tutorial, and the limits, at concurrency 1 and 4."""
import concurrent.futures
import json
import math

from mesh import DATA, Mesh, until

SUBSETS = "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"


def rule(policy="", host="web", subsets="[]"):
    policy = f"trafficPolicy: {policy}, " if policy else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec: {{host: {host}, {policy}subsets: {subsets}}}
"""


def service(http, host="web"):
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {host}}}
spec: {{hosts: [{host}], http: {http}}}
"""


def test_exercise_1_eighty_twenty(mesh):
    mesh.echo("web", "v1", "--body", "one")
    mesh.echo("web", "v2", "--body", "two")
    mesh.apply(rule(subsets=SUBSETS))
    mesh.apply(service("[{route: [{destination: {host: web, subset: v1}, weight: 80}, {destination: {host: web, subset: v2}, weight: 20}]}]"))
    seen = mesh.client().versions("http://web:9080/", 100)
    assert set(seen) == {"v1", "v2"} and sum(seen.values()) == 100 and abs(seen["v2"] - 20) <= 16, seen
    seen = mesh.client().versions("http://web:9080/", 10_000)
    assert abs(seen["v2"] - 2000) <= 4 * math.sqrt(10_000 * 0.2 * 0.8), seen


OUTLIER = "{outlierDetection: {consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 50}}"


def ejected(mesh, health=False):
    found = [h for c in mesh.clusters().values() if "|web." in c["name"] for h in c.get("host_statuses", [])
             if h.get("health_status", {}).get("failed_outlier_check")]
    return len(found)


def test_exercise_2_one_pod_that_always_fails(mesh_1_and_4):
    mesh = mesh_1_and_4
    mesh.echo("web", "v1", "--status", "500")
    mesh.apply(rule(OUTLIER))
    client = mesh.client()
    statuses = [client.get("http://web:9080/")[0] for _ in range(6)]
    assert statuses[:2] == [500, 500], statuses
    until(lambda: ejected(mesh) == 1, 5, "the ejection")
    status, _, body, _ = client.get("http://web:9080/")
    assert (status, body) == (503, b"no healthy upstream")
    table = mesh.run("proxy-config", "cluster", "sleep").stdout
    line = next(row for row in table.splitlines() if row.startswith("web.default"))
    assert "1/1" in line and "s left" in line, table
    assert "FAILED" in mesh.run("proxy-config", "endpoint", "sleep").stdout
    until(lambda: ejected(mesh) == 0, 10, "the return")
    assert client.get("http://web:9080/")[0] == 500


def test_exercise_2_one_bad_pod_of_three(mesh_1_and_4):
    mesh = mesh_1_and_4
    mesh.echo("web", "v1")
    mesh.echo("web", "v1")
    mesh.echo("web", "v2", "--status", "500")
    mesh.apply(rule(OUTLIER.replace("baseEjectionTime: 2s", "baseEjectionTime: 60s")))
    client = mesh.client()
    statuses = [client.get("http://web:9080/")[0] for _ in range(200)]
    assert statuses.count(500) == 2, statuses.count(500)
    assert ejected(mesh) == 1
    line = next(row for row in mesh.run("proxy-config", "cluster", "sleep").stdout.splitlines() if row.startswith("web.default"))
    assert "1/3" in line, line


DELAY = "[{fault: {delay: {percentage: {value: 100}, fixedDelay: 3s}}, timeout: 2s, route: [{destination: {host: web}}]}]"


def test_exercise_3_delay_and_timeout(mesh):
    mesh.echo("web")
    mesh.apply(service(DELAY))
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: mesh.client().get("http://web:9080/"), range(10)))
    assert [a[0] for a in answers] == [504] * 10
    assert all(1.95 <= a[3] <= 2.6 for a in answers), [a[3] for a in answers]
    assert answers[0][2] == b"upstream request timeout"


def test_exercise_3_as_istio_does():
    with Mesh(options=["--compat", "istio"]) as mesh:
        mesh.echo("web")
        mesh.apply(service(DELAY))
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda _: mesh.client().get("http://web:9080/"), range(5)))
        assert [a[0] for a in answers] == [200] * 5
        assert all(2.95 <= a[3] <= 3.6 for a in answers), [a[3] for a in answers]


def test_pending_requests_overflow(mesh_1_and_4):
    mesh = mesh_1_and_4
    mesh.echo("web", "v1", "--delay", "1s")
    mesh.apply(rule("{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}"))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: mesh.client().get("http://web:9080/"), range(20)))
    refused = [a for a in answers if a[0] == 503]
    assert 20 - len(refused) >= 2 and len(refused) >= 10, [a[0] for a in answers]
    assert all(a[1].get("x-envoy-overloaded") == "true" and a[2].endswith(b"reset reason: overflow") for a in refused)


def test_retries_are_counted_at_the_upstream(mesh):
    mesh.echo("web", "v1", "--status", "503")
    mesh.apply(service("[{retries: {attempts: 3, retryOn: 5xx}, route: [{destination: {host: web}}]}]"))
    status, _, body, _ = mesh.client().get("http://web:9080/")
    assert status == 503 and json.loads(body)["headers"]["x-envoy-attempt-count"] == "4", body


def test_per_try_timeout(mesh):
    mesh.echo("web", "v1", "--hang")
    mesh.apply(service("[{timeout: 2s, retries: {attempts: 3, perTryTimeout: 300ms, retryOn: 5xx}, route: [{destination: {host: web}}]}]"))
    status, _, _, seconds = mesh.client().get("http://web:9080/")
    assert status == 504 and 1.1 <= seconds <= 2.0, (status, seconds)


def test_the_tutorials_rule_ejects_after_three_errors_in_a_row(mesh_1_and_4):
    mesh = mesh_1_and_4
    mesh.echo("reviews", "v1")
    mesh.echo("reviews", "v1", "--status", "500")
    mesh.run("apply", "-f", DATA / "destinationrule.yaml")
    client = mesh.client()
    statuses = [client.get("http://reviews:9080/reviews/1")[0] for _ in range(100)]
    assert statuses.count(500) == 3 and statuses[-50:] == [200] * 50, statuses


def test_five_percent_to_one_canary_among_ten_stable_endpoints(mesh):
    for _ in range(10):
        mesh.echo("web", "v1")
    mesh.echo("web", "v2")
    mesh.apply(rule(subsets=SUBSETS))
    mesh.apply(service("[{route: [{destination: {host: web, subset: v1}, weight: 95}, {destination: {host: web, subset: v2}, weight: 5}]}]"))
    seen = mesh.client().versions("http://web:9080/", 4000)
    assert abs(seen["v2"] - 200) <= 4 * math.sqrt(4000 * 0.05 * 0.95), seen
