"""Certificates for one run, by the openssl program: an authority, and what it signs, made when first asked for."""
import pathlib
import ssl
import subprocess
import threading


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30)
    if done.returncode != 0: raise RuntimeError(done.stderr)


KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
SPIFFE = "spiffe://cluster.local/ns/default/sa/default"


class Authority:
    def __init__(self, folder, name="root"):
        self.folder, self.name = pathlib.Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        openssl("req", "-x509", *KEY, "-days", "30", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)
        self.uris = {SPIFFE}           # that a server's certificate names beside its DNS name
        self.made, self.contexts = {}, {}
        self.lock = threading.Lock()

    def issue(self, subject, names):
        """(certificate, key) for CN=`subject` with subject alternative names ("DNS:a.example")."""
        at = (subject, tuple(names))
        if at in self.made: return self.made[at]
        base = self.folder / f"{self.name}-{len(self.made)}"
        cert, key, request, extensions = (base.with_suffix(s) for s in (".pem", ".key", ".csr", ".ext"))
        extensions.write_text("subjectAltName=" + ",".join(names) + "\n")
        openssl("req", *KEY, "-subj", f"/CN={subject}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "30",
                "-extfile", extensions, "-out", cert)
        self.made[at] = cert, key
        return cert, key

    def server(self, name):
        """(certificate, key) of a server that is called `name`, and of every URI that a client may want of it."""
        with self.lock:
            dns = [f"DNS:{name}"] if name and len(name) < 200 and not name.startswith("outbound_") else ["DNS:nameless.example"]
            return self.issue("server", dns + [f"URI:{uri}" for uri in sorted(self.uris)])

    def client(self):
        with self.lock: return self.issue("client", [f"URI:{SPIFFE}", "DNS:client.example"])

    def server_context(self, name):
        """What an upstream shows to a client that asks for `name`; a client's certificate is asked for and need not come."""
        if name not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.server(name))
            context.load_verify_locations(self.cert)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.set_alpn_protocols(["h2", "http/1.1", "istio"])
            context.sni_callback = self._choose
            self.contexts[name] = context
        return self.contexts[name]

    def _choose(self, connection, name, _):
        connection.context = self.server_context(name or "")
        connection.asked_for = name
