"""Each YAML file of the tutorial, alone in a mesh with its workloads."""
import math

import pytest

from mesh import DATA, Mesh

URL = "http://reviews:9080/reviews/1"


@pytest.fixture(scope="module")
def bookinfo():
    with Mesh([DATA / "destinationrule.yaml"]) as mesh:
        mesh.apply(RATINGS_RULE)
        yield mesh.bookinfo()


RATINGS_RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ratings}
spec: {host: ratings, subsets: [{name: v1, labels: {version: v1}}]}
"""


@pytest.fixture
def apply(bookinfo):
    """Applies one seed file and takes it away again."""
    applied = []

    def do(name):
        bookinfo.run("apply", "-f", DATA / name)
        applied.append(name)
        return bookinfo.client()

    yield do
    for name in applied:
        bookinfo.run("delete", "-f", DATA / name)


def within_four_sigma(hits, count, share):
    return abs(hits - count * share) <= 4 * math.sqrt(count * share * (1 - share))


def test_match_by_header_path_and_method_and_default(apply):
    client = apply("virtualservice-match.yaml")
    assert client.versions(URL, 20, {"end-user": "jason"}) == {"v2": 20}
    assert client.versions("http://reviews:9080/api/v2/x", 20) == {"v3": 20}
    assert client.versions(URL, 20) == {"v1": 20}
    status, _, body, _ = client.get("http://reviews:9080/api/v2/x", method="POST", body=b"x")
    assert status == 200 and b'"v1"' in body
    assert client.versions(URL, 5, {"end-user": "jasonx"}) == {"v1": 5}


def test_ninety_ten(apply):
    seen = apply("virtualservice-split.yaml").versions(URL, 10_000)
    assert set(seen) == {"v1", "v2"} and within_four_sigma(seen["v2"], 10_000, 0.10), seen


def test_header_canary(apply):
    client = apply("virtualservice-header-canary.yaml")
    assert client.versions(URL, 50, {"x-canary-test": "true"}) == {"v2": 50}
    assert client.versions(URL, 50) == {"v1": 50}


def test_retries_timeouts_serves(apply):
    assert apply("retries-timeouts.yaml").versions(URL, 50) == {"v1": 50}


def test_fault_percentages(bookinfo, apply):
    """Aborts of 10 %; the delay of 5 s is drawn apart, so aborted requests may be delayed too: many at once."""
    import concurrent.futures
    apply("fault-injection.yaml")
    count = 400

    def one(_):
        client = bookinfo.client()
        status, _, body, seconds = client.get("http://ratings:9080/ratings/1")
        client.connection.close()
        return status, body, seconds

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(one, range(count)))
    aborted = [a for a in answers if a[0] == 503]
    delayed = [a for a in answers if a[2] >= 4.9]
    assert {a[0] for a in answers} == {200, 503}
    assert all(a[1] == b"fault filter abort" for a in aborted)
    assert within_four_sigma(len(aborted), count, 0.10), len(aborted)
    assert within_four_sigma(len(delayed), count, 0.50), len(delayed)
    assert all(a[2] < 7 for a in answers)
