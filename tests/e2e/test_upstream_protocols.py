"""Which HTTP version goes upstream: h2UpgradePolicy and useClientProtocol. And names that are resolved request by request."""
import json
import socket
import ssl
import threading

import pytest

from mesh import Mesh, until
from test_http import Upstream
from test_tls import Authority, TlsServer

POLICY = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: rule}}
spec: {{host: {host}, trafficPolicy: {{connectionPool: {{http: {http}}}{more}}}}}
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: ['{host}']
  location: MESH_EXTERNAL
  resolution: {resolution}
  ports: [{{number: {port}, name: p, protocol: {protocol}}}]
  {endpoints}
---
"""


@pytest.fixture(scope="module")
def mesh():
    with Mesh() as made:
        made.echo("web")
        yield made


def ask(mesh, *options, url="http://web:9080/"):
    """(HTTP version of the answer, protocol that the workload saw)"""
    body, version = mesh.curl(url, "-w", "\n%{http_version}", *options).stdout.strip().rsplit("\n", 1)
    return version, json.loads(body)["protocol"]


def test_http2_upstream_by_the_rule_and_by_the_client(mesh):
    assert ask(mesh) == ("1.1", "HTTP/1.1")
    assert ask(mesh, "--http2-prior-knowledge") == ("2", "HTTP/1.1")
    mesh.apply(POLICY.format(host="web", http="{h2UpgradePolicy: UPGRADE}", more=""))
    until(lambda: ask(mesh) == ("1.1", "HTTP/2"), 5, "the upgrade")
    assert ask(mesh, "--http2-prior-knowledge") == ("2", "HTTP/2")
    mesh.apply(POLICY.format(host="web", http="{useClientProtocol: true}", more=""))
    until(lambda: ask(mesh) == ("1.1", "HTTP/1.1"), 5, "the client's protocol")
    assert ask(mesh, "--http2-prior-knowledge") == ("2", "HTTP/2")
    mesh.apply(POLICY.format(host="web", http="{h2UpgradePolicy: DO_NOT_UPGRADE}", more=""))
    until(lambda: ask(mesh, "--http2-prior-knowledge") == ("2", "HTTP/1.1"), 5, "HTTP/1.1 again")


def test_an_upstream_that_speaks_http1_alone(mesh):
    upstream = Upstream()
    upstream.script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") or True
    mesh.apply(ENTRY.format(name="old", host="old.test", resolution="STATIC", port=80, protocol="HTTP",
                            endpoints=f"endpoints: [{{address: 127.0.0.1, ports: {{p: {upstream.port}}}}}]"))
    client = mesh.client()
    assert client.get("http://old.test/")[2] == b"ok"
    rule = POLICY.format(host="old.test", http="{h2UpgradePolicy: UPGRADE}", more="").replace("{name: rule}", "{name: old}")
    mesh.apply(rule)
    # It answers the preface with HTTP/1.1: an error of the protocol, and no hanging.
    until(lambda: client.get("http://old.test/")[0] == 502 or client.get("http://old.test/")[0] == 503, 5, "an error")
    mesh.apply(rule.replace("h2UpgradePolicy: UPGRADE", "useClientProtocol: true"))
    until(lambda: client.get("http://old.test/")[2] == b"ok", 5, "HTTP/1.1 for a client of HTTP/1.1")
    upstream.close()


class AlpnServer:
    """Takes TLS with h2 and http/1.1 by ALPN, notes what was agreed, and hangs up."""

    def __init__(self, cert, key):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(cert, key)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.agreed = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
                with self.context.wrap_socket(peer, server_side=True) as tls:
                    self.agreed.append(tls.selected_alpn_protocol())
                    tls.recv(1)
            except ssl.SSLError:
                continue
            except OSError:
                return


def test_the_clients_protocol_over_tls_is_what_alpn_offers(mesh, tmp_path):
    server = AlpnServer(*Authority(tmp_path).issue("safe.test"))
    mesh.apply(ENTRY.format(name="safe", host="safe.test", resolution="STATIC", port=80, protocol="HTTP",
                            endpoints=f"endpoints: [{{address: 127.0.0.1, ports: {{p: {server.port}}}}}]") +
               POLICY.format(host="safe.test", http="{useClientProtocol: true}", more=", tls: {mode: SIMPLE, insecureSkipVerify: true}")
               .replace("{name: rule}", "{name: safe}"))
    mesh.curl("http://safe.test/")
    assert set(server.agreed) == {"http/1.1"}
    server.agreed.clear()
    mesh.curl("http://safe.test/", "--http2-prior-knowledge")
    assert set(server.agreed) == {"h2"}
    server.listener.close()


def test_names_are_resolved_request_by_request(mesh):
    """*.dyn.localhost: every resolver knows it as the loopback (RFC 6761)."""
    upstream = Upstream()
    upstream.script = lambda peer, reader, head: peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") or True
    mesh.apply(ENTRY.format(name="dyn", host="*.dyn.localhost", resolution="DYNAMIC_DNS", port=upstream.port, protocol="HTTP", endpoints="") +
               ENTRY.format(name="none", host="*.dyn.invalid", resolution="DYNAMIC_DNS", port=upstream.port, protocol="HTTP", endpoints=""))
    client = mesh.client()
    for name in ("a", "b"):
        status, _, body, _ = client.get(f"http://{name}.dyn.localhost:{upstream.port}/{name}")
        assert (status, body) == (200, b"ok")
        assert f"\r\nhost: {name}.dyn.localhost:{upstream.port}\r\n".encode() in upstream.requests[-1]
    assert mesh.curl(f"http://c.dyn.localhost:{upstream.port}/c").stdout == "ok"
    status, _, body, _ = client.get(f"http://a.dyn.invalid:{upstream.port}/")
    assert (status, body) == (503, b"DNS resolution failure")
    explained = mesh.run("explain", "--as", "sleep", "GET", f"http://a.dyn.localhost:{upstream.port}/").stdout
    assert "*.dyn.localhost" in explained and "the address that DNS gives for the name of the request" in explained, explained
    # A name beside the wildcard is none of its business; a policy for the wildcard is.
    mesh.apply(POLICY.format(host="'*.dyn.localhost'", http="{maxRequestsPerConnection: 1}", more="").replace("{name: rule}", "{name: dyn}"))
    assert client.get(f"http://a.dyn.localhost:{upstream.port}/")[0] == 200
    upstream.close()


def test_tls_goes_where_its_server_name_says(mesh, tmp_path):
    authority = Authority(tmp_path)
    server = AlpnServer(*authority.issue("a.sni.localhost"))
    mesh.apply(ENTRY.format(name="sni", host="*.sni.localhost", resolution="DYNAMIC_DNS", port=server.port, protocol="TLS", endpoints=""))
    mesh.curl(f"https://a.sni.localhost:{server.port}/", "--cacert", str(authority.cert), check=False)
    assert set(server.agreed) == {"h2"}, server.agreed
    server.listener.close()


def test_tls_is_begun_with_the_name_of_the_request(mesh, tmp_path):
    authority = Authority(tmp_path)
    with TlsServer(*authority.issue("a.begun.localhost")) as server:
        mesh.apply(ENTRY.format(name="begun", host="*.begun.localhost", resolution="DYNAMIC_DNS", port=server.port, protocol="HTTP", endpoints="") +
                   POLICY.format(host="'*.begun.localhost'", http="{}", more=f", tls: {{mode: SIMPLE, caCertificates: {authority.cert}}}")
                   .replace("{name: rule}", "{name: begun}"))
        client = mesh.client()
        assert client.get(f"http://a.begun.localhost:{server.port}/")[2] == b"from the server"
        assert server.names[-1] == "a.begun.localhost"
        assert client.get(f"http://b.begun.localhost:{server.port}/")[0] == 503   # the certificate is another's
        assert server.names[-1] == "b.begun.localhost"
