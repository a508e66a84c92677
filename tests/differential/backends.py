"""Upstreams that say what they saw: one listening socket for each (cluster, endpoint), all in one thread.

Each takes what comes: TLS or plain, HTTP/1, HTTP/2 or bytes, and notes it under the exchange's id (x-test-id, or the first line
of bytes). What it answers is asked for by headers of the request:
  x-echo-status: 503              the status
  x-echo-fail-first: 2 503        the first two tries of this id get 503 (or "reset", "close": no answer at all)
  x-echo-delay: 0.2               seconds before the answer
  x-echo-headers: a: b|c: d       more headers
  x-echo-trailers: a: b|c: d      trailers (with HTTP/1: chunked)
  x-echo-body: chunked | close | none | 70000      how the body is framed, or its length
  x-echo-interim: 100,103         informational answers before
  x-echo-tunnel: yes              the upgrade or CONNECT is taken: 101 or 200, then what comes goes back
"""
import asyncio
import collections
import json
import ssl
import threading

import http2

FIRST_BYTES_MAX = 65_536
TCP_WORD = b"DIFF "       # begins a connection that is no HTTP: "DIFF <id> <mode>\n"


def split_fields(text):
    return [tuple(part.split(": ", 1)) for part in text.split("|") if part] if text else []


class Plan:
    """What is to be answered to a request."""

    def __init__(self, named, tries):
        self.status, self.failure = int(named.get("x-echo-status", "200")), ""
        count, _, what = named.get("x-echo-fail-first", "0").partition(" ")
        if tries <= int(count):
            if what.isdigit(): self.status = int(what)
            else: self.failure = what
        self.delay = float(named.get("x-echo-delay", "0"))
        self.fields = split_fields(named.get("x-echo-headers"))
        self.trailers = split_fields(named.get("x-echo-trailers"))
        self.framing = named.get("x-echo-body", "")
        self.interim = [int(s) for s in named.get("x-echo-interim", "").split(",") if s]
        self.tunnel = named.get("x-echo-tunnel") == "yes"

    def body(self, key):
        if self.framing == "none": return b""
        if self.framing.isdigit(): return b"x" * int(self.framing)
        return f"answer of {key.split(' ')[0]}".encode()


class Upstream(asyncio.Protocol):
    """One connection, whatever it speaks."""

    def __init__(self, owner, key):
        self.owner, self.key = owner, key
        self.tls, self.facts, self.codec, self.first, self.ended = None, None, None, b"", False

    def connection_made(self, transport):
        self.transport = transport
        self.source = transport.get_extra_info("peername")[0]

    def data_received(self, data):
        if self.tls is None and self.codec is None and not self.first and data[:1] == b"\x16":
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = self.owner.authority.server_context("").wrap_bio(self.incoming, self.outgoing, server_side=True)
            self.shaken = False
        if self.tls is None: return self.plain(data)
        self.incoming.write(data)
        try:
            self._decrypt()
        except ssl.SSLError as error:
            self.owner.note_failure(self.key, error.reason)
            self._flush_tls()
            self.transport.close()

    def _decrypt(self):
        if not self.shaken:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                return self._flush_tls()
            self.shaken = True
            shown = self.tls.getpeercert()
            subject = [value for part in (shown or {}).get("subject", ()) for _, value in part]
            self.facts = {"sni": getattr(self.tls, "asked_for", None), "alpn": self.tls.selected_alpn_protocol(), "client": subject,
                          "version": self.tls.version()}
        self._flush_tls()
        while True:
            try:
                data = self.tls.read(65_536)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self.eof_received()
                break
            self.plain(data)
        self._flush_tls()

    def _flush_tls(self):
        if self.outgoing.pending: self.transport.write(self.outgoing.read())

    def plain(self, data):
        if self.codec is None:
            self.first += data
            data = self.first
            if http2.PREFACE.startswith(data[:24]) and len(data) < 24: return
            if b"\n" not in data and len(data) < FIRST_BYTES_MAX: return
            if data.startswith(http2.PREFACE): self.codec = Http2Upstream(self)
            elif b" HTTP/1." in data.split(b"\n")[0]: self.codec = Http1Upstream(self)
            else: self.codec = ByteUpstream(self)
        try:
            self.codec.receive(data)
        except (ValueError, IndexError):      # no HTTP after all
            self.transport.close()

    def write(self, data):
        if self.transport.is_closing(): return
        if self.tls is None: return self.transport.write(data)
        self.tls.write(data)
        self._flush_tls()

    def close(self):
        if self.tls is not None:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass
            self._flush_tls()
        self.transport.close()

    def abort(self): self.transport.abort()

    def eof_received(self):
        if not self.ended and self.codec is not None: self.codec.end()
        self.ended = True
        return isinstance(self.codec, ByteUpstream) and self.codec.open


    def connection_lost(self, error):
        if self.codec is not None: self.codec.lost(error)


class ByteUpstream:
    def __init__(self, connection):
        self.connection, self.head, self.record, self.open = connection, b"", None, True

    def receive(self, data):
        if self.record is None:
            self.head += data
            line, found, data = self.head.partition(b"\n")
            if not found: return
            self._begin(line)
        self.record["bytes"] += len(data)
        if data and self.mode == "echo": self.connection.write(data)

    def _begin(self, line):
        words = line.decode("latin-1").split(" ") + ["", ""]
        self.mode = words[2] if line.startswith(TCP_WORD) else "close"
        self.record = {"kind": "bytes", "upstream": self.connection.key, "tls": self.connection.facts, "bytes": 0, "end": "open",
                       "line": "" if line.startswith(TCP_WORD) else line.decode("latin-1")}
        self.connection.owner.note(words[1] if line.startswith(TCP_WORD) else "", self.record)
        self.connection.write(f"hello from {self.connection.key.split(' ')[0]}\n".encode())
        if self.mode.isdigit(): self.connection.write(b"x" * int(self.mode))
        if self.mode == "close" or self.mode.isdigit(): self._end(self.connection.close)
        elif self.mode == "reset": self._end(lambda: self.connection.owner.loop.call_later(0.02, self.connection.abort))

    def _end(self, how):
        self.open = False
        self.record["end"] = "ours"
        how()

    def end(self):
        if self.record is not None and self.record["end"] == "open": self.record["end"] = "closed"
        self.open = False
        self.connection.close()

    def lost(self, error):
        if self.record is not None and self.record["end"] == "open": self.record["end"] = "reset" if error else "closed"


class Http1Upstream:
    def __init__(self, connection):
        self.connection, self.buffer, self.request, self.tunnel, self.busy = connection, b"", None, False, False

    def receive(self, data):
        self.buffer += data
        if self.tunnel:
            self.buffer = b""
            return self.connection.write(data)
        while not self.busy and self._step(): pass

    def end(self): pass
    def lost(self, error): pass

    def _step(self):
        if self.request is None:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found: return False
            self.buffer = rest
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, version = first.split(" ", 2)
            fields = [(line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in lines]
            self.named = {name.lower(): value for name, value in fields}
            self.request = {"kind": "HTTP/1", "upstream": self.connection.key, "method": method, "path": path, "version": version,
                            "headers": fields, "body": "", "trailers": [], "tls": self.connection.facts, "source": self.connection.source}
            self.chunked = "chunked" in self.named.get("transfer-encoding", "")
            self.left = 0 if self.chunked else int(self.named.get("content-length", "0"))
            interim = [s for s in Plan(self.named, 1 << 30).interim if s == 100]
            if interim: self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._body(): return False
        self._answer()
        return True

    def _body(self):
        if self.chunked:
            while True:
                line, found, rest = self.buffer.partition(b"\r\n")
                if not found: return False
                size = int(line.split(b";")[0], 16)
                if size == 0: break
                if len(rest) < size + 2: return False
                self.request["body"] += rest[:size].decode("latin-1")
                self.buffer = rest[size + 2:]
            if rest.startswith(b"\r\n"):
                self.buffer = rest[2:]
                return True
            trailers, found, after = rest.partition(b"\r\n\r\n")
            if not found: return False
            self.request["trailers"] = [(l.split(":", 1)[0], l.split(":", 1)[1].strip()) for l in trailers.decode("latin-1").split("\r\n")]
            self.buffer = after
            return True
        if len(self.buffer) < self.left: return False
        self.request["body"], self.buffer = self.buffer[:self.left].decode("latin-1"), self.buffer[self.left:]
        return True

    def _answer(self):
        request, self.request, self.busy = self.request, None, True
        tries = self.connection.owner.note(self.named.get("x-test-id", ""), request)
        plan = Plan(self.named, tries)
        self.connection.owner.loop.call_later(plan.delay, self._write, request, plan) if plan.delay else self._write(request, plan)

    def _write(self, request, plan):
        self.busy = False
        if plan.failure: return self.connection.abort() if plan.failure == "reset" else self.connection.close()
        for status in plan.interim:
            if status != 100: self.connection.write(f"HTTP/1.1 {status} Interim\r\nx-interim: {status}\r\n\r\n".encode())
        if plan.tunnel:
            self.tunnel = True
            upgrade = self.named.get("upgrade", "websocket")
            first = "HTTP/1.1 200 OK\r\n" if request["method"] == "CONNECT" else f"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n"
            self.connection.write((first + "x-upstream-header: seen\r\n\r\n").encode())
            rest, self.buffer = self.buffer, b""
            return self.connection.write(rest)
        body = plan.body(request["upstream"])
        head = f"HTTP/1.1 {plan.status} Status\r\ncontent-type: text/plain\r\nx-upstream-header: seen\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in plan.fields)
        bodiless = request["method"] == "HEAD" or plan.status in (204, 304)
        chunked = plan.framing == "chunked" or plan.trailers
        if chunked: head += "transfer-encoding: chunked\r\n" + "".join(f"trailer: {name}\r\n" for name, _ in plan.trailers)
        elif plan.framing != "close" and plan.status != 204: head += f"content-length: {len(body)}\r\n"
        if chunked and not bodiless:
            body = b"%x\r\n%s\r\n0\r\n" % (len(body), body) if body else b"0\r\n"
            body += "".join(f"{name}: {value}\r\n" for name, value in plan.trailers).encode() + b"\r\n"
        self.connection.write(head.encode("latin-1") + b"\r\n" + (b"" if bodiless else body))
        if plan.framing == "close": self.connection.close()
        while not self.busy and self._step(): pass


class Http2Upstream:
    def __init__(self, connection):
        self.connection, self.http2, self.streams, self.tunnels = connection, http2.Http2(client=False), {}, set()
        self._flush()

    def _flush(self):
        if self.http2.out: self.connection.write(bytes(self.http2.out))
        self.http2.out.clear()

    def end(self): pass
    def lost(self, error): pass

    def receive(self, data):
        for event in self.http2.receive(data):
            if isinstance(event, http2.Headers): self._headers(event)
            elif isinstance(event, http2.Data): self._data(event)
            elif isinstance(event, http2.Reset): self.streams.pop(event.stream, None)
        self._flush()

    def _headers(self, event):
        request = self.streams.get(event.stream)
        if request is not None:
            request["trailers"] = event.fields
            return self._answer(event.stream)
        named = dict(event.fields)
        request = {"kind": "HTTP/2", "upstream": self.connection.key, "method": named.get(":method"), "path": named.get(":path"), "version": "HTTP/2",
                   "headers": event.fields, "body": "", "trailers": [], "tls": self.connection.facts, "source": self.connection.source}
        self.streams[event.stream] = request
        if 100 in Plan(named, 1 << 30).interim: self.http2.headers(event.stream, [(":status", "100")], False)
        if event.end or request["method"] == "CONNECT": self._answer(event.stream)

    def _data(self, event):
        request = self.streams.get(event.stream)
        if request is None: return
        if event.stream in self.tunnels: return self.http2.data(event.stream, event.data, event.end)
        request["body"] += event.data.decode("latin-1")
        if event.end: self._answer(event.stream)

    def _answer(self, stream):
        request = self.streams[stream]
        named = dict(request["headers"])
        tries = self.connection.owner.note(named.get("x-test-id", ""), request)
        plan = Plan(named, tries)
        if plan.delay: self.connection.owner.loop.call_later(plan.delay, self._write, stream, request, plan)
        else: self._write(stream, request, plan)

    def _write(self, stream, request, plan):
        if stream not in self.streams: return
        if plan.failure == "close": return self.connection.close()
        if plan.failure == "reset":
            self.http2.reset(stream, 2)
            return self._flush()
        for status in plan.interim:
            if status != 100: self.http2.headers(stream, [(":status", str(status)), ("x-interim", str(status))], False)
        if plan.tunnel:
            self.tunnels.add(stream)
            self.http2.headers(stream, [(":status", "200"), ("x-upstream-header", "seen")], False)
            return self._flush()
        del self.streams[stream]
        body = b"" if request["method"] == "HEAD" or plan.status in (204, 304) else plan.body(request["upstream"])
        fields = [(":status", str(plan.status)), ("content-type", "text/plain"), ("x-upstream-header", "seen"), *plan.fields]
        if plan.framing != "chunked" and not plan.trailers and plan.status != 204:
            fields.append(("content-length", str(len(plan.body(request["upstream"])))))
        self.http2.headers(stream, fields, not body and not plan.trailers)
        if body: self.http2.data(stream, body, not plan.trailers)
        if plan.trailers: self.http2.trailers(stream, plan.trailers)
        self._flush()


class Backends:
    def __init__(self, authority, access_log):
        self.authority, self.access_log = authority, access_log      # the file is Envoy's
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers = []
        self.ports = {}                                  # key -> port
        self.records = collections.defaultdict(list)     # id -> what was seen, in order
        self.failures = collections.Counter()            # key -> handshakes that failed

    def port(self, key):
        """The port of the upstream called `key`, a string; opened at the first call."""
        if key not in self.ports:
            self.ports[key] = asyncio.run_coroutine_threadsafe(self._open(key), self.loop).result(10)
        return self.ports[key]

    def note(self, test_id, record):
        """How many have come under this id."""
        self.records[test_id].append(record)
        return sum(1 for one in self.records[test_id] if dict(one.get("headers", ())).get("x-envoy-internal") != "true")   # mirrors

    def note_failure(self, key, reason):
        self.failures[key] += 1

    def stop(self):
        async def end():
            for server in self.servers: server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}: task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def _open(self, key):
        server = await self.loop.create_server(lambda: Upstream(self, key), "127.0.0.1", 0, backlog=128)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]
