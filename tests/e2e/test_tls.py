"""TLS with real clients and servers: gateways, origination, passthrough, rotation. Certificates are made here."""
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import threading

import pytest

from mesh import Mesh, until


class Authority:
    """A certificate authority in a folder, by the openssl program."""

    def __init__(self, folder, name="root"):
        self.folder = pathlib.Path(folder)
        self.cert, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.cert)
        self.count = 0

    def issue(self, name, *names):
        """Certificate and key files for `name`, with subject alternative names ("DNS:a.example")."""
        self.count += 1
        base = self.folder / f"{self.cert.stem}-{self.count}"
        cert, key, request, extensions = (base.with_suffix(s) for s in (".pem", ".key", ".csr", ".ext"))
        extensions.write_text("subjectAltName=" + ",".join(names or [f"DNS:{name}"]) + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "30",
                "-extfile", extensions, "-out", cert)
        return cert, key


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def indented(text, by):
    return "".join(" " * by + line + "\n" for line in pathlib.Path(text).read_text().splitlines())


def secret(name, cert, key, ca=None, namespace="istio-system"):
    text = f"""apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {namespace}}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
{indented(cert, 4)}  tls.key: |
{indented(key, 4)}"""
    return text + (f"  ca.crt: |\n{indented(ca, 4)}" if ca else "")


def gateway(*servers):
    return """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
""" + "".join(f"  - {server}\n" for server in servers)


def server(name, hosts, tls, port=443, protocol="HTTPS"):
    return f"{{port: {{number: {port}, name: {name}, protocol: {protocol}}}, hosts: [{hosts}], tls: {{{tls}}}}}"


ROUTES = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["*"]
  gateways: [gw]
  http: [{route: [{destination: {host: web}}]}]
"""


@pytest.fixture
def tls_mesh(tmp_path):
    with Mesh(options=["--gateway-port", "443=0", "--gateway-port", "80=0", "--gateway-port", "9443=0"]) as mesh:
        mesh.ca = Authority(tmp_path)
        yield mesh


def gateway_port(mesh, port=443):
    def find():
        with contextlib.suppress(OSError, ValueError):
            return json.loads((mesh.folder / "ports.json").read_text()).get(f"gateway-{port}")
    return int(until(find, 10, "the gateway's port").rsplit(":", 1)[1])


def curl(mesh, host, *options, port=443, scheme="https", check=True):
    at = gateway_port(mesh, port)
    done = subprocess.run(["curl", "-sS", "--max-time", "10", "--cacert", str(mesh.ca.cert), "--resolve", f"{host}:{at}:127.0.0.1",
                           *map(str, options), f"{scheme}://{host}:{at}/x"], capture_output=True, text=True)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def code(mesh, host, *options, **more):
    return curl(mesh, host, "-o", "/dev/null", "-w", "%{http_code}", *options, **more).stdout


def wait_for(mesh, host, *options, status="200"):
    until(lambda: code(mesh, host, *options, check=False) == status, 10, f"{host} to answer {status}")


def test_simple_with_several_hosts_versions_and_http2(tls_mesh):
    mesh = tls_mesh
    mesh.echo("web")
    mesh.apply(secret("a-cert", *mesh.ca.issue("a.example")) + "---\n" + secret("b-cert", *mesh.ca.issue("b", "DNS:*.b.example")) + "---\n" +
               gateway(server("https-a", "a.example", "mode: SIMPLE, credentialName: a-cert"),
                       server("https-b", '"*.b.example"', "mode: SIMPLE, credentialName: b-cert, minProtocolVersion: TLSV1_3")) + "---\n" + ROUTES)
    wait_for(mesh, "a.example")
    wait_for(mesh, "x.b.example")
    for version in ("1.2", "1.3"):
        option = f"--tlsv{version}", "--tls-max", version
        assert code(mesh, "a.example", *option) == "200"
        # minProtocolVersion
        assert (curl(mesh, "x.b.example", *option, check=False).returncode == 0) == (version == "1.3")
    assert curl(mesh, "a.example", "-w", "%{http_version}", "-o", "/dev/null").stdout == "2"
    assert curl(mesh, "a.example", "--http1.1", "-w", "%{http_version}", "-o", "/dev/null").stdout == "1.1"
    assert '"x-forwarded-proto": "https"' in curl(mesh, "a.example").stdout.replace('":"', '": "')
    # Another name gets no certificate at all.
    assert curl(mesh, "c.example", check=False).returncode == 35
    # A client that does not trust us.
    assert curl(mesh, "a.example", "--cacert", mesh.ca.issue("other")[0], check=False).returncode == 60


def test_mutual_and_what_the_backend_learns(tls_mesh):
    mesh = tls_mesh
    mesh.echo("web")
    mesh.apply(secret("cert", *mesh.ca.issue("m.example"), ca=mesh.ca.cert) + "---\n" +
               gateway(server("https", "m.example", "mode: MUTUAL, credentialName: cert")) + "---\n" + ROUTES)
    cert, key = mesh.ca.issue("shopper", "URI:spiffe://shop/customer")
    wait_for(mesh, "m.example", "--cert", cert, "--key", key)
    seen = curl(mesh, "m.example", "--cert", cert, "--key", key, "-H", "x-forwarded-client-cert: Hash=forged").stdout.lower()
    assert "x-forwarded-client-cert" in seen and "cn=shopper" in seen and "forged" not in seen, seen
    assert curl(mesh, "m.example", check=False).returncode != 0
    stranger = Authority(mesh.ca.folder, "stranger")
    cert, key = stranger.issue("shopper")
    assert curl(mesh, "m.example", "--cert", cert, "--key", key, check=False).returncode != 0
    stats = mesh.admin("/stats")[1]
    assert "ssl.fail_verify_no_cert: 1" in stats and "ssl.fail_verify_error: 1" in stats, [l for l in stats.splitlines() if "ssl" in l]


def test_https_redirect(tls_mesh):
    mesh = tls_mesh
    mesh.echo("web")
    mesh.apply(gateway("{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example], tls: {httpsRedirect: true}}") + "---\n" + ROUTES)
    until(lambda: code(mesh, "a.example", port=80, scheme="http", check=False) == "301", 10, "the redirect")
    assert "location: https://a.example" in curl(mesh, "a.example", "-i", port=80, scheme="http").stdout.lower()


def test_sessions_are_resumed(tls_mesh):
    mesh = tls_mesh
    mesh.echo("web")
    mesh.apply(secret("cert", *mesh.ca.issue("a.example")) + "---\n" + gateway(server("https", "a.example", "mode: SIMPLE, credentialName: cert")) +
               "---\n" + ROUTES)
    wait_for(mesh, "a.example")
    port = gateway_port(mesh)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=mesh.ca.cert)
        context.minimum_version = context.maximum_version = version
        session, reused = None, []
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
                with context.wrap_socket(raw, server_hostname="a.example", session=session) as tls:
                    tls.sendall(b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")
                    answer = b""
                    while piece := tls.recv(65536):     # the end comes with close_notify, or recv raises
                        answer += piece
                    assert answer.startswith(b"HTTP/1.1 200"), answer
                    reused.append(tls.session_reused)
                    session = tls.session
        assert reused == [False, True, True], (version, reused)


def test_rotation_under_load_loses_nothing(tls_mesh):
    mesh = tls_mesh
    mesh.echo("web")
    config = gateway(server("https", "a.example", "mode: SIMPLE, credentialName: cert")) + "---\n" + ROUTES
    mesh.apply(secret("cert", *mesh.ca.issue("a.example")) + "---\n" + config)
    wait_for(mesh, "a.example")
    done = threading.Event()

    def ask():
        codes = []
        while not done.is_set():
            codes.append(code(mesh, "a.example", check=False))
        return codes

    def serial():
        at = gateway_port(mesh)
        shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{at}", "-servername", "a.example"], input="", capture_output=True,
                               text=True, timeout=10).stdout
        return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown, capture_output=True, text=True).stdout

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(ask) for _ in range(3)]
        for _ in range(4):
            before = serial()
            mesh.apply(secret("cert", *mesh.ca.issue("a.example")))
            until(lambda: serial() != before, 10, "the new certificate")
        done.set()
        codes = [c for load in loads for c in load.result()]
    assert len(codes) > 10 and set(codes) == {"200"}, codes


class TlsServer:
    """A small HTTPS server of Python's own."""

    def __init__(self, cert, key, ca=None, text=b"from the server"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        if ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(ca)
        names = self.names = []
        context.sni_callback = lambda _socket, name, _context: names.append(name)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self):
                with contextlib.suppress(OSError):   # a client that does not trust us
                    super().handle()

            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def service_entry(host, port, target, protocol):
    return f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [{host}]
  ports: [{{number: {port}, name: p, protocol: {protocol}, targetPort: {target}}}]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{{address: 127.0.0.1}}]
"""


def test_passthrough_by_server_name(tls_mesh):
    mesh = tls_mesh
    with TlsServer(*mesh.ca.issue("p.example")) as outside:
        mesh.apply(service_entry("p.example", 8443, outside.port, "TLS") + "---\n" +
                   gateway(server("tls", "p.example", "mode: PASSTHROUGH", protocol="TLS")) + """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: through}
spec:
  hosts: [p.example]
  gateways: [gw]
  tls: [{match: [{port: 443, sniHosts: [p.example]}], route: [{destination: {host: p.example, port: {number: 8443}}}]}]
""")
        wait_for(mesh, "p.example")
        assert curl(mesh, "p.example").stdout == "from the server"
        assert "p.example" in outside.names
        assert curl(mesh, "other.example", check=False).returncode == 35


def origination(mode, more=""):
    return f"""apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: outside}}
spec:
  host: o.example
  trafficPolicy: {{tls: {{mode: {mode}{more}}}}}
"""


def test_origination_simple_and_mutual(tls_mesh):
    mesh = tls_mesh
    ca = mesh.ca
    cert, key = ca.issue("client")
    with TlsServer(*ca.issue("o.example"), ca=ca.cert) as outside:
        def answer():
            done = mesh.curl("http://o.example/", "-w", " %{http_code}")
            return done.stdout
        mesh.apply(service_entry("o.example", 80, outside.port, "HTTP") + "---\n" +
                   origination("MUTUAL", f", clientCertificate: {cert}, privateKey: {key}, caCertificates: {ca.cert}, sni: o.example, "
                                         "subjectAltNames: [o.example]"))
        until(lambda: answer() == "from the server 200", 10, "the answer over mutual TLS")
        assert outside.names[-1] == "o.example"
        # The wrong name: nothing of the reason is for the client.
        mesh.apply(origination("MUTUAL", f", clientCertificate: {cert}, privateKey: {key}, caCertificates: {ca.cert}, sni: o.example, "
                                         "subjectAltNames: [another.example]"))
        until(lambda: answer().endswith("503"), 10, "the refusal")
        assert "CERTIFICATE" not in answer()
        # Without a certificate the server refuses us.
        mesh.apply(origination("SIMPLE", f", caCertificates: {ca.cert}, sni: o.example"))
        until(lambda: answer().endswith("503"), 10, "the server's refusal")


def test_files_are_read_anew(tls_mesh):
    mesh = tls_mesh
    ca = mesh.ca
    bad_ca = Authority(ca.folder, "wrong")
    file = ca.folder / "trusted.pem"
    file.write_bytes(bad_ca.cert.read_bytes())
    with TlsServer(*ca.issue("o.example")) as outside:
        mesh.apply(service_entry("o.example", 80, outside.port, "HTTP") + "---\n" +
                   origination("SIMPLE", f", caCertificates: {file}, sni: o.example"))
        ask = lambda: mesh.curl("http://o.example/", "-w", " %{http_code}").stdout
        until(lambda: ask().endswith("503"), 10, "the refusal")
        file.write_bytes(ca.cert.read_bytes())
        until(lambda: ask() == "from the server 200", 10, "the new authority")


@contextlib.contextmanager
def tcp_server(answer):
    """Answers the first bytes of every connection with answer(bytes), then closes; its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def one(connection):
        with connection:
            connection.settimeout(10)
            connection.sendall(answer(connection.recv(1000)))

    def accept():
        while True:
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def tcp_entry(port):
    return f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: db}}
spec:
  hosts: [db.example]
  ports: [{{number: 5432, name: tcp, protocol: TCP, targetPort: {port}}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1}}]
"""


def test_tls_ends_at_the_gateway_and_tcp_goes_on(tls_mesh):
    mesh = tls_mesh
    cert, key = mesh.ca.issue("db.example")
    with tcp_server(lambda sent: b"tcp " + sent) as port:
        mesh.apply(tcp_entry(port) + "---\n" + gateway(server("tls", "db.example", f"mode: OPTIONAL_MUTUAL, serverCertificate: {cert}, privateKey: {key}, "
                                                            f"caCertificates: {mesh.ca.cert}", port=9443, protocol="TLS")) + """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db.example], gateways: [gw], tcp: [{route: [{destination: {host: db.example, port: {number: 5432}}}]}]}
""")
        at = gateway_port(mesh, 9443)

        def ask(identity=None):
            context = ssl.create_default_context(cafile=mesh.ca.cert)
            if identity:
                context.load_cert_chain(*identity)
            try:
                with socket.create_connection(("127.0.0.1", at), timeout=10) as raw, context.wrap_socket(raw, server_hostname="db.example") as tls:
                    tls.sendall(b"hello")
                    return tls.recv(100), tls.recv(100)     # the second: close_notify
            except OSError as error:
                return error
        until(lambda: ask() == (b"tcp hello", b""), 10, "the answer")
        # A client certificate may be shown, and then it must be good.
        assert ask(mesh.ca.issue("client")) == (b"tcp hello", b"")
        assert isinstance(ask(Authority(mesh.ca.folder, "stranger").issue("client")), OSError)


def test_server_names_in_the_mesh_choose_the_service(tls_mesh):
    mesh = tls_mesh
    ca = mesh.ca
    with TlsServer(*ca.issue("a.example"), text=b"a") as a, TlsServer(*ca.issue("a.example"), text=b"b") as b:
        entry = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec: {{hosts: [{name}.example], ports: [{{number: 443, name: tls, protocol: TLS, targetPort: {port}}}], resolution: STATIC, endpoints: [{{address: 127.0.0.1}}]}}
---
"""
        mesh.apply(entry.format(name="a", port=a.port) + entry.format(name="b", port=b.port))
        ask = lambda: mesh.curl("https://a.example/", "--cacert", ca.cert, "-w", " %{http_code}", check=False).stdout
        until(lambda: ask() == "a 200", 10, "the answer of a")
        mesh.apply("""apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.example], tls: [{match: [{port: 443, sniHosts: [a.example]}], route: [{destination: {host: b.example, port: {number: 443}}}]}]}
""")
        until(lambda: ask() == "b 200", 10, "the answer of b")


def test_origination_with_the_requests_name(tls_mesh):
    mesh = tls_mesh
    ca = mesh.ca
    with TlsServer(*ca.issue("o.example")) as outside:
        mesh.apply(service_entry("o.example", 80, outside.port, "HTTP") + "---\n" + origination("SIMPLE", f", caCertificates: {ca.cert}"))
        until(lambda: mesh.curl("http://o.example/", check=False).stdout == "from the server", 10, "the answer")
        assert outside.names[-1] == "o.example"
        # The mesh's connection is kept, and after the server's end resumed.
        assert mesh.curl("http://o.example/").stdout == "from the server"
    with TlsServer(*ca.issue("other.example")) as wrong:
        mesh.apply(service_entry("o.example", 80, wrong.port, "HTTP"))
        until(lambda: mesh.curl("http://o.example/", "-w", "%{http_code}", check=False).stdout.endswith("503"), 10, "the refusal of another's certificate")


TCP_THROUGH = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 9443, name: tcp, protocol: TCP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: ["*"], gateways: [gw], tcp: [{route: [{destination: {host: db.example, subset: s, port: {number: 5432}}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db}
spec: {host: db.example, subsets: [{name: s, trafficPolicy: {POLICY}}]}
"""


def ask_tcp(at):
    try:
        with socket.create_connection(("127.0.0.1", at), timeout=10) as plain:
            plain.sendall(b"hello")
            return plain.recv(1000), plain.getsockname()
    except OSError:
        return b"", None


def test_tcp_through_an_http_proxy(tls_mesh):
    mesh = tls_mesh
    asked = []

    def connect(head):
        asked.append(head)
        return b"HTTP/1.1 200 OK\r\n\r\nwelcome" if head.endswith(b"\r\n\r\n") else b"HTTP/1.1 400 Bad Request\r\n\r\n"

    with tcp_server(connect) as port:
        mesh.apply(tcp_entry(port) + TCP_THROUGH.replace("POLICY", "tunnel: {protocol: CONNECT, targetHost: far.example, targetPort: 5432}"))
        at = gateway_port(mesh, 9443)
        until(lambda: ask_tcp(at)[0] == b"welcome", 10, "the answer from behind the proxy")
        assert asked[-1].startswith(b"CONNECT far.example:5432 HTTP/1.1\r\nhost: far.example:5432\r\n"), asked[-1]


def test_proxy_header_to_the_endpoint(tls_mesh):
    mesh = tls_mesh
    with tcp_server(lambda sent: sent) as port:
        mesh.apply(tcp_entry(port) + TCP_THROUGH.replace("POLICY", "proxyProtocol: {version: V1}"))
        at = gateway_port(mesh, 9443)
        until(lambda: ask_tcp(at)[0].startswith(b"PROXY"), 10, "the header")
        got, client = ask_tcp(at)
        assert got.startswith(f"PROXY TCP4 127.0.0.1 127.0.0.1 {client[1]} {at}\r\n".encode()), got


def test_a_bad_secret_is_named_and_what_served_goes_on(tls_mesh):
    mesh = tls_mesh
    mesh.echo("web")
    config = gateway(server("https", "a.example", "mode: SIMPLE, credentialName: cert")) + "---\n" + ROUTES

    def apply(text):
        done = mesh.run("apply", "-f", "-", stdin=text, check=False)
        return done.stdout + done.stderr

    before = apply(config)
    assert "LTN0405" in before and "there is no Secret cert in namespace istio-system" in before and "credentialName" in before, before
    assert "LTN0405" in mesh.run("get", "gateway", "-n", "default").stderr
    cert, key = mesh.ca.issue("a.example")
    mesh.apply(secret("cert", cert, key))
    wait_for(mesh, "a.example")
    assert "LTN040" not in mesh.run("get", "gateway").stderr
    _, other = mesh.ca.issue("b.example")
    for bad, what in ((secret("cert", cert, other), "do not belong together"),
                      (secret("cert", cert, key).replace("tls.key:", "tls.nokey:"), "it has no key tls.key"),
                      (secret("cert", cert, key).replace("BEGIN PRIVATE KEY-----", "BEGIN PRIVATE KEY-----\n    x"), "cannot be read")):
        out = apply(bad)
        assert "LTN0406" in out and "Gateway default/gw: spec.servers[0].tls.credentialName" in out and what in out, out
        assert what in mesh.run("analyze", check=False).stdout
        assert code(mesh, "a.example") == "200", what
    mesh.run("delete", "secret", "cert", "-n", "istio-system")
    until(lambda: "there is no Secret cert" in mesh.run("get", "gateway").stderr, 5, "the finding")
    assert code(mesh, "a.example") == "200"
    log = (mesh.folder / "lateen.log").read_text()
    assert "do not belong together" in log and "-----BEGIN" not in log.replace("line -----BEGIN", "").replace("from -----BEGIN", "")
