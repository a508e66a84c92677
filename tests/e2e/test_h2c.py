"""HTTP/2 without TLS (prior knowledge), with real curl."""
import concurrent.futures
import json
import subprocess

from mesh import until


def curl(*arguments, stdin=""):
    done = subprocess.run(["curl", "-s", "--max-time", "10", *arguments], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


def workload_address(mesh, service):
    def find():
        for name, cluster in mesh.clusters().items():
            if f"||{service}." in name:
                for host in cluster.get("host_statuses", []):
                    socket = host["address"]["socket_address"]
                    return f"{socket['address']}:{socket['port_value']}"
        return None
    return until(find, 10, f"the address of {service}")


def test_echo_speaks_h2c_and_http1_on_one_port(mesh):
    mesh.echo("web", "v1", "--header", "x-kind: echo")
    address = workload_address(mesh, "web")
    for option, version in (("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")):
        out = curl(option, "-w", "%{http_version} %{response_code} %header{x-kind}", f"http://{address}/a?b=c", "-H", "x-test: t",
                   "--data-binary", "@-", stdin="x" * 300_000)
        body, facts = out.rsplit("\n", 1)
        answer = json.loads(body)
        assert facts == f"{version} 200 echo"
        assert (answer["method"], answer["path"], answer["bodyBytes"]) == ("POST", "/a?b=c", 300_000)
        assert answer["headers"]["x-test"] == "t" and answer["headers"]["host"] == address


def test_many_h2c_clients_at_once(mesh):
    # One request a connection: the curl of Debian 12 (7.88.1) cannot use one again with prior knowledge.
    mesh.echo("web")
    address = workload_address(mesh, "web")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda i: curl("--http2-prior-knowledge", f"http://{address}/{i}", "-w", "%{http_version}"), range(40))
    for i, text in enumerate(answers):
        body, version = text.rsplit("\n", 1)
        assert (json.loads(body)["path"], version) == (f"/{i}", "2")


def test_reset_over_h2c_cuts_the_stream(mesh):
    mesh.echo("web", "v1", "--reset")
    address = workload_address(mesh, "web")
    done = subprocess.run(["curl", "-s", "--max-time", "10", "--http2-prior-knowledge", f"http://{address}/"], capture_output=True)
    assert done.returncode == 92, done  # HTTP/2 stream error
