"""Requests for a route table: for each route one that satisfies its match, and near misses of it."""
import json
import re
try:
    import re._parser as regex_parser
except ImportError:
    import sre_parse as regex_parser


class Request:
    """`draws`: how often it is sent (more than once where chance decides). `late`: it may have hosts ejected. `trailers`: None
    for none; with HTTP/1 the body is then chunked. `only`: the one protocol in which it makes sense. `protocol`: of an extended
    CONNECT."""

    def __init__(self, label, method="GET", path="/", host="", headers=(), body=b"", draws=1, late=False, trailers=None, only=None,
                 protocol="", scheme="http"):
        self.label, self.method, self.path, self.host = label, method, path, host
        self.headers, self.body, self.draws, self.late = list(headers), body, draws, late
        self.trailers, self.only, self.protocol, self.scheme = trailers, only, protocol, scheme

    def but(self, label, more=(), **changes):
        values = {key: value for key, value in vars(self).items() if key != "label"} | changes
        return Request(f"{self.label}, {label}", **(values | {"headers": values["headers"] + list(more)}))


def sample_of(pattern):
    """A text that matches an RE2 pattern, for the constructs that route matches use."""
    def of(items):
        out = ""
        for op, value in items:
            name = str(op)
            if name == "LITERAL": out += chr(value)
            elif name == "NOT_LITERAL": out += "x" if value != ord("x") else "y"
            elif name == "ANY": out += "x"
            elif name == "IN": out += of_set(value)
            elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"): out += of(value[2]) * max(value[0], min(1, value[1]))
            elif name == "SUBPATTERN": out += of(value[-1])
            elif name == "BRANCH": out += of(value[1][0])
        return out

    def of_set(items):
        name, value = str(items[0][0]), items[0][1]
        if name == "NEGATE":
            taken = {chr(v) for op, v in items[1:] if str(op) == "LITERAL"}
            return next(c for c in "xyzab01-" if c not in taken)
        if name == "RANGE": return chr(value[0])
        if name == "CATEGORY": return {"CATEGORY_DIGIT": "7", "CATEGORY_SPACE": " "}.get(str(value), "x")
        return chr(value)

    return of(regex_parser.parse(pattern))


def text_for(matcher):
    """(text that fits, text that does not) for a StringMatcher."""
    if "exact" in matcher: return matcher["exact"], matcher["exact"] + "x"
    if "prefix" in matcher: return matcher["prefix"] + "-tail", "no" + matcher["prefix"]
    if "suffix" in matcher: return "head-" + matcher["suffix"], matcher["suffix"] + "no"
    if "contains" in matcher: return "a" + matcher["contains"] + "b", "none"
    if "safe_regex" in matcher: return sample_of(matcher["safe_regex"]["regex"]), "~"
    return "", "x"


def header_text(matcher):
    """(value that fits or None for absence, near misses); values may be None."""
    if "string_match" in matcher: fits, not_ = text_for(matcher["string_match"])
    elif "range_match" in matcher:
        fits, not_ = str(matcher["range_match"].get("start", 0)), str(matcher["range_match"].get("end", 0))
    elif matcher.get("present_match", True) is False: fits, not_ = None, "there"
    else: fits, not_ = "there", None
    if matcher.get("invert_match"): fits, not_ = not_, fits
    return fits, [not_] + ([None] if fits is not None and not_ is not None else [])


def path_for(match):
    """(path that fits, near misses)."""
    if "path" in match: return match["path"], [match["path"] + "/", match["path"] + "x"]
    if "path_separated_prefix" in match:
        p = match["path_separated_prefix"]
        return p + "/below", [p, p + "x", p + "?a=1"]
    if "safe_regex" in match:
        p = sample_of(match["safe_regex"]["regex"])
        return p if p.startswith("/") else "/" + p, ["/~" + p, p + "/~~"]
    p = match.get("prefix", "/")
    if p == "/": return "/some/path", ["/", "//a//b?x=1"]
    return p + ("page" if p.endswith("/") else "/page"), [p, p.rstrip("/") + "x", p[:-1] or "/", p + "?q=1#f"]


def is_random(route):
    """Whether chance decides what becomes of a request."""
    weighted = route.get("route", {}).get("weighted_clusters", {}).get("clusters", [])
    if sum(1 for entry in weighted if entry.get("weight", 0) > 0) > 1: return True
    return partly(route.get("route", {}).get("request_mirror_policies")) or partly(route.get("typed_per_filter_config")) or partly(route.get("match", {}).get("runtime_fraction"))


def partly(value):
    """Whether a percentage inside is neither 0 nor 100 %."""
    if isinstance(value, dict):
        if "denominator" in value or "numerator" in value:
            whole = {"TEN_THOUSAND": 10_000, "MILLION": 1_000_000}.get(value.get("denominator"), 100)
            return 0 < value.get("numerator", 0) < whole
        return any(map(partly, value.values()))
    return isinstance(value, list) and any(map(partly, value))


def requests_for_route(host, route, number):
    match = route.get("match", {})
    path, near_paths = path_for(match)
    headers, method, near = [], "GET", []
    for matcher in match.get("headers", []):
        name = matcher["name"]
        fits, misses = header_text(matcher)
        if name == ":method":
            method = fits or "GET"
        elif name == ":authority":
            host = fits or host
        elif name == ":path":
            path = fits or path
        elif not name.startswith(":"):
            if fits is not None:
                headers.append((name, fits))
                near.append((f"{name} twice", [(name, "other"), (name, fits)]))
            near += [(f"{name} {'absent' if miss is None else miss!r}", [] if miss is None else [(name, miss)]) for miss in misses]
    query = []
    for matcher in match.get("query_parameters", []):
        fits, _ = text_for(matcher["string_match"]) if "string_match" in matcher else ("", "x")
        query.append(f"{matcher['name']}={fits}")
    full = path + ("?" + "&".join(query) if query else "")
    draws = 60 if is_random(route) else 1
    base = Request(f"{host} route {number}", method, full, host, headers, draws=draws)
    yield base
    for miss in near_paths:
        yield base.but(f"path {miss}", path=miss + ("&" if "?" in miss else "?") + "&".join(query) if query else miss)
    for label, own in near:
        name = label.split(" ")[0]
        yield base.but(label, headers=[h for h in headers if h[0] != name] + own)
    if query:
        yield base.but("without query", path=path)
        yield base.but("other query", path=path + "?" + "&".join(part + "x" for part in query))
    if match.get("case_sensitive") is False or "path" in match:
        yield base.but("upper case", path=full.upper())
    if draws > 1: return
    yield base.but("POST", [("content-type", "text/plain")], method="POST", body=b"some body")
    yield base.but("preflight", [("origin", "https://a.example"), ("access-control-request-method", "GET"),
                                 ("access-control-request-headers", "x-a")], method="OPTIONS")
    yield base.but("with origin", [("origin", "https://a.example")])
    yield base.but("gRPC", [("content-type", "application/grpc"), ("te", "trailers")], method="POST")
    if "route" in route: yield base.but("503 upstream", [("x-echo-status", "503")], late=True)


def has_timeout(route):
    action = route.get("route", {})
    return any(float(text[:-1]) > 0 for text in (action.get("timeout", "0s"), action.get("retry_policy", {}).get("per_try_timeout", "0s")))


def exchanges(base, route):
    """What upstreams and bodies may do, for a route that forwards."""
    post = base.but("POST", method="POST", body=b"some body")
    grpc = base.but("gRPC", [("content-type", "application/grpc"), ("te", "trailers")], method="POST", body=b"\0\0\0\0\3abc")
    yield base.but("HEAD", method="HEAD")
    yield base.but("DELETE", method="DELETE")
    yield post.but("trailers", trailers=[("x-trailer", "a"), ("x-other", "b")])
    yield base.but("trailers without a body", method="POST", trailers=[("x-trailer", "a")])
    yield post.but("chunked", trailers=[])
    for status in (204, 205, 206, 299, 302, 304, 400, 404, 429, 500):
        yield base.but(f"{status} upstream", [("x-echo-status", str(status))], late=True)
    yield base.but("HEAD of a 304", [("x-echo-status", "304")], method="HEAD")
    for framing in ("chunked", "close", "none", "70000"): yield base.but(f"{framing} body", [("x-echo-body", framing)])
    yield base.but("response trailers", [("x-echo-trailers", "x-trailer: a|x-other: b")])
    yield grpc.but("status in trailers", [("x-echo-trailers", "grpc-status: 0|grpc-message: fine")])
    yield grpc.but("error in trailers", [("x-echo-trailers", "grpc-status: 14")], late=True)
    yield grpc.but("error in the head", [("x-echo-headers", "grpc-status: 14"), ("x-echo-body", "none")], late=True)
    yield grpc.but("503 upstream", [("x-echo-status", "503")], late=True)
    yield grpc.but("with a timeout", [("grpc-timeout", "5S")])
    yield post.but("100-continue", [("expect", "100-continue"), ("x-echo-interim", "100")])
    yield base.but("103 before", [("x-echo-interim", "103")])
    for plan in ("1 503", "2 503", "9 503", "1 reset", "9 reset", "1 close", "1 429", "1 409"):
        yield post.but(f"first tries {plan}", [("x-echo-fail-first", plan)], late=True)
    yield base.but("response headers", [("x-echo-headers", "server: mine|x-envoy-upstream-service-time: 7|x-envoy-overloaded: true|connection: x-hop|x-hop: 1|keep-alive: a|via: 1.1 a")])
    yield base.but("cookies", [("cookie", "a=1; b=2"), ("x-echo-headers", "set-cookie: a=1|set-cookie: b=2")])
    if has_timeout(route): yield base.but("slow upstream", [("x-echo-delay", "1.6")], late=True)
    at = f"{base.host.split(':')[0]}:443"
    yield base.but("CONNECT", [("x-echo-tunnel", "yes")], method="CONNECT", path=at, host=at)
    # Envoy mirrors upgrades too; ours are not: a tunnel has no end at which its mirror could be sent.
    if "request_mirror_policies" in route["route"]: return
    upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13")]
    yield base.but("WebSocket", [*upgrade, ("x-echo-tunnel", "yes")], only="HTTP/1")
    yield base.but("WebSocket refused", [*upgrade, ("x-echo-status", "403")], only="HTTP/1")
    yield base.but("other upgrade", [("connection", "upgrade"), ("upgrade", "other"), ("x-echo-tunnel", "yes")], only="HTTP/1")
    yield base.but("WebSocket", [("sec-websocket-version", "13"), ("x-echo-tunnel", "yes")], only="HTTP/2", method="CONNECT", protocol="websocket")


def domain_text(domain):
    if domain == "*": return "any.example"
    if domain.startswith("*"): return "sub" + domain[1:]
    if domain.endswith("*"): return domain[:-1] + "tail"
    return domain


def requests_for(table, known, kind):
    """`known`: what needs no more requests of this `kind`; grows."""
    out = []
    for host in table.get("virtual_hosts", []):
        content = kind + json.dumps(host, sort_keys=True)
        if content in known: continue
        known.add(content)
        domains = [domain_text(d) for d in host["domains"]]
        for number, route in enumerate(host.get("routes", [])):
            own = list(requests_for_route(domains[0], route, number))
            out += own
            action = kind + json.dumps({k: v for k, v in route.items() if k not in ("match", "name", "metadata", "decorator")}, sort_keys=True)
            # Names of clusters do not change what becomes of bodies.
            action = re.sub(r'"outbound\|[^"]*"', '"a cluster"', action)
            if action in known or is_random(route) or "route" not in route: continue
            known.add(action)
            out += exchanges(own[0], route)
        if any(map(is_random, host.get("routes", []))): continue
        out += [Request(f"{other} domain", host=other) for other in domains[1:]]
        out.append(Request(f"{domains[0]} with a port", host=domains[0].split(":")[0] + ":12345"))
        out.append(Request(f"{domains[0]} upper case", host=domains[0].upper()))
    return out
