"""Clients that send what they are told and say what came: HTTP/1, HTTP/2 and bytes, plain or in TLS."""
import socket
import ssl

import http2

WAIT_SECONDS = 4
ODD_WAIT_SECONDS = 1      # for an answer that may never come
STREAM_MAX = 1 << 30      # a new connection after so many: stream numbers are 31 bits


class Ended(Exception):
    """The other side has closed; the text is how."""


class Answer:
    """`failure` is "" where an answer came whole."""

    def __init__(self):
        self.status, self.reason, self.failure = None, "", ""
        self.interim, self.headers, self.body, self.trailers = [], [], b"", []


class Link:
    """One connection of a client."""

    def __init__(self, port, way, authority):
        self.raw = socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.received, self.agreed = self.raw, b"", None
        if way.destination is not None:
            source = self.raw.getsockname()
            host, at = way.destination
            family = "TCP6" if ":" in host else "TCP4"
            self.raw.sendall(f"PROXY {family} {'::1' if family == 'TCP6' else source[0]} {host} {source[1]} {at}\r\n".encode())
        if way.tls is not None: self._begin_tls(way, authority)

    def _begin_tls(self, way, authority):
        context = ssl.create_default_context(cafile=authority.cert)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if way.alpn: context.set_alpn_protocols(list(way.alpn))
        if way.version: context.minimum_version = context.maximum_version = ssl.TLSVersion[way.version]
        if way.certificate: context.load_cert_chain(*authority.client())
        try:
            self.socket = context.wrap_socket(self.raw, server_hostname=way.sni, suppress_ragged_eofs=True)
        except ssl.SSLError as error:
            self.raw.close()
            raise Ended("TLS " + ("closed" if isinstance(error, ssl.SSLEOFError) else str(error.reason))) from None
        except OSError as error:
            self.raw.close()
            raise Ended("reset in TLS" if isinstance(error, ConnectionError) else f"TLS {type(error).__name__}") from None
        self.agreed = self.socket.selected_alpn_protocol()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass                            # what the other side has said before can still be read

    def more(self):
        """Reads on; raises Ended."""
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            raise Ended("nothing came") from None
        except ssl.SSLError as error:
            raise Ended(f"TLS {error.reason}") from None
        except OSError:
            raise Ended("reset") from None
        if not data: raise Ended("closed")
        self.received += data

    def line(self):
        while b"\n" not in self.received: self.more()
        line, _, self.received = self.received.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def take(self, count):
        while len(self.received) < count: self.more()
        data, self.received = self.received[:count], self.received[count:]
        return data

    def rest(self):
        """(everything up to the end, how it ended)."""
        while True:
            try:
                self.more()
            except Ended as end:
                data, self.received = self.received, b""
                return data, str(end)

    def half_close(self):
        try:
            self.raw.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        """Says goodbye where that is TLS."""
        if self.socket is not self.raw:
            try:
                self.socket.settimeout(0.05)
                self.socket.unwrap()
            except (OSError, ValueError):       # it has ended already
                pass
        self.cut()

    def cut(self):
        self.socket.close()


class Http1:
    """Requests over one connection, one after the other."""

    def __init__(self, link):
        self.link, self.usable, self.used = link, True, False

    def send(self, request, test_id):
        head = [f"{request.method} {request.path} HTTP/1.1", f"host: {request.host}", f"x-test-id: {test_id}"]
        head += [f"{name}: {value}" for name, value in request.headers]
        body = request.body
        if request.trailers is not None:
            head.append("transfer-encoding: chunked")
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n"
            body += "".join(f"{name}: {value}\r\n" for name, value in request.trailers).encode("latin-1") + b"\r\n"
        elif body: head.append(f"content-length: {len(body)}")
        first = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
        if ("expect", "100-continue") in request.headers: return self.send_bytes(first, request.method, body)
        return self.send_bytes(first + body, request.method)

    def send_bytes(self, data, method, after=b""):
        """`after` is sent when something has come back."""
        self.link.send(data)
        answer = Answer()
        if after:
            try:
                self.link.more()
            except Ended:
                pass
            self.link.send(after)
        try:
            self._head(answer)
            self._body(answer, method)
            self.used = True
        except Ended as end:
            answer.failure, self.usable = str(end), False
        except (ValueError, IndexError):
            answer.failure, self.usable = "no HTTP", False
        return answer

    def _head(self, answer):
        while True:
            version, status, *reason = self.link.line().split(" ", 2)
            if not version.startswith("HTTP/"): raise ValueError
            headers = []
            while (line := self.link.line()):
                name, _, value = line.partition(":")
                headers.append((name.lower(), value.strip()))
            if int(status) >= 200 or int(status) == 101: break
            answer.interim.append([int(status), headers])
        answer.status, answer.headers, answer.reason = int(status), headers, reason[0] if reason else ""

    def _body(self, answer, method):
        named = dict(answer.headers)
        if answer.status == 101 or (method == "CONNECT" and answer.status == 200):
            self.usable = False
            self.link.send(b"ping")
            answer.body = self.link.take(4)
            self.link.close()
            return
        if method != "HEAD" and answer.status not in (204, 304):
            if "chunked" in named.get("transfer-encoding", ""):
                while (size := int(self.link.line().split(";")[0], 16)) > 0:
                    answer.body += self.link.take(size)
                    self.link.line()
                while (line := self.link.line()): answer.trailers.append(tuple(line.split(": ", 1)))
            elif "content-length" in named:
                answer.body = self.link.take(int(named["content-length"]))
            else:
                answer.body, end = self.link.rest()
                self.usable = False
                if end != "closed": raise Ended(end)
        if "close" in named.get("connection", ""): self.usable = False


class Http2:
    def __init__(self, link):
        self.link, self.usable, self.used = link, True, False
        self.http2, self.stream = http2.Http2(client=True), 1

    def send(self, request, test_id):
        fields = [(":method", request.method), (":scheme", request.scheme), (":path", request.path), (":authority", request.host),
                  ("x-test-id", test_id)]
        if request.method == "CONNECT" and not request.protocol: fields = [f for f in fields if f[0] not in (":scheme", ":path")]
        if request.protocol: fields.insert(1, (":protocol", request.protocol))
        fields += [(name.lower(), value) for name, value in request.headers]
        if request.body and request.trailers is None: fields.append(("content-length", str(len(request.body))))
        return self.send_fields(fields, request.body, request.trailers, tunnel=request.method == "CONNECT",
                                waits=("expect", "100-continue") in request.headers)

    def send_fields(self, fields, body=b"", trailers=None, tunnel=False, waits=False):
        """`waits`: the body is sent when something has come back."""
        stream, self.stream = self.stream, self.stream + 2
        if stream > STREAM_MAX: self.usable = False
        self.http2.headers(stream, fields, not body and trailers is None and not tunnel)
        answer = Answer()
        if waits:
            try:
                while answer.status is None and not answer.interim:
                    if self._read(stream, answer, False): return answer
            except Ended as end:
                answer.failure, self.usable = str(end), False
                return answer
        if body: self.http2.data(stream, body, not trailers)
        if trailers: self.http2.trailers(stream, list(trailers))
        elif trailers is not None and not body: self.http2.data(stream, b"", True)
        try:
            while not self._read(stream, answer, tunnel): pass
            self.used = True
        except Ended as end:
            answer.failure, self.usable = str(end), False
        return answer

    def _read(self, stream, answer, tunnel):
        """Whether the answer is whole."""
        self._flush()
        self.link.more()
        events = self.http2.receive(self.link.received)
        self.link.received = b""
        done = False
        for event in events:
            if isinstance(event, http2.GoAway):
                self.usable = False
                if event.code or event.last < stream: raise Ended(f"GOAWAY {event.code}")
            elif event.stream != stream: continue
            elif isinstance(event, http2.Reset):
                if not (done and event.code == 0):      # the rest of the request is not wanted
                    raise Ended(f"RST_STREAM {event.code}")
            elif isinstance(event, http2.Data):
                answer.body += event.data
                done |= event.end or (tunnel and answer.body == b"ping")
            else:
                self._headers(event, answer)
                done |= event.end
                if tunnel and answer.status == 200 and not event.end: self.http2.data(stream, b"ping", False)
        self._flush()
        if done and tunnel and answer.body == b"ping": self.http2.reset(stream, 8)
        return done

    def _headers(self, event, answer):
        if answer.status is not None:
            answer.trailers = event.fields
            return
        named = dict(event.fields)
        fields = [(name, value) for name, value in event.fields if name != ":status"]
        if int(named[":status"]) < 200: answer.interim.append([int(named[":status"]), fields])
        else: answer.status, answer.headers = int(named[":status"]), fields

    def _flush(self):
        if self.http2.out: self.link.send(bytes(self.http2.out))
        self.http2.out.clear()


class Client:
    """Keeps its connections alive: one for each (port, way, protocol)."""

    def __init__(self, authority):
        self.authority, self.kept = authority, {}

    def send(self, port, way, protocol, request, test_id):
        """Tries again on a new connection where a kept one had been closed meanwhile."""
        at = (port, way.kind(), protocol)
        while True:
            codec = self.kept.pop(at, None)
            fresh = codec is None
            if fresh:
                try:
                    codec = self.connect(port, way, protocol)
                except Ended as end:
                    answer = Answer()
                    answer.failure = str(end)
                    return answer
            answer = codec.send(request, test_id)
            if codec.usable: self.kept[at] = codec
            else: codec.link.close()
            if answer.failure in ("closed", "reset") and answer.status is None and not fresh: continue
            return answer

    def send_input(self, port, way, protocol, entry, test_id, host):
        """One of inputs.py, over a connection of its own."""
        link = Link(port, way, self.authority)
        link.raw.settimeout(ODD_WAIT_SECONDS)
        if protocol == "HTTP/1":
            data = entry.filled(entry.data, test_id, host).encode("latin-1")
            answer = Http1(link).send_bytes(data, entry.method)
        else:
            fields = [tuple(entry.filled(text, test_id, host).encode("latin-1") for text in field) for field in entry.fields]
            answer = Http2(link).send_fields(fields, entry.body, entry.trailers)
        link.close()
        return answer

    def connect(self, port, way, protocol):
        link = Link(port, way, self.authority)
        # By ALPN, where TLS ends at the proxy.
        if way.tls == "ended": protocol = "HTTP/2" if link.agreed == "h2" else "HTTP/1"
        return Http2(link) if protocol == "HTTP/2" else Http1(link)

    def forget(self, port):
        for at in [at for at in self.kept if at[0] == port]: self.kept.pop(at).link.close()
