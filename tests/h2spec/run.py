"""Starts a gateway in front of an upstream and runs h2spec against it. usage: run.py --tool H2SPEC --cases N"""
import argparse
import http.server
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "torture"))
import lateen_mesh

MESH = lateen_mesh.GATEWAY + """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: upstream}
spec:
  hosts: [upstream.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %(upstream)d}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: everything}
spec:
  hosts: ['*']
  gateways: [edge]
  http:
  - route: [{destination: {host: upstream.test}}]
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.headers.get("transfer-encoding"):
            while int(self.rfile.readline(), 16):
                self.rfile.readline()
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b"0123456789" * 100  # some cases need a body that a small window holds up
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = do_PUT = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class UpstreamServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # many cases break off: what is under way to us then ends in the middle


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--cases", type=int, required=True)
    args, more = parser.parse_known_args()
    upstream = UpstreamServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as work:
        port = lateen_mesh.free_port()
        mesh = lateen_mesh.Mesh(work, MESH % dict(port=port, upstream=upstream.server_address[1]))
        try:
            command = [args.tool, "-h", "127.0.0.1", "-p", str(port), "-P", "/", "-o", "5", *more]
            result = subprocess.run(command, capture_output=True, text=True, timeout=600)
        finally:
            ended = mesh.stop()
    text = result.stdout + result.stderr
    count = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", text)
    if not count:
        print(text)
        raise SystemExit("h2spec: did not run to its end")
    total, passed, skipped, failed = map(int, count.groups())
    good = total == passed == args.cases and failed == 0 and skipped == 0 and ended == 0
    if not good:
        print(text)
    print(f"h2spec: {passed} of {args.cases} passed, {skipped} skipped, {failed} failed" + (f"; the mesh ended with {ended}" if ended else ""))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
