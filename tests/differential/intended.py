"""Differences from Envoy that are meant, each with its reason. A row that no request shows any more is an error too."""
import collections
import re

# Of single lines: (name, what the request is called, what the difference says, why)
LINES = [
    ("trailers of HTTP/1", "", r"^trailers( upstream)?( \(\d\))?: Envoy fewer ours",
     "passed on; Envoy drops them unless enable_trailers is set. RFC 9110, 6.5: a proxy may keep them, and gRPC needs them"),
    ("fields named by Connection in responses", "response headers", r"^headers downstream: Envoy \['x-hop: 1'\] ours fewer",
     "RFC 9110, 7.6.1: removed before a message is forwarded"),
    ("WebSocket to HTTP/2", "WebSocket", r"^headers (up|down)stream: .*sec-websocket-(key|accept)",
     "RFC 8441, 5: no key and no accept in HTTP/2; the client of HTTP/1 gets its accept"),
    ("lists stay apart", r"fields (accept|x-forwarded-for)", r"^headers upstream: Envoy \['([^':]*): [^']*'\] ours \['\1: [^']*', '\1: [^']*'\]",
     "RFC 9110, 5.3: two lines and one list mean the same"),
    ("ports of no digits", r"(host|authority) \{host\}:$", r"^headers upstream: Envoy \['host: (.*):'\] ours \['host: \1'\]", "RFC 3986, 6.2.3"),
    ("HEAD of nothing", r": HEAD ", r"^headers downstream: Envoy \['transfer-encoding: chunked'\] ours fewer", "RFC 9110, 9.3.2: fields of framing may be left out"),
    ("cookies of tries", "error in the head", r"^headers downstream: Envoy \['set-cookie: [^']*'(, 'set-cookie: [^']*')*\] ours fewer", "one cookie is made; Envoy makes one a try"),
    ("resets behind TLS", "the upstream resets", r"^end: Envoy 'closed' ours 'reset'", "what broke must not look complete; Envoy sees resets of plain upstreams only"),
    ("TLS that is cut short", "the client's TLS is cut", r"^end upstream: Envoy 'closed' ours 'reset'", "RFC 8446, 6.1: no close_notify, so the end may be an attacker's"),
    ("the log names what is missing", "", r"^log UPSTREAM_CLUSTER_RAW: Envoy '-' ours '.+'", "the cluster that a route leads to and that does not exist"),
    ("the log knows trailers of HTTP/1", "in trailers", r"^log GRPC_STATUS: Envoy 'Unknown'", "they are passed on, and read"),
    ("the log counts what came", "", r"^log BYTES_RECEIVED: Envoy '0' ours '\d+'", "bodies of requests that are answered here may have come or not"),
    ("the log of a broken body", r"odd: (body|path|fields|content-length)", r"^log (RESPONSE_CODE: Envoy '400' ours '0'|BYTES_SENT: Envoy '11' ours '0')", "the answer is the connection's, the request has none"),
    ("the log of malformed HTTP/2", r"HTTP/2 odd", r"^log RESPONSE_CODE_DETAILS: Envoy 'http2\..*' ours 'http2.violation.of.messaging.rule'", "one word for all rules"),
    ("tunnels that clients close", "WebSocket", r"^log (RESPONSE_FLAGS: Envoy '(DI,)?DC' ours '(DI|-)'|RESPONSE_CODE_DETAILS: Envoy 'downstream_remote_disconnect' ours 'via_upstream')", "an end of both halves is no error"),
    ("the log escapes", "odd: path", r"^log REQ\(:PATH\): Envoy '.*' ours '.*\\\\x(5C|22)", "quotes and backslashes would end the field"),
    ("the log shows what was asked", r"~(reject|redirect|merged|forward|no-absolute).* odd: path|strip-port.* odd: CONNECT", r"^log REQ\(:(PATH|AUTHORITY)\)", "the request as it came, where it is refused; Envoy shows what it became on the way"),
    ("the log shows what is sent on", "^(4-act-re(write|direct)|mesh-no-tracing-forwarded-host)", r"^log REQ\(:(PATH|AUTHORITY)\)", "rewritten where a request is sent on, and only there; Envoy leaves it where no cluster is found, and changes it for redirects"),
    ("the log of names", "^(8-)?se-dynamic-dns", r"^log RESPONSE_CODE_DETAILS: Envoy 'dns_resolution_failure\{.*' ours 'no_healthy_upstream'", "the resolver's words, where the listener has no filter that resolves"),
    ("the log of refused certificates", "upstream~", r"^log (RESPONSE_CODE_DETAILS|UPSTREAM_TRANSPORT_FAILURE_REASON): Envoy '.*CERTIFICATE_VERIFY_FAILED:.*' ours '.*CERTIFICATE_VERIFY_FAILED:.*'", "why, in other words"),
    ("the log of what was not resolved", "^se-dynamic-dns", r"^log RESPONSE_CODE_DETAILS: Envoy 'dns_resolution_failure\{.*' ours 'dns_resolution_failure'", "the resolver's words"),
    ("the log of ports of no digits", r"odd: (host|authority) \{host\}:$", r"^log REQ\(:AUTHORITY\)", "RFC 3986, 6.2.3"),
    ("two slashes and nothing else", "path //$", r"^path upstream: Envoy '//' ours '/'", "merge_slashes merges them; Envoy keeps both ends"),
    ("100 for no body", "fields expect: 100-continue", r"^interim: Envoy \[\[100, \[\]\]\] ours \[\]", "RFC 9110, 10.1.1: there is nothing to go on with"),
    ("HTTP/1.0 that wants to stay", "HTTP/1.0 keep-alive", r"^headers downstream: Envoy fewer ours \['connection: keep-alive'\]", "it may; Envoy closes"),
]

# Of the whole outcome, which is the status, or "none": (name, what the request is called, Envoy's, ours, why)
OUTCOMES = [
    # Envoy passes on what we refuse.
    ("octets above 127 in paths", r"path /(caf\xe9|\xfc)$", "2..", "4..", "RFC 3986, 3.3"),
    ("userinfo", r"path http://user@|(host|authority) user@", "2..|none", "4..", "RFC 9110, 4.2.4"),
    ("ports that are none", r"(host|authority) \{host\}:(65536|abc)$", "2..", "4..", "RFC 3986, 3.2.3"),
    ("hosts that are none", r"(host|authority) (\[?::1|\{host\},other|)$", "2..", "4..", "RFC 9110, 4.2.1 and 7.2"),
    ("two hosts", r"fields host: other|host beside :authority", "2..", "4..", "RFC 9112, 3.2; RFC 9113, 8.3.1"),
    ("folded fields", r"fields ( x-folded| ?x-a: 1 \|  folded)", "2..", "4..", "RFC 9112, 5.2"),
    ("control bytes in values", r"fields x-a: a[\r\0]b", "2..", "4..", "RFC 9110, 5.5"),
    ("expectations but 100-continue", r"fields expect: nonsense", "2..", "417", "RFC 9110, 10.1.1"),
    ("chunks that are longer than they say", r"3\\r\\nabcd", "2..", "4..", "RFC 9112, 7.1"),
    ("fields that frame in trailers", r"0\\r\\n(content-length|host): |content-length in trailers", "2..", "4..|none", "RFC 9110, 6.5.1"),
    ("white space in first lines", r"first line '( GET|GET\\t|GET  |GET /x  |GET /x y|GET /x HTTP/1.1 ')", "2..", "4..", "RFC 9112, 3"),
    ("bare line feeds", r"bare line feeds", "2..", "4..", "RFC 9112, 2.2"),
    ("white space around values in HTTP/2", r"space before a value", "2..", "none", "RFC 9113, 8.2.1"),
    ("schemes but http and https", r"scheme ftp", "2..", "4..", "a proxy for http has no other"),
    # Both refuse, in other words.
    ("malformed HTTP/2 ends the stream", r"HTTP/2|by ALPN", "none", "none", "RFC 9113, 8.1.1: a stream error; Envoy ends the connection with all its streams"),
    ("heads of HTTP/2 that break a rule of ours", r"HTTP/2 odd: fields (x-0|x-long|x_under)", "none", "4..", "the client is told why; Envoy resets the stream"),
    ("sizes of heads in HTTP/2", r"small-heads HTTP/2 odd: path /x+\.\.\. \(4001\)", "2..", "431", "counted as RFC 9113, 10.5.1 does, with 32 octets a field"),
    ("targets that are none", r"path (http:///nohost|ftp://|http://user@)", "404", "400", "RFC 9110, 4.2.1: found before a route is looked for"),
    ("versions that nobody speaks", r"first line 'GET /x HTTP/(1\.2|2\.0|0\.9)'", "426|2..", "505", "RFC 9110, 15.6.6"),
    ("no version", r"first line 'GET /x'", "426", "400", "HTTP/0.9 is no HTTP/1 (RFC 9112, C.1)"),
    # Envoy refuses what we pass on.
    ("methods that Envoy does not know", r"method (get|GET1|G!T|FOO-BAR|X+\.\.\. \(60\)|QUERY|M-SEARCH)$", "400", "2..", "RFC 9110, 16.1: methods are an open list"),
    ("absolute form without a path", r"path http://\{host\}\?q", "404", "2..", "RFC 9112, 3.2.2: the path is /"),
    ("empty lines before a sniffed request", r"first line '(\\r\\n)+GET", "none", "2..", "RFC 9112, 2.2; Envoy takes it for TCP"),
    ("an empty x-forwarded-proto", r"fields x-forwarded-proto:$", "404", "2..", "it says nothing; Envoy has no scheme then and finds no route"),
]


def shown(status): return "none" if status is None else str(status)


class Intended:
    def __init__(self):
        self.lines = [(name, re.compile(label), re.compile(line)) for name, label, line, _ in LINES]
        self.outcomes = [(name, re.compile(label), re.compile(envoy), re.compile(ours)) for name, label, envoy, ours, _ in OUTCOMES]
        self.used = collections.Counter()

    def left(self, label, lines, statuses=None):
        """The lines that no row stands for. `statuses`: Envoy's and ours."""
        if statuses is not None and lines:
            for name, of, envoy, ours in self.outcomes:
                if not (of.search(label) and envoy.fullmatch(shown(statuses[0])) and ours.fullmatch(shown(statuses[1]))): continue
                self.used[name] += 1
                return []

        def meant(line):
            for name, of, says in self.lines:
                if of.search(label) and says.search(line):
                    self.used[name] += 1
                    return True
            return False

        return [line for line in lines if not meant(line)]

    def unused(self):
        return [name for name, *_ in self.lines + self.outcomes if not self.used[name]]
