"""Odd requests, byte by byte: what no generator makes from a route table. {id} is the exchange's x-test-id, {host} a host of the
listener's tables."""
import generate

# Lines of a head, without the first two (GET ... and host) where a text has only fields.
PATHS = ["/a/../b", "/a/./b", "/a//b", "//", "/%2e%2e/x", "/a/%2E%2E/b", "/a%2fb", "/a%5cb", "/a\\b", "/%zz", "/%", "/%0", "/a%00b", "/a?", "/?",
         "/??a", "/a?b?c", "/a#frag", "/a?b#frag", "/a;b=c", "/a%20b", "/%E4%BD%A0", "/caf\xe9", "/..", "/../..", "/.", "/a/..", "/a/.", "/...",
         "/a/...//b", "/a|b", "/a\"b", "/<x>", "/[x]", "/{x}", "/^x", "/a'b", "/~x", "/a@b", "/a:80", "/" + "x" * 4000, "/a?" + "y=z&" * 1000,
         "/%61%62", "/A%2dB", "/a%2F..%2Fb", "/x/%2e/y", "/x\\..\\y", "/%c0%af", "*", "a", "", "http:", "/a?x=%zz", "/ü"]
TARGETS = ["http://{host}/abs", "http://{host}", "HTTP://{host}/upper", "https://{host}/abs", "http://other.example/abs", "http://{host}:8080/port",
           "http://user@{host}/x", "http:///nohost", "ftp://{host}/x", "ws://{host}/x", "http://{host}?q", "http://{host}/a/../b", "{host}:80", "//{host}/x"]
HOSTS = ["{host}", "{host}:80", "{host}:9080", "{host}:0", "{host}:65535", "{host}:65536", "{host}:", "{host}:abc", "{HOST}", "{host}.", "a b", "",
         "[::1]", "[::1]:80", "[::1", "::1", "127.0.0.1", "1.2.3.4:80", "user@{host}", "{host}/x", "{host}?x", "{host}#x", "a_b.example", "-a.example",
         "xn--caf-dma.example", "caf\xe9.example", "{host},other", "a..b", "%41.example", "*"]
FIELDS = [
    ["x-a: 1", "x-a: 2"], ["x-a:"], ["x-a:  spaces  "], ["X-MiXeD: Value"], ["x-a: \xe9\xff"], ["x-a: a\tb"], ["x_under: 1"], ["x.dot: 1"], ["x!#$%&'*+.^`|~: 1"],
    ["cookie: a=1", "cookie: b=2"], ["cookie: a=1; b=2"], ["accept: a, b", "accept: c"], ["x-long: " + "v" * 8000],
    ["connection: x-hop", "x-hop: 1"], ["connection: close, x-hop", "x-hop: 1"], ["connection: keep-alive"], ["connection: Keep-Alive, X-Hop", "x-hop: 1"],
    ["keep-alive: timeout=5"], ["proxy-connection: keep-alive"], ["te: trailers"], ["te: gzip"], ["te: trailers, gzip"], ["connection: te", "te: trailers"], ["trailer: x-t"],
    ["upgrade: websocket"], ["connection: upgrade", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA"], ["connection: upgrade"], ["connection: host"],
    ["connection: x-forwarded-for", "x-forwarded-for: 1.1.1.1"], ["connection: x-envoy-attempt-count"], ["connection: content-length"], ["connection: :path"],
    ["connection: x-forwarded-proto"], ["connection: te, close", "te: trailers"], ["connection:"], ["connection: ,"],
    ["proxy-authorization: Basic eDp5"], ["proxy-authenticate: x"], ["authorization: Basic eDp5"], ["max-forwards: 0"], ["via: 1.1 a"], ["forwarded: for=1.1.1.1"],
    ["x-forwarded-for: 1.2.3.4"], ["x-forwarded-for: 1.2.3.4, 10.0.0.1"], ["x-forwarded-for: nonsense"], ["x-forwarded-for: 1.2.3.4", "x-forwarded-for: 5.6.7.8"], ["x-forwarded-for:"],
    ["x-forwarded-proto: https"], ["x-forwarded-proto: HTTPS"], ["x-forwarded-proto: nonsense"], ["x-forwarded-proto: http,https"], ["x-forwarded-proto:"], ["x-forwarded-host: other"], ["x-forwarded-port: 1"],
    ["x-forwarded-scheme: https"], ["x-forwarded-client-cert: By=a;Hash=b"], ["x-forwarded-prefix: /a"], ["x-original-url: /a"], ["x-rewrite-url: /a"],
    ["x-request-id: mine"], ["x-request-id: "], ["x-request-id: 7e1ee9f5-5ec2-4e0a-9ab3-4ec3f5ae8b8d"], ["x-client-trace-id: a"], ["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], ["x-b3-sampled: 1"],
    ["x-envoy-original-path: /mine"], ["x-envoy-original-host: mine"], ["x-envoy-attempt-count: 7"], ["x-envoy-expected-rq-timeout-ms: 5"], ["x-envoy-upstream-rq-timeout-ms: 100"],
    ["x-envoy-upstream-rq-per-try-timeout-ms: 50"], ["x-envoy-max-retries: 3"], ["x-envoy-retry-on: 5xx"], ["x-envoy-retry-grpc-on: cancelled"], ["x-envoy-upstream-alt-stat-name: x"],
    ["x-envoy-internal: true"], ["x-envoy-external-address: 1.2.3.4"], ["x-envoy-force-trace: true"], ["x-envoy-decorator-operation: mine"], ["x-envoy-ip-tags: a"], ["x-envoy-hedge-on-per-try-timeout: true"],
    ["x-envoy-downstream-service-cluster: mine"], ["x-envoy-downstream-service-node: mine"], ["x-envoy-is-timeout-retry: true"], ["x-envoy-retriable-status-codes: 503"], ["x-envoy-retriable-header-names: x"],
    ["x-envoy-peer-metadata: a"], ["x-envoy-peer-metadata-id: a"], ["x-envoy-fault-abort-request: 503"], ["x-envoy-fault-delay-request: 10"], ["x-envoy-original-dst-host: 127.0.0.1:1"], ["x-envoy-upstream-stream-duration-ms: 100"],
    ["user-agent: a"], ["user-agent:"], ["server: a"], ["date: x"], ["content-type: text/plain"], ["accept-encoding: gzip"], ["if-none-match: \"a\""], ["range: bytes=0-1"], ["origin: null"], ["alt-used: a"],
    ["grpc-timeout: 1S"], ["grpc-timeout: nonsense"], ["grpc-timeout: 50m", "x-echo-delay: 0.3"], ["grpc-accept-encoding: identity"], ["expect: 100-continue"], ["expect: nonsense"],
]
BAD_FIELDS = [["bad name: 1"], ["nocolon"], [": empty"], ["x-a : 1"], [" x-folded: 1"], ["x-a: 1", " folded"], ["x-a: a\0b"], ["x-a: a\rb"], ["x\xe9: 1"], ["(x): 1"], ["host: other"], ["x-a: \x7f"], ["x-a: \x01"],
              ["transfer-encoding: identity"], ["transfer-encoding: gzip"], ["content-length: -1"], ["content-length: 1x"], ["content-length: +1"], ["content-length:"], ["content-length: 0"], ["content-length: 0", "content-length: 0"],
              ["content-length: 99999999999999999999"], ["x-long: " + "v" * 70_000], [f"x-{n}: 1" for n in range(120)]]
METHODS = ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "GET1", "G!T", "G\"T", "FOO-BAR", "X" * 60, "", "G(T", "PRI", "QUERY", "SEARCH", "M-SEARCH"]
BODIES = [   # fields, body
    (["content-length: 3"], "abc"), (["transfer-encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"), (["transfer-encoding: chunked"], "3;ext=1\r\nabc\r\n0\r\n\r\n"),
    (["transfer-encoding: Chunked"], "3\r\nabc\r\n0\r\n\r\n"), (["transfer-encoding: chunked"], "3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n"), (["transfer-encoding: chunked"], "0\r\n\r\n"),
    (["transfer-encoding: chunked"], "A\r\n0123456789\r\n0\r\n\r\n"), (["transfer-encoding: chunked"], "003\r\nabc\r\n0\r\n\r\n"), (["transfer-encoding: chunked"], "x\r\nabc\r\n0\r\n\r\n"),
    (["transfer-encoding: chunked", "content-length: 3"], "3\r\nabc\r\n0\r\n\r\n"), (["transfer-encoding: chunked"], "3\r\nabcd\r\n0\r\n\r\n"), (["content-length: 3", "content-length: 3"], "abc"),
    (["content-length: 3", "content-length: 4"], "abcd"), (["content-length: 3, 3"], "abc"), (["transfer-encoding: gzip, chunked"], "3\r\nabc\r\n0\r\n\r\n"), (["transfer-encoding: chunked, chunked"], "0\r\n\r\n"),
    (["transfer-encoding: chunked"], "0\r\ncontent-length: 5\r\n\r\n"), (["transfer-encoding: chunked"], "0\r\nhost: x\r\n\r\n"), (["transfer-encoding: chunked"], "0\r\nbad name: x\r\n\r\n"),
    (["transfer-encoding: chunked", "te: trailers", "trailer: x-t"], "0\r\nx-t: 1\r\nx-t: 2\r\n\r\n"), (["expect: 100-continue", "content-length: 3"], "abc"),
    (["transfer-encoding: chunked"], "3\nabc\n0\n\n"), (["transfer-encoding: chunked"], "FFFFFFFFFFFFFFFFF\r\n"),
]
FIRST_LINES = ["GET /x HTTP/1.0", "GET /x HTTP/1.2", "GET /x HTTP/2.0", "GET /x HTTP/0.9", "GET /x", "GET  /x HTTP/1.1", "GET /x  HTTP/1.1", "GET /x HTTP/1.1 ", " GET /x HTTP/1.1", "GET\t/x HTTP/1.1",
               "GET /x http/1.1", "GET /x HTTP/11", "GET /x HTTX/1.1", "GET /x y HTTP/1.1", "\r\nGET /x HTTP/1.1", "\r\n\r\nGET /x HTTP/1.1", "GET /x HTTP/1.1\rx", "nonsense", "GET /x HTTP/1.1x", "GET /x HTTP/", "GET", "\0"]


class Input:
    """`data` for HTTP/1, or `fields` and a body for HTTP/2, still with {id} and {host} in it."""

    def __init__(self, label, method="GET", data="", fields=(), body=b"", trailers=None):
        self.label, self.method, self.data, self.fields, self.body, self.trailers = label, method, data, list(fields), body, trailers

    def filled(self, text, test_id, host):
        return text.replace("{id}", test_id).replace("{host}", host).replace("{HOST}", host.upper())


def short(text): return text if len(text) < 60 else text[:50] + f"... ({len(text)})"


def http1():
    def head(first, fields, host="{host}"): return "\r\n".join([first, f"host: {host}", "x-test-id: {id}", *fields]) + "\r\n\r\n"

    out = [Input(f"path {short(p)}", data=head(f"GET {p} HTTP/1.1", [])) for p in PATHS + TARGETS]
    out += [Input(f"host {h}", data=head("GET /x HTTP/1.1", [], h)) for h in HOSTS]
    out += [Input(f"fields {short(' | '.join(f))}", data=head("GET /x HTTP/1.1", f)) for f in FIELDS + BAD_FIELDS]
    out += [Input(f"method {short(m)}", m, head(f"{m} /x HTTP/1.1", [])) for m in METHODS]
    out += [Input(f"body {' | '.join(f)} {b!r}", "POST", head("POST /x HTTP/1.1", f) + b) for f, b in BODIES]
    out += [Input(f"body of a GET {' | '.join(f)} {b!r}", "GET", head("GET /x HTTP/1.1", f) + b) for f, b in BODIES[:3]]
    out += [Input(f"first line {line!r}", data=head(line, [])) for line in FIRST_LINES]
    out += [Input("HTTP/1.0 keep-alive", data=head("GET /x HTTP/1.0", ["connection: keep-alive"])),
            Input("HTTP/1.0 without a host", data="GET /x HTTP/1.0\r\nx-test-id: {id}\r\n\r\n"),
            Input("HTTP/1.0 close-framed", data=head("GET /x HTTP/1.0", ["x-echo-body: close"])),
            Input("HTTP/1.0 chunked answer", data=head("GET /x HTTP/1.0", ["x-echo-body: chunked"])),
            Input("no host", data="GET /x HTTP/1.1\r\nx-test-id: {id}\r\n\r\n"),
            Input("bare line feeds", data="GET /x HTTP/1.1\nhost: {host}\nx-test-id: {id}\n\n"),
            Input("OPTIONS *", "OPTIONS", head("OPTIONS * HTTP/1.1", [])),
            Input("CONNECT", "CONNECT", head("CONNECT {host}:80 HTTP/1.1", [])),
            Input("CONNECT without a port", "CONNECT", head("CONNECT {host} HTTP/1.1", [])),
            Input("CONNECT /", "CONNECT", head("CONNECT / HTTP/1.1", []))]
    return out


def http2():
    def fields(more=(), drop=(), **pseudo):
        first = {":method": "GET", ":scheme": "http", ":path": "/x", ":authority": "{host}"} | {":" + k: v for k, v in pseudo.items()}
        return [(k, v) for k, v in first.items() if k not in drop] + [("x-test-id", "{id}"), *more]

    def pairs(lines): return [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]

    # What is between the lines of HTTP/1 has no like here.
    plain = [f for f in FIELDS + BAD_FIELDS[5:] if all(":" in line[1:] and not line.startswith(" ") for line in f)]
    out = [Input(f"path {short(p)}", fields=fields(path=p)) for p in PATHS + TARGETS]
    out += [Input(f"authority {h}", fields=fields(authority=h)) for h in HOSTS]
    out += [Input(f"fields {short(' | '.join(f))}", fields=fields(pairs(f))) for f in plain]
    out += [Input(f"method {short(m)}", m, fields=fields(method=m)) for m in METHODS if m != "PRI"]
    out += [Input(f"scheme {s}", fields=fields(scheme=s)) for s in ("https", "ftp", "", "HTTP", "a b")]
    out += [Input(f"without {name}", fields=fields(drop=[name])) for name in (":method", ":scheme", ":path", ":authority")]
    out += [Input("host beside :authority", fields=fields([("host", "other")])), Input("host and no :authority", fields=fields([("host", "{host}")], [":authority"])),
            Input("the same host beside :authority", fields=fields([("host", "{host}")])),
            Input("pseudo after fields", fields=[("x-test-id", "{id}"), *fields()[:4]]), Input("unknown pseudo", fields=[(":unknown", "x"), *fields()]),
            Input(":path twice", fields=[(":path", "/y"), *fields()]), Input(":status in a request", fields=[(":status", "200"), *fields()]),
            Input("upper case name", fields=fields([("X-Upper", "1")])), Input("empty name", fields=fields([("", "1")])),
            Input("space before a value", fields=fields([("x-a", " 1 ")])), Input("content-length too long", "POST", fields=fields([("content-length", "5")], method="POST"), body=b"abc"),
            Input("content-length too short", "POST", fields=fields([("content-length", "1")], method="POST"), body=b"abc"),
            Input("content-length without a body", "POST", fields=fields([("content-length", "3")], method="POST")),
            Input("trailers", "POST", fields=fields([("te", "trailers")], method="POST"), body=b"abc", trailers=[("x-t", "1")]),
            Input("pseudo in trailers", "POST", fields=fields(method="POST"), body=b"abc", trailers=[(":path", "/z")]),
            Input("connection in trailers", "POST", fields=fields(method="POST"), body=b"abc", trailers=[("connection", "close")]),
            Input("content-length in trailers", "POST", fields=fields(method="POST"), body=b"abc", trailers=[("content-length", "3")]),
            Input("OPTIONS *", "OPTIONS", fields=fields(method="OPTIONS", path="*")), Input("CONNECT", "CONNECT", fields=fields(method="CONNECT", authority="{host}:80", drop=(":path", ":scheme"))),
            Input("CONNECT with a path", "CONNECT", fields=fields(method="CONNECT")),
            Input("extended CONNECT of another protocol", "CONNECT", fields=[(":protocol", "other"), *fields(method="CONNECT")])]
    return out


def stage_hosts(way):
    """A host of which some route forwards every path."""
    for table in way.tables:
        for host in table.get("virtual_hosts", []):
            for route in host.get("routes", []):
                plain = route.get("match", {}).get("prefix") == "/" and not route["match"].get("headers")
                if plain and "cluster" in route.get("route", {}) and not generate.is_random(route): return generate.domain_text(host["domains"][0])
    return "any.example"
