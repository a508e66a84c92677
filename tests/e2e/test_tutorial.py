"""The tutorial, top to bottom and in its printed order, in one mesh, through `lateen shell` with real curl.

Each test is a section, and stands on those before it: run the whole file."""
import json
import re

import pytest

from mesh import DATA, ROOT, Mesh, until

DEMO = ROOT / "examples" / "demo"
EXERCISES = ROOT / "examples" / "exercises"
CURL = "kubectl exec deploy/sleep -c sleep -- \\\n  curl -s "
REVIEWS = "http://reviews:9080/reviews/1"
OWNER = r"VirtualService default/{} \({}:\d+:\d+\)"


@pytest.fixture(scope="module")
def mesh():
    with Mesh([DEMO / "services.yaml", DEMO / "destinationrule-ratings.yaml"]) as running:
        yield running.bookinfo()


@pytest.fixture
def shell(mesh):
    """Runs a script where the tutorial's files are; what it said on both streams."""
    def run(script, code=0):
        done = mesh.shell(f"cd {DATA}\n{script}", check=False)
        assert done.returncode == code, f"{script}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run


def version(shell, arguments=REVIEWS):
    return json.loads(shell(CURL + arguments))["version"]


def status_of(shell, kind, name):
    row = next(line for line in shell(f"kubectl get {kind}").splitlines() if line.startswith(name + " "))
    return re.split(r"\s{2,}", row)[-1]


def status_code(shell, arguments=REVIEWS):
    return shell(CURL + "-o /dev/null -w '%{http_code}' " + arguments)


def test_match_conditions_wait_for_their_subsets(shell):
    assert version(shell) in {"v1", "v2", "v3"}
    said = shell("kubectl apply -f virtualservice-match.yaml")
    assert "virtualservice.networking.istio.io/reviews-route created" in said
    waits = r"pending \(virtualservice-match\.yaml:16:9: waits for subset v2 of reviews\.default\.svc\.cluster\.local: no DestinationRule defines it"
    assert re.search(waits, said), said
    assert re.search(r"virtualservice-match\.yaml:29:9: error LTN0104: .*subset v1 of reviews.*\n    fix: ", said), said
    assert re.search(r"virtualservice-match\.yaml:19:9: info LTN0108: .*/api/v2bar.*\n    fix: ", said), said
    assert re.match(waits, status_of(shell, "vs", "reviews-route"))
    assert status_code(shell) == "503"
    assert "no DestinationRule has subset v1" in shell(f"lateen explain --as sleep GET {REVIEWS}")


@pytest.mark.parametrize("file, name", [("virtualservice-split.yaml", "reviews-canary"),
                                        ("virtualservice-header-canary.yaml", "reviews-internal-canary")])
def test_the_second_and_the_third_rule_of_reviews_are_not_in_effect(shell, file, name):
    said = shell(f"kubectl apply -f {file}")
    assert f"virtualservice.networking.istio.io/{name} created" in said
    assert f"NOT IN EFFECT; to make this one the owner: lateen apply --takeover -f {file}\n" in said
    owner = OWNER.format("reviews-route", r"virtualservice-match\.yaml")
    assert re.search(rf"{file}:7:5: warning LTN0107: .*{owner}.*\n    fix: ", said), said
    status = status_of(shell, "vs", name)
    assert re.match(rf"NOT IN EFFECT \(.*{owner}.*apply --takeover", status), status


def test_the_header_canary_is_answered_by_its_owner_until_the_takeover(shell):
    # The tutorial's two curls, where it prints them: no subset is defined yet.
    assert status_code(shell, f'-H "x-canary-test: true" {REVIEWS}') == "503"
    assert status_code(shell) == "503"


def test_the_destination_rule_makes_the_waiting_rule_serve(shell):
    said = shell("kubectl apply -f destinationrule.yaml")
    assert "destinationrule.networking.istio.io/reviews-dr created" in said
    assert "virtualservice.networking.istio.io/reviews-route: now in effect\n" in said
    assert status_of(shell, "vs", "reviews-route") == "in effect"
    assert version(shell, f'-H "end-user: jason" {REVIEWS}') == "v2"
    assert version(shell, "http://reviews:9080/api/v2/x") == "v3"
    assert version(shell, "-X POST http://reviews:9080/api/v2/x") == "v1"
    assert version(shell) == "v1"
    table = shell("istioctl proxy-config cluster sleep")
    for subset in ("v1", "v2", "v3"):
        assert re.search(rf"^reviews\.default\.svc\.cluster\.local +9080 +{subset} +outbound +EDS +reviews-dr\.default ", table, re.M), table
    why = shell(f'lateen explain --as sleep -H "end-user: jason" GET {REVIEWS}')
    assert re.search(r'YES +virtualservice-match\.yaml:10 +header end-user exact "jason"', why), why
    assert re.search(r"no +virtualservice-split\.yaml:6 .*has this host already \(virtualservice-match\.yaml:6\)", why), why


def test_takeover_makes_the_split_and_then_the_header_canary_serve(shell, mesh):
    said = shell("kubectl apply --takeover -f virtualservice-split.yaml")
    assert "reviews-canary configured" in said
    assert re.search(r"reviews-route: now NOT IN EFFECT \(.*" + OWNER.format("reviews-canary", r"virtualservice-split\.yaml"), said), said
    seen = mesh.client().versions(REVIEWS, 500)
    assert set(seen) == {"v1", "v2"} and 20 <= seen["v2"] <= 90, seen  # 50, and no further than 6 sigma
    shell("lateen apply --takeover -f virtualservice-header-canary.yaml")
    assert version(shell, f'-H "x-canary-test: true" {REVIEWS}') == "v2"
    assert version(shell) == "v1"
    assert status_of(shell, "vs", "reviews-internal-canary") == "in effect"


def test_fault_injection_and_its_loop_of_twenty(shell):
    assert "ratings-fault created" in shell("kubectl apply -f fault-injection.yaml")
    assert status_of(shell, "vs", "ratings-fault") == "in effect"
    said = shell(r"""
for i in $(seq 1 20); do
  kubectl exec deploy/sleep -c sleep -- \
    curl -s -o /dev/null -w "status=%{http_code} time=%{time_total}s\n" \
    http://ratings:9080/ratings/1
done""")
    answers = re.findall(r"^status=(\d+) time=([\d.]+)s$", said, re.M)
    assert len(answers) == 20 == len(said.splitlines()), said
    assert {status for status, _ in answers} <= {"200", "503"}, said
    delayed = [float(time) for _, time in answers if float(time) > 2]
    assert 1 <= len(delayed) <= 19 and all(4.9 <= time <= 7 for time in delayed), said


def test_retries_and_timeouts_with_the_caution_counted_right(shell):
    said = shell("kubectl apply -f retries-timeouts.yaml")
    assert "NOT IN EFFECT; to make this one the owner: lateen apply --takeover -f retries-timeouts.yaml\n" in said
    caution = r"retries-timeouts\.yaml:9:5: warning LTN0201: .*\(1 \+ 3 attempts\) x perTryTimeout 3s = 12s.*\n    fix: write timeout: 12s"
    assert re.search(caution, said), said
    said = shell("kubectl apply --takeover -f retries-timeouts.yaml")
    assert re.search(caution, said) and "LTN0107" not in said, said
    assert version(shell) == "v1"
    why = shell(f"lateen explain --as sleep GET {REVIEWS}")
    assert re.search(r"timeout +retries-timeouts\.yaml:9 +10s", why), why
    assert re.search(r"tries +retries-timeouts\.yaml:10 +4 \(1 \+ 3 retries\), 3s each", why), why
    assert re.search(caution, shell("istioctl analyze"))


def test_exercise_1_eighty_twenty(shell, mesh):
    mesh.echo("shop", "v1", "--body", "one")
    mesh.echo("shop", "v2", "--body", "two")
    shell(f"kubectl apply -f {EXERCISES}/1-split.yaml")
    said = shell(f"for i in $(seq 100); do {CURL}http://shop:9080/; echo; done")
    bodies = [json.loads(line)["body"] for line in said.splitlines() if line]
    assert len(bodies) == 100 and 4 <= bodies.count("two") <= 36, said  # 20 within 4 sigma


def test_exercise_2_the_failing_pod_is_ejected(shell, mesh):
    mesh.echo("payments", "v1", "--status", "500")
    shell(f"kubectl apply -f {EXERCISES}/2-ejection.yaml")
    assert [status_code(shell, "http://payments:9080/") for _ in range(4)] == ["500", "500", "503", "503"]
    fqdn = "payments.default.svc.cluster.local"
    table = until(lambda: re.search(r"1/1, \d+ s left", shell(f"istioctl proxy-config cluster sleep --fqdn {fqdn}")), 5, "the ejection")
    assert table
    assert re.search(rf"FAILED \(\d+ s left\) +outbound\|9080\|\|{re.escape(fqdn)}", shell("istioctl proxy-config endpoint sleep"))
    assert "503 (UH)" in shell("lateen explain --as sleep GET http://payments:9080/")


def test_exercise_3_all_time_out(shell, mesh):
    mesh.echo("orders")
    said = shell(f"kubectl apply -f {EXERCISES}/3-timeout.yaml")
    assert re.search(r"warning LTN0203: .*answered 504 at 2s.*\n    fix: .*--compat istio", said), said
    said = shell(f"for i in 1 2 3; do {CURL}-o /dev/null -w '%{{http_code}} %{{time_total}}\\n' http://orders:9080/; done")
    answers = [line.split() for line in said.splitlines()]
    assert [status for status, _ in answers] == ["504"] * 3, said
    assert all(1.95 <= float(time) <= 3 for _, time in answers), said


def test_everything_can_be_taken_away_again(shell):
    said = shell("kubectl delete -f destinationrule.yaml")
    waits = r"reviews-resilience: now pending \(retries-timeouts\.yaml:17:9: waits for subset v1"
    assert re.search(waits, said) and re.match("pending", status_of(shell, "vs", "reviews-resilience")), said
    said = shell("kubectl delete -f fault-injection.yaml -f virtualservice-match.yaml -f virtualservice-split.yaml "
          "-f virtualservice-header-canary.yaml -f retries-timeouts.yaml")
    assert re.fullmatch(r'(virtualservice\.networking\.istio\.io "[a-z-]+" deleted\n){5}', said), said
    assert "NotFound" in shell("kubectl get vs reviews-route", code=1)
    assert {version(shell) for _ in range(40)} == {"v1", "v2", "v3"}
