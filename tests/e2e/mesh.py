"""A mesh for a test: the real program, real workloads, free ports, stopped by pid. No sleeps: everything waits for a fact."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LATEEN = os.environ.get("LATEEN", str(ROOT / "build" / "lateen"))
DATA = ROOT / "examples" / "tutorial"


def until(fact, seconds=10, what="a fact"):
    """Polls `fact` until it is true; its value. Fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = fact()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


class Mesh:
    def __init__(self, files=(), concurrency=2, options=(), state=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lateen-e2e-"))
        self.config = self.folder / "config"
        self.config.mkdir()
        for file in files:
            shutil.copy(file, self.config)
        self.options = ["--concurrency", str(concurrency), *options]
        self.state = state or self.folder / "state"
        self.processes = []
        self.start()

    def start(self):
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        self.log = open(self.folder / "lateen.log", "ab")
        self.process = subprocess.Popen(
            [LATEEN, "run", "-f", str(self.config), "--state", str(self.state), "--admin", "127.0.0.1:0",
             "--http-proxy", "127.0.0.1:0", "--ports-file", str(ports), *self.options], stdout=self.log, stderr=self.log)
        until(lambda: ports.exists() or self.process.poll() is not None, 10, "the ports file")
        assert self.process.poll() is None, (self.folder / "lateen.log").read_text()
        self.ports = json.loads(ports.read_text())
        self.environment = dict(os.environ, LATEEN_ADMIN=self.ports["admin"], PATH=f"{pathlib.Path(LATEEN).parent}:{os.environ['PATH']}")
        return self

    def stop(self):
        """Ends the mesh with SIGTERM; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- what a user does

    def run(self, *arguments, check=True, stdin=None, timeout=60, environment=None):
        """lateen ARGUMENTS against this mesh."""
        done = subprocess.run([LATEEN, *map(str, arguments)], env={**self.environment, **(environment or {})}, input=stdin,
                              capture_output=True, text=True, timeout=timeout)
        if check:
            assert done.returncode == 0, f"lateen {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def shell(self, script, check=True, timeout=120):
        """A script in `lateen shell`."""
        return self.run("shell", "-c", script, check=check, timeout=timeout)

    def apply(self, text, check=True):
        return self.run("apply", "-f", "-", stdin=text, check=check)

    def echo(self, service, version="v1", *options):
        """Deploys a workload and waits until the mesh lists its endpoint."""
        before = self.endpoint_count(service)
        process = subprocess.Popen([LATEEN, "echo", "--service", service, "--version", version, *map(str, options)],
                                   env=self.environment, stdout=self.log, stderr=self.log)
        self.processes.append(process)
        until(lambda: self.endpoint_count(service) > before or process.poll() is not None, 10, f"{service} {version} to register")
        assert process.poll() is None, (self.folder / "lateen.log").read_text()
        return process

    def bookinfo(self):
        for version in ("v1", "v2", "v3"):
            self.echo("reviews", version)
        self.echo("ratings", "v1")
        return self

    def admin(self, path, method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection(self.ports["admin"], timeout=10)
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def clusters(self, view="sleep"):
        status, text = self.admin(f"/clusters?format=json&view={view}")
        assert status == 200, text
        return {c["name"]: c for c in json.loads(text).get("cluster_statuses", [])}

    def endpoint_count(self, service):
        for name, cluster in self.clusters().items():
            if re.fullmatch(rf"outbound\|\d+\|\|{service}\.default\.svc\.cluster\.local", name):
                return len(cluster.get("host_statuses", []))
        return 0

    def curl(self, url, *options, identity="sleep", check=True):
        """Real curl inside the mesh."""
        return self.run("exec", "--as", identity, "--", "curl", "-s", *options, url, check=check)

    def client(self, identity="sleep"):
        return Client(self.ports["http-proxy"], identity)


class Client:
    """A keep-alive HTTP client of the mesh's forward proxy: for thousands of requests."""

    def __init__(self, proxy, identity):
        import base64
        self.connection = http.client.HTTPConnection(proxy, timeout=30)
        self.authorization = "Basic " + base64.b64encode(f"{identity}:mesh".encode()).decode()

    def get(self, url, headers=None, method="GET", body=None):
        """(status, headers, body, seconds)"""
        begin = time.monotonic()
        self.connection.request(method, url, body=body, headers={"Proxy-Authorization": self.authorization, **(headers or {})})
        response = self.connection.getresponse()
        text = response.read()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, text, time.monotonic() - begin

    def versions(self, url, count, headers=None):
        """How many of `count` answers each version gave; other statuses under their number."""
        seen = {}
        for _ in range(count):
            status, _, body, _ = self.get(url, headers)
            key = json.loads(body)["version"] if status == 200 else status
            seen[key] = seen.get(key, 0) + 1
        return seen
