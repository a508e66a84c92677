"""Lateen's adapter to the three suites: writes the mesh of each target contract as plain Istio YAML and starts it.

The suites themselves (adversarial/, fault/, churn/) know nothing of Lateen; cases and verdicts are theirs.
"""
import json
import os
import pathlib
import random
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LATEEN = os.environ.get("LATEEN", str(ROOT / "build" / "lateen"))

GATEWAY = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: %(port)d, name: http, protocol: HTTP}
    hosts: ['*']
---
"""

# The adversarial contract: every path and host to one upstream, no retries; 403 for /admin and for x-deny: 1.
ADVERSARIAL = GATEWAY + """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: recorder}
spec:
  hosts: [recorder.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %(upstream)d}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: recorder}
spec:
  host: recorder.test
  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 2s}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: everything}
spec:
  hosts: ['*']
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /admin}}, {headers: {x-deny: {exact: '1'}}}]
    directResponse: {status: 403}
  - route: [{destination: {host: recorder.test}}]
    timeout: 10s
    retries: {attempts: 0}
"""

ADVERSARIAL_MESH = """pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}
defaultConfig:
  connectionSettings:
    profile: EDGE
    httpPathWithEscapedSlashesAction: REJECT_REQUEST
    httpRequestHeadersTimeout: 3s
    httpStreamIdleTimeout: 5s
    httpIdleTimeout: 5s
    httpRequestTimeout: 10s
"""

# The fault contract: round robin over two, per-try timeout 1 s, connect timeout 0.5 s, 3 retries; POST only when safe.
# `name` is the upstreams' protocol: http or http2.
FAULT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge-%(name)s}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: %(port)d, name: http, protocol: HTTP}
    hosts: ['*']
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pair-%(name)s}
spec:
  hosts: [%(name)s.pair.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: %(name)s, protocol: %(name)s}]
  endpoints:
  - {address: 127.0.0.1, ports: {%(name)s: %(a)d}}
  - {address: 127.0.0.1, ports: {%(name)s: %(b)d}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pair-%(name)s}
spec:
  host: %(name)s.pair.test
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {tcp: {connectTimeout: 500ms}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: everything-%(name)s}
spec:
  hosts: ['*']
  gateways: [edge-%(name)s]
  http:
  - match: [{method: {exact: POST}}]
    route: [{destination: {host: %(name)s.pair.test}}]
    timeout: 15s
    retries: {attempts: 3, retryOn: 'connect-failure,refused-stream,reset-before-request'}
  - route: [{destination: {host: %(name)s.pair.test}}]
    timeout: 15s
    retries: {attempts: 3, perTryTimeout: 1s, backoff: 5ms, retryOn: 'connect-failure,refused-stream,reset,5xx'}
"""


# Below the range from which the kernel gives ports to connections, which would take a port between the look and the use;
# above it lie the fixed ports of churn/.
PORTS = range(10000, 28000)


def free_port():
    while True:
        with socket.socket() as s:
            port = random.choice(PORTS)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def free_ports(count):
    ports = set()
    while len(ports) < count:
        ports.add(free_port())
    return ports


class Mesh:
    """A running mesh over the files of one directory; stopped by its pid."""

    def __init__(self, directory, yaml, mesh_config=None, options=()):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "config"
        config.mkdir(exist_ok=True)
        (config / "mesh.yaml").write_text(yaml)
        (self.directory / "ports.json").unlink(missing_ok=True)
        command = [LATEEN, "run", "-f", str(config), "--admin", "127.0.0.1:0", "--http-proxy", "127.0.0.1:0",
                   "--ports-file", str(self.directory / "ports.json"), *options]
        if mesh_config:
            (self.directory / "mesh-config.yaml").write_text(mesh_config)
            command += ["--mesh-config", str(self.directory / "mesh-config.yaml")]
        self.log = open(self.directory / "lateen.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        deadline = time.time() + 20
        while not (self.directory / "ports.json").exists():
            if self.process.poll() is not None or time.time() > deadline:
                raise SystemExit("the mesh did not start:\n" + (self.directory / "lateen.log").read_text())
            time.sleep(0.01)
        self.ports = json.loads((self.directory / "ports.json").read_text())

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
