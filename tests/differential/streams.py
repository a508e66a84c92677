"""Connections that carry bytes: which upstream they reach, what passes, and who ends them how."""
import json
import socket
import struct
import time

import clients
import compare

END_SECONDS_MAX = 1


class Exchange:
    """`mode` is what the upstream does (backends.py), `ending` what the client does when it has read what it expects."""

    def __init__(self, label, mode, ending, payload=b"", draws=1):
        self.label, self.mode, self.ending, self.payload, self.draws = label, mode, ending, payload, draws


def exchanges_for(way, draws):
    if draws > 1: return [Exchange("weights", "echo", "close", draws=draws)]
    out = [Exchange("echo, the client closes", "echo", "close", b"x" * 3000),
           Exchange("the upstream closes", "close", "wait"),
           Exchange("the upstream sends and closes", "70000", "wait"),
           Exchange("the upstream resets", "reset", "wait")]
    # Python's TLS cannot close one direction.
    if way.tls is not None: out.append(Exchange("echo, the client's TLS is cut", "echo", "cut", b"x"))
    else: out += [Exchange("echo, the client closes its half", "echo", "half", b"x" * 70_000),
                                Exchange("the client resets", "echo", "reset", b"x")]
    return out


def ask(client, port, way, exchange, test_id):
    """What the client saw: bytes and how it ended."""
    seen = {"failure": "", "received": 0, "first": "", "end": ""}
    try:
        link = clients.Link(port, way, client.authority)
    except (clients.Ended, OSError) as end:
        seen["failure"] = str(end) if isinstance(end, clients.Ended) else type(end).__name__
        return seen
    seen["agreed"] = link.agreed
    link.send(f"DIFF {test_id} {exchange.mode}\n".encode() + exchange.payload)
    try:
        seen["first"] = link.line()
        if exchange.ending in ("close", "cut", "reset"): seen["received"] = len(link.take(len(exchange.payload)))
    except clients.Ended as end:
        seen["end"] = str(end)
    if exchange.ending == "half": link.half_close()
    if exchange.ending in ("wait", "half") and not seen["end"]:
        data, seen["end"] = link.rest()
        seen["received"] = len(data)
    if exchange.ending == "reset": link.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if exchange.ending == "close": link.close()
    else: link.cut()
    return seen


def outcome(seen, records):
    out = dict(seen)
    # Without an upstream it ends before or after the client's bytes came, which makes it a close or a reset.
    if not seen["first"] and seen["end"] in ("closed", "reset"): out["end"] = "ended"
    # So it is with a handshake that nobody answers.
    if seen["failure"] in ("TLS closed", "reset in TLS", "TLS WRONG_VERSION_NUMBER"): out["failure"] = "no handshake"
    for number, record in enumerate(map(compare.shown_record, records)):
        out |= {f"{key} upstream" + (f" ({number + 1})" if number else ""): value for key, value in record.items()}
    return out


def over(backends, test_id):
    """What the upstreams saw, once their connections have ended."""
    deadline = time.monotonic() + END_SECONDS_MAX
    while True:
        records = backends.records.get(test_id, [])
        if all(r.get("end") != "open" for r in records) or time.monotonic() > deadline: return [dict(r) for r in records]
        time.sleep(0.005)


def differences(client, ports, way, exchange, backends, test_id):
    """Lines; empty: the same. `ports`: by side."""
    def one(side, own):
        return outcome(ask(client, ports[side], way, exchange, own), over(backends, own))

    if exchange.draws == 1:
        for attempt in range(compare.HOST_ATTEMPTS_MAX):
            ids = [f"{side}{test_id}-{attempt}" for side in "el"]
            lines = compare.differences(*(one(own[0], own) for own in ids))
            hosts = [[r["upstream"] for r in backends.records.get(own, ())] for own in ids]
            if not lines or hosts[0] == hosts[1]: break
        return lines
    outs = {side: [one(side, f"{side}{test_id}-{draw}") for draw in range(exchange.draws)] for side in "el"}
    lines = []
    for a, b, name in (("e", "l", "Envoy"), ("l", "e", "ours")):
        shapes = [json.dumps(o, sort_keys=True) for o in outs[a]]
        other = {json.dumps(o, sort_keys=True) for o in outs[b]}
        for what in set(shapes):
            if shapes.count(what) >= compare.DRAW_SHARE_TOLD * exchange.draws and what not in other:
                lines.append(f"{name} had {what} {shapes.count(what)} times in {exchange.draws}, the other never")
    return lines
