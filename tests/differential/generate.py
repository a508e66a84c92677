"""Requests for a route table: for each route one that satisfies its match, and near misses of it."""
import json
import re
try:
    import re._parser as regex_parser
except ImportError:
    import sre_parse as regex_parser


class Request:
    """`draws`: how often it is sent (more than once where chance decides)."""

    def __init__(self, label, method="GET", path="/", host="", headers=(), body=b"", draws=1, late=False):
        self.label, self.method, self.path, self.host = label, method, path, host
        self.headers, self.body, self.draws, self.late = list(headers), body, draws, late

    def but(self, label, **changes):
        values = dict(method=self.method, path=self.path, host=self.host, headers=list(self.headers), body=self.body,
                      draws=self.draws, late=self.late)
        values.update(changes)
        return Request(f"{self.label}, {label}", **values)


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
    yield base.but("POST", method="POST", body=b"some body", headers=headers + [("content-type", "text/plain")])
    yield base.but("preflight", method="OPTIONS", headers=headers + [
        ("origin", "https://a.example"), ("access-control-request-method", "GET"), ("access-control-request-headers", "x-a")])
    yield base.but("with origin", headers=headers + [("origin", "https://a.example")])
    yield base.but("gRPC", method="POST", headers=headers + [("content-type", "application/grpc"), ("te", "trailers")])
    if "route" in route:
        yield base.but("503 upstream", headers=headers + [("x-echo-status", "503")], late=True)


def domain_text(domain):
    if domain == "*": return "any.example"
    if domain.startswith("*"): return "sub" + domain[1:]
    if domain.endswith("*"): return domain[:-1] + "tail"
    return domain


def requests_for(table, known):
    """`known`: contents of virtual hosts that need no more requests; grows."""
    out = []
    for host in table.get("virtual_hosts", []):
        content = json.dumps(host, sort_keys=True)
        if content in known or host["name"] == "allow_any" or "PassthroughCluster" in content: continue
        known.add(content)
        domains = [domain_text(d) for d in host["domains"]]
        for number, route in enumerate(host.get("routes", [])):
            out += requests_for_route(domains[0], route, number)
        if any(map(is_random, host.get("routes", []))): continue
        out += [Request(f"{other} domain", host=other) for other in domains[1:]]
        out.append(Request(f"{domains[0]} with a port", host=domains[0].split(":")[0] + ":12345"))
        out.append(Request(f"{domains[0]} upper case", host=domains[0].upper()))
    return out
