"""Changes of configuration: nothing that served stops serving, nothing is lost, the order does not matter."""
import itertools
import json
import threading

from mesh import DATA, Mesh, until

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""


def to(subset, name="web"):
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: [web], http: [{{route: [{{destination: {{host: web, subset: {subset}}}}}]}}]}}
"""


def versions_seen(mesh, count=20):
    return set(mesh.client().versions("http://web:9080/", count))


def test_files_are_followed_by_rename_and_in_place(mesh):
    mesh.echo("web", "v1")
    mesh.echo("web", "v2")
    assert versions_seen(mesh, 100) == {"v1", "v2"}
    (mesh.config / "rule.yaml").write_text(RULE)
    (mesh.config / ".new").write_text(to("v1"))
    (mesh.config / ".new").rename(mesh.config / "service.yaml")
    until(lambda: versions_seen(mesh) == {"v1"}, 5, "v1 only")
    (mesh.config / "service.yaml").write_text(to("v2"))
    until(lambda: versions_seen(mesh) == {"v2"}, 5, "v2 only")
    (mesh.config / "service.yaml").unlink()
    until(lambda: versions_seen(mesh, 50) == {"v1", "v2"}, 5, "both again")


def test_a_bad_file_is_refused_alone_and_what_served_serves_on(mesh):
    mesh.echo("web", "v1")
    mesh.echo("web", "v2")
    (mesh.config / "rule.yaml").write_text(RULE)
    (mesh.config / "service.yaml").write_text(to("v1"))
    until(lambda: versions_seen(mesh) == {"v1"}, 5, "v1 only")
    (mesh.config / "service.yaml").write_text(to("v2").replace("subset", "subsett"))
    until(lambda: "refused" in mesh.run("get", "vs").stdout, 5, "the refusal")
    shown = mesh.run("get", "vs").stdout
    assert "service.yaml:" in shown and "subsett" in shown, shown
    assert versions_seen(mesh) == {"v1"}
    (mesh.config / "other.yaml").write_text(RULE.replace("name: web}", "name: other}").replace("host: web", "host: other.test"))
    until(lambda: "other" in mesh.run("get", "dr").stdout, 5, "the other object")
    (mesh.config / "service.yaml").write_text(to("v2"))
    until(lambda: versions_seen(mesh) == {"v2"}, 5, "the mended file")


def test_no_request_is_lost_while_rules_change(mesh):
    mesh.echo("web", "v1")
    mesh.echo("web", "v2")
    mesh.apply(RULE)
    mesh.apply(to("v1"))
    stop, statuses = threading.Event(), {}

    def load():
        client = mesh.client()
        while not stop.is_set():
            status = client.get("http://web:9080/")[0]
            statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for subset in itertools.islice(itertools.cycle(["v2", "v1"]), 30):
        mesh.apply(to(subset))
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200} and statuses[200] > 100, statuses


def test_the_order_of_application_does_not_matter():
    for documents in itertools.permutations([RULE, to("v2")]):
        with Mesh() as mesh:
            mesh.echo("web", "v1")
            mesh.echo("web", "v2")
            for document in documents:
                mesh.apply(document)
            assert versions_seen(mesh) == {"v2"}


def test_a_rule_waits_for_its_subset_behind_its_last_good_version(mesh):
    mesh.echo("web", "v1")
    mesh.apply(RULE)
    mesh.apply(to("v1"))
    assert versions_seen(mesh) == {"v1"}
    said = mesh.apply(to("v3"))
    assert "v3" in said.stdout + said.stderr
    assert "pending" in mesh.run("get", "vs").stdout
    assert versions_seen(mesh) == {"v1"}
    mesh.echo("web", "v3")
    mesh.apply(RULE.replace("subsets: [", "subsets: [{name: v3, labels: {version: v3}}, "))
    until(lambda: versions_seen(mesh) == {"v3"}, 5, "v3")


def test_what_is_applied_survives_a_restart_with_its_time(mesh):
    mesh.apply(RULE)
    mesh.apply(to("v1"))
    before = json.loads(mesh.run("get", "vs", "web", "-o", "json").stdout)
    assert mesh.stop() == 0
    mesh.start()
    after = json.loads(mesh.run("get", "vs", "web", "-o", "json").stdout)
    assert before["metadata"]["creationTimestamp"] == after["metadata"]["creationTimestamp"]
    assert before["spec"] == after["spec"]


def test_two_virtual_services_on_one_host_and_takeover(mesh):
    mesh.echo("web", "v1")
    mesh.echo("web", "v2")
    mesh.apply(RULE)
    mesh.apply(to("v1", "first"))
    said = mesh.apply(to("v2", "second"))
    assert "NOT IN EFFECT" in said.stdout + said.stderr and "--takeover" in said.stdout + said.stderr
    assert "VirtualService default/first (stdin:5:8)" in said.stderr and "stdin:5:16: warning LTN0107" in said.stderr, said.stderr
    assert versions_seen(mesh) == {"v1"}
    assert "NOT IN EFFECT" in mesh.run("get", "vs").stdout
    mesh.run("apply", "--takeover", "-f", "-", stdin=to("v2", "second"))
    until(lambda: versions_seen(mesh) == {"v2"}, 5, "the takeover")


def test_a_clash_of_file_and_applied_object_is_refused_naming_both(mesh):
    (mesh.config / "rule.yaml").write_text(RULE)
    until(lambda: "web" in mesh.run("get", "dr").stdout, 5, "the file")
    said = mesh.apply(RULE, check=False)
    assert said.returncode == 1 and "rule.yaml" in said.stdout + said.stderr, said


def test_security_kinds_and_deployments_are_refused(mesh):
    for kind, group in (("PeerAuthentication", "security.istio.io/v1"), ("AuthorizationPolicy", "security.istio.io/v1"),
                        ("RequestAuthentication", "security.istio.io/v1"), ("Deployment", "apps/v1")):
        said = mesh.apply(f"apiVersion: {group}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n", check=False)
        assert said.returncode == 1 and kind in said.stdout + said.stderr, said
    assert "lateen echo" in said.stdout + said.stderr


def test_sigterm_exits_zero_when_idle(mesh):
    assert mesh.stop() == 0


def test_a_port_in_use_is_named(mesh):
    import subprocess
    from mesh import LATEEN
    done = subprocess.run([LATEEN, "run", "-f", str(mesh.config), "--admin", mesh.ports["admin"], "--http-proxy", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and mesh.ports["admin"] in done.stderr, done


def test_changes_need_post_and_a_loopback_host(mesh):
    document = RULE
    assert mesh.admin("/lateen/apply", "POST", document, {"Host": "evil.example"})[0] == 403
    assert mesh.admin("/lateen/apply", "GET")[0] == 405
    assert "web" not in mesh.run("get", "dr").stdout
