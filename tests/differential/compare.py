"""Sends the same requests to two data planes and compares what came of them."""
import collections
import fcntl
import json
import re
import socket
import struct
import time

CHANGING = {"x-request-id", "date", "x-envoy-upstream-service-time", "x-test-id"}
RECORD_SECONDS_MAX = 3    # what upstreams saw may be there only after the answer: mirrors, ends of connections
HOST_ATTEMPTS_MAX = 8     # until both have chosen the same hosts
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


def kept(headers):
    """What is compared of headers. Left out: `content-length: 0` (Envoy gives one to every request without a body but GET
    and HEAD), and `connection: close` (Envoy closes after an answer of its own to a request that it has not read whole; we
    read the rest)."""
    again = any(name.lower() == "x-envoy-attempt-count" and value != "1" for name, value in headers)

    def shown(name, value):
        if name in CHANGING: return "*"
        # What is left of the time, for tries that are not the first.
        if name in ("x-envoy-expected-rq-timeout-ms", "grpc-timeout") and again: return "*"
        # For a client on loopback Envoy appends the machine's address to x-forwarded-for.
        if name == "x-forwarded-for": return ",".join("own" if part in OWN_ADDRESSES else part for part in value.split(","))
        # A cookie that was made for consistent hashing.
        if name == "set-cookie": return re.sub(r'="[0-9a-f]{16}"', '="*"', value)
        return value

    return sorted([name.lower(), shown(name.lower(), value)] for name, value in headers
                  if (name.lower(), value) not in (("content-length", "0"), ("connection", "close")))


def shown_record(record):
    """What an upstream saw, with the cluster for the upstream."""
    out = {key: value for key, value in record.items() if key not in ("upstream", "headers", "trailers")}
    out["cluster"] = record["upstream"].split(" ")[0]
    for key in ("headers", "trailers"):
        if key in record: out[key] = kept(record[key])
    return out


def is_shadow(record):
    named = {name.lower(): value for name, value in record.get("headers", ())}
    return named.get("x-envoy-internal") == "true" or named.get(":authority", named.get("host", "")).split(":")[0].endswith("-shadow")


def outcome(answer, records):
    """What must be the same on both sides, as JSON-able values."""
    out = {"status": answer.status, "reason": answer.reason, "failure": answer.failure, "interim": [[s, kept(h)] for s, h in answer.interim],
           "body": answer.body.decode("latin-1") if len(answer.body) < 2000 else len(answer.body), "trailers": kept(answer.trailers),
           "headers downstream": kept(answer.headers)}
    if answer.status == 400 and not records:      # a request that the codec refuses: Envoy has no words for it, we have
        out["headers downstream"], out["body"] = [], ""
    seen = sorted(map(shown_record, records), key=lambda r: json.dumps(r, sort_keys=True))
    for number, record in enumerate(seen):
        out |= {f"{key} upstream" + (f" ({number + 1})" if number else ""): value for key, value in record.items()}
    return out | {"requests upstream": len(seen)}


def missing(fields, others):
    """Those of the fields, as often as they are more than among the others."""
    left = [f"{n}: {v}" for n, v in fields]
    for name, value in others:
        if f"{name}: {value}" in left: left.remove(f"{name}: {value}")
    return left


def differences(envoy, ours):
    """Lines that say how two outcomes differ."""
    lines = []
    for key in sorted(envoy.keys() | ours.keys()):
        a, b = envoy.get(key), ours.get(key)
        if a == b: continue
        if ("headers" in key or "trailers" in key) and a is not None and b is not None:
            only_a, only_b = missing(a, b), missing(b, a)
            lines.append(f"{key}: Envoy {only_a or 'fewer'} ours {only_b or 'fewer'}")
        else:
            lines.append(f"{key}: Envoy {a!r} ours {b!r}")
    return lines


def shape(out):
    return json.dumps([out["status"], out.get("cluster upstream"), out.get("path upstream"), out["body"]])


def settled(backends, ids, seconds_max):
    """The records of both sides, once they are equally many."""
    deadline = time.monotonic() + seconds_max
    while True:
        records = [list(backends.records.get(i, ())) for i in ids]
        if len(records[0]) == len(records[1]) or time.monotonic() > deadline: return records
        time.sleep(0.01)


def compare_one(ask, backends, test_id):
    """`ask` gets a side ("e" for Envoy, "l" for ours) and an id; returns an Answer. Lines, empty where both are the same; both
    statuses; and the id without its side."""
    for attempt in range(HOST_ATTEMPTS_MAX):
        ids = [f"e{test_id}-{attempt}", f"l{test_id}-{attempt}"]
        answers = [ask(i[0], i) for i in ids]
        # Where the answers differ, waiting for mirrors changes nothing.
        alike = answers[0].status == answers[1].status
        records = settled(backends, ids, RECORD_SECONDS_MAX if alike else 0)
        lines = differences(*map(outcome, answers, records))
        # Hosts of a cluster may have TLS or not: which one was chosen must not decide.
        if not lines or not alike or [r["upstream"] for r in records[0]] == [r["upstream"] for r in records[1]]: break
    return lines, [a.status for a in answers], ids[0][1:]


def compare_draws(ask, backends, test_id, draws):
    """For what chance decides; mirrors are left out."""
    def draw(side, number):
        own = f"{side}{test_id}-{number}"
        answer = ask(side, own)
        return outcome(answer, [r for r in backends.records.get(own, ()) if not is_shadow(r)])

    outs = {side: [draw(side, number) for number in range(draws)] for side in "el"}
    lines = []
    shapes = {side: collections.Counter(map(shape, outs[side])) for side in "el"}
    for one, other, name in (("e", "l", "Envoy"), ("l", "e", "ours")):
        for what, count in shapes[one].items():
            if count >= DRAW_SHARE_TOLD * draws and what not in shapes[other]:
                lines.append(f"{name} had {what} {count} times in {draws}, the other never")
    for what in shapes["e"].keys() & shapes["l"].keys():
        lines += differences(*(next(o for o in outs[side] if shape(o) == what) for side in "el"))
    return lines
