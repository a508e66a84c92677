"""Sends the same requests to two data planes and compares what came of them."""
import collections
import fcntl
import json
import re
import socket
import struct
import time

CHANGING = {"x-request-id", "date", "x-envoy-upstream-service-time", "x-test-id"}
SHADOW_SECONDS_MAX = 1    # mirrored requests may come after the answer
DRAW_SHARE_TOLD = 0.3     # an outcome that one side has in this share of the draws must be seen on the other side


def own_addresses():
    """IPv4 addresses of this machine's interfaces."""
    found = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                found.add(socket.inet_ntoa(fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()))[20:24]))   # SIOCGIFADDR
            except OSError:
                pass
    return found


OWN_ADDRESSES = own_addresses()


class Client:
    """Keep-alive connections, one for each port."""

    def __init__(self):
        self.sockets = {}

    def send(self, port, request, test_id):
        head = [f"{request.method} {request.path} HTTP/1.1", f"host: {request.host}", f"x-test-id: {test_id}"]
        head += [f"{name}: {value}" for name, value in request.headers]
        if request.body: head.append(f"content-length: {len(request.body)}")
        data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + request.body
        for attempt in range(2):
            fresh = port not in self.sockets
            if fresh:
                connection = socket.create_connection(("127.0.0.1", port), timeout=4)
                self.sockets[port] = (connection, connection.makefile("rb"))
            try:
                connection, reader = self.sockets[port]
                connection.sendall(data)
                return self._read(port, reader, request.method)
            except (OSError, EOFError) as error:
                self._drop(port)
                if fresh or attempt: return ("no answer", type(error).__name__, [], b"")

    def _drop(self, port):
        connection, reader = self.sockets.pop(port)
        reader.close()
        connection.close()

    def _read(self, port, reader, method):
        status_line = reader.readline().decode("latin-1")
        if not status_line: raise EOFError
        status = int(status_line.split(" ")[1])
        headers = []
        while (line := reader.readline().decode("latin-1").rstrip("\r\n")):
            name, _, value = line.partition(":")
            headers.append((name.lower(), value.strip()))
        named = dict(headers)
        body = b""
        if method != "HEAD" and status not in (204, 304):
            if "chunked" in named.get("transfer-encoding", ""):
                while (size := int(reader.readline().split(b";")[0], 16)) > 0:
                    body += reader.read(size)
                    reader.readline()
                reader.readline()
            elif "content-length" in named:
                body = reader.read(int(named["content-length"]))
            else:
                body = reader.read()
                self._drop(port)
                return status, "", headers, body
        if "close" in named.get("connection", ""): self._drop(port)
        return status, "", headers, body


def kept(headers):
    """What is compared of headers. Left out: `content-length: 0` (Envoy gives one to every request without a body but GET
    and HEAD), and `connection: close` (Envoy closes after an answer of its own to a request that it has not read whole; we
    read the rest)."""
    def shown(name, value):
        if name in CHANGING: return "*"
        # For a client on loopback Envoy appends the machine's address to x-forwarded-for.
        if name == "x-forwarded-for": return ",".join("own" if part in OWN_ADDRESSES else part for part in value.split(","))
        # A cookie that was made for consistent hashing.
        if name == "set-cookie": return re.sub(r'="[0-9a-f]{16}"', '="*"', value)
        return value

    return sorted((name.lower(), shown(name.lower(), value)) for name, value in headers
                  if (name.lower(), value) not in (("content-length", "0"), ("connection", "close")))


def outcome(answer):
    """What must be the same on both sides, as JSON-able values."""
    status, failure, headers, body = answer
    out = {"status": status, "failure": failure}
    try:
        seen = json.loads(body)
        seen = seen if isinstance(seen, dict) and "upstream" in seen else None
    except ValueError:
        seen = None
    if seen is not None:
        out["cluster"] = seen["upstream"].split(" ")[0]
        out["method"], out["path"], out["request body"] = seen["method"], seen["path"], seen["body"]
        out["headers upstream"] = kept(seen["headers"])
    elif status == 400:
        headers = []            # a request that the codec refuses: Envoy has no words for it, we have
    else:
        out["body"] = body.decode("latin-1")
    # The length of the echoed body follows from the request's headers, which are compared above.
    out["headers downstream"] = kept(h for h in headers if seen is None or h[0] != "content-length")
    return out


def differences(envoy, ours):
    """Lines that say how two outcomes differ."""
    lines = []
    for key in sorted(envoy.keys() | ours.keys()):
        a, b = envoy.get(key), ours.get(key)
        if a == b: continue
        if key.startswith("headers") and a is not None and b is not None:
            only_a = [f"{n}: {v}" for n, v in a if [n, v] not in [list(x) for x in b]]
            only_b = [f"{n}: {v}" for n, v in b if [n, v] not in [list(x) for x in a]]
            lines.append(f"{key}: Envoy {only_a or 'fewer'} ours {only_b or 'fewer'}")
        else:
            lines.append(f"{key}: Envoy {a!r} ours {b!r}")
    return lines


def shape(out):
    return json.dumps([out["status"], out.get("cluster"), out.get("path"), out.get("body")])


def arrivals(backends, test_id):
    return [sum(n for (_, i), n in backends.arrivals.items() if i == f"{side}{test_id}-0") for side in "el"]


def compare(client, request, envoy_port, our_port, backends, test_id):
    """Lines; empty: the same."""
    answers = {}
    for side, port in (("e", envoy_port), ("l", our_port)):
        answers[side] = [outcome(client.send(port, request, f"{side}{test_id}-{draw}")) for draw in range(request.draws)]
    if request.draws == 1:
        lines = differences(answers["e"][0], answers["l"][0])
        tries = arrivals(backends, test_id)
        deadline = time.monotonic() + SHADOW_SECONDS_MAX
        while tries[0] != tries[1] and time.monotonic() < deadline:
            time.sleep(0.01)
            tries = arrivals(backends, test_id)
        if tries[0] != tries[1]: lines.append(f"requests upstream: Envoy {tries[0]} ours {tries[1]}")
        return lines
    lines = []
    shapes = {side: collections.Counter(map(shape, answers[side])) for side in "el"}
    for one, other, name in (("e", "l", "Envoy"), ("l", "e", "ours")):
        for what, count in shapes[one].items():
            if count >= DRAW_SHARE_TOLD * request.draws and what not in shapes[other]:
                lines.append(f"{name} had {what} {count} times in {request.draws}, the other never")
    for what in shapes["e"].keys() & shapes["l"].keys():
        first = [next(a for a in answers[side] if shape(a) == what) for side in "el"]
        lines += differences(*first)
    return lines
