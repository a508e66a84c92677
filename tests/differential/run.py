#!/usr/bin/env python3
"""Envoy against our data plane, both on our xDS: the same requests must meet the same fate.

usage: run.py --lateen LATEEN --xds-proxy XDS_PROXY [--envoy ENVOY] [--cases DIR] [--only REGEX] [--keep DIR] [--slowest]

For every golden case with HTTP routes the resources of `lateen xds --compat istio` are made fit for loopback
(rewrite.py), given to one Envoy and one xds_proxy, and asked with requests made from the routes (generate.py).
Compared: status, cluster, headers upstream and downstream, path upstream, number of tries. Exit code 1: a difference.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import backends as upstreams
import certificates
import clients
import compare
import envoy as envoys
import generate
import inputs
import intended
import logs
import rewrite
import streams
import variants

SLOWEST_SHOWN = 60
KINDS = ["clusters", "endpoints", "listeners", "routes"]


def start_ours(binary, folder, resources):
    for kind in KINDS: (folder / f"{kind}.json").write_text(json.dumps(resources[kind]))
    names = [l["name"] for l in resources["listeners"]]
    log = open(folder / "ours.log", "wb")
    process = subprocess.Popen([binary, str(folder), *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    ports = {}
    for line in process.stdout:
        if line.strip() == "ready": return process, ports
        name, port = line.rsplit(" ", 1)
        ports[name] = int(port)
    raise RuntimeError("xds_proxy ended: " + (folder / "ours.log").read_text()[-2000:])


def case_folders(folder):
    """Of one corpus, or of tests/golden: its cases."""
    return sorted(p for p in folder.rglob("*") if (p / "node.json").exists() and not (p / "REJECTED").exists())


def load_cases(arguments, scratch, echo):
    cases_dir = pathlib.Path(arguments.cases)
    base = cases_dir / "base" if (cases_dir / "base").exists() else cases_dir
    folders = [f for f in case_folders(cases_dir) if '"grpc"' not in (f / "node.json").read_text()
               and (not arguments.only or re.search(arguments.only, f.name))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        resources = list(pool.map(lambda f: translate(arguments.lateen, base, f, scratch / "xds" / f.name), folders))
    cases, seen = [], set()
    for folder, found in zip(folders, resources):
        if found is None: print(f"{folder.name}: not translated, left out")
        else: echo.authority.uris |= rewrite.uris_in(found)
    for folder, found in zip(folders, resources):
        if found is not None: cases.append(rewrite.Case(folder.name, found, echo, seen))
    for case in cases: variants.add(case)
    return cases


class Tally:
    def __init__(self):
        self.sent, self.bad = collections.Counter(), collections.Counter()

    def count(self, kind, lines):
        self.sent[kind] += 1
        self.bad[kind] += bool(lines)

    def __str__(self):
        return ", ".join(f"{kind}: {count} requests, {self.bad[kind]} different" for kind, count in sorted(self.sent.items()))


class Asker:
    def __init__(self, ports, our_ports, echo):
        self.ports = lambda way: {"e": ports[way.listener], "l": our_ports[way.listener]}
        self.echo, self.client, self.known, self.number, self.tally = echo, clients.Client(echo.authority), set(), 0, Tally()
        self.intended = intended.Intended()
        self.asked = {}        # id -> what it is called, and statuses
        self.slowest, self.last = [], time.monotonic()

    def told(self, case, kind, text, lines, statuses=None):
        now = time.monotonic()
        self.slowest = sorted([*self.slowest, (now - self.last, text)], reverse=True)[:SLOWEST_SHOWN]
        self.last = now
        lines = self.intended.left(text, lines, statuses)
        self.tally.count(kind, lines)
        if not lines: return
        print(f"{case.name}: {text}")
        for line in lines: print(f"    {line}")

    def http(self, case, way, protocol, request):
        self.number += 1
        ports = self.ports(way)
        send = lambda side, test_id: self.client.send(ports[side], way, protocol, request, test_id)
        test_id = f"{case.name}-{self.number}"
        statuses = None
        if request.draws == 1: lines, statuses, asked = compare.compare_one(send, self.echo, test_id)
        else: lines = compare.compare_draws(send, self.echo, test_id, request.draws)
        kind = "TLS" if way.tls else protocol
        text = f"{way.listener} {way.kind()} {protocol}: {request.label}: {request.method} {request.path} {request.headers}"
        if request.draws == 1: self.asked[asked] = text, statuses
        self.told(case, kind, text, lines, statuses)

    def bytes(self, case, way, exchange):
        self.number += 1
        lines = streams.differences(self.client, self.ports(way), way, exchange, self.echo, f"{case.name}-{self.number}")
        self.told(case, "TLS" if way.tls else "TCP", f"{way.listener} {way.kind()}: {exchange.label}", lines)

    def odd(self, case, way, protocol, entry, host):
        self.number += 1
        ports = self.ports(way)
        send = lambda side, test_id: self.client.send_input(ports[side], way, protocol, entry, test_id, host)
        lines, statuses, asked = compare.compare_one(send, self.echo, f"{case.name}-{self.number}")
        text = f"{way.listener} {protocol} odd: {entry.label}"
        self.asked[asked] = text, statuses
        self.told(case, protocol, text, lines, statuses)

    def compare_logs(self, ours):
        """Of requests that ended alike."""
        alike = [i for i, (_, statuses) in self.asked.items() if statuses[0] == statuses[1]]
        different = dict(logs.differences(self.echo.access_log, ours, alike))
        for test_id in alike:
            text, _ = self.asked[test_id]
            lines = self.intended.left(text, different.get(test_id, []))
            self.tally.count("access log", lines)
            if not lines: continue
            print(text)
            for line in lines: print(f"    {line}")

    def ask_odd(self, cases):
        """Odd requests to some listeners, one of each direction."""
        for case in cases:
            for way in case.ways:
                if way.odd is None: continue
                host = inputs.stage_hosts(way)
                for protocol, entries in (("HTTP/1", inputs.http1()), ("HTTP/2", inputs.http2())):
                    for entry in entries:
                        if re.search(way.odd, entry.label): self.odd(case, way, protocol, entry, host)

    def ask(self, case):
        wanted = []
        for way in case.ways:
            if way.probe: wanted.append((False, self.bytes, way, streams.Exchange(way.probe, "echo", "close", b"x")))
            if not way.generated: continue
            wanted += self.http_wanted(way) if way.is_http else self.bytes_wanted(way)
        for late, call, *what in sorted(wanted, key=lambda w: w[0]): call(case, *what)

    def http_wanted(self, way):
        protocols = ["HTTP/1", "HTTP/2"] if way.tls is None else ["by ALPN"]
        for protocol in protocols:
            kind = protocol if way.tls is None else "TLS " + ",".join(way.alpn)
            for table in way.tables:
                for request in generate.requests_for(table, self.known, kind):
                    if request.only not in (None, protocol): continue
                    if way.tls is not None: request.scheme = "https"
                    yield request.late, self.http, way, protocol, request

    def bytes_wanted(self, way):
        content = json.dumps([way.chain, way.tls], sort_keys=True).replace(way.listener.split("/")[0] + "/", "")
        if content in self.known: return
        self.known.add(content)
        draws = 40 if "weighted_clusters" in content else 1
        for exchange in streams.exchanges_for(way, draws): yield False, self.bytes, way, exchange


def translate(lateen, base, folder, out):
    command = [lateen, "xds", "-f", base / "base-k8s.yaml", "-f", folder / "input.yaml", "--mesh", base / "golden-mesh.yaml",
               "--node", folder / "node.json", "-o", out, "--compat", "istio"]
    if (folder / "mesh.yaml").exists(): command += ["--mesh", folder / "mesh.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0: return None
    return {kind: json.loads((pathlib.Path(out) / f"{kind}.json").read_text()) for kind in KINDS}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--lateen", default=str(root / "build/lateen"))
    parser.add_argument("--xds-proxy", default=str(root / "build/release/xds_proxy"))
    parser.add_argument("--envoy", default=envoys.find())
    parser.add_argument("--cases", default=str(root / "tests/golden"))
    parser.add_argument("--only")
    parser.add_argument("--keep")
    parser.add_argument("--slowest", action="store_true", help="say which requests took longest")
    arguments = parser.parse_args()
    if not arguments.envoy: sys.exit("no Envoy: give --envoy or set ENVOY")
    with tempfile.TemporaryDirectory() as made:
        scratch = pathlib.Path(arguments.keep or made)
        (scratch / "xds").mkdir(parents=True, exist_ok=True)
        echo = upstreams.Backends(certificates.Authority(scratch / "certificates"), scratch / "envoy-access.log")
        cases = load_cases(arguments, scratch, echo)
        together = {kind: [r for case in cases for r in getattr(case, kind)] for kind in KINDS}
        envoy = envoys.Envoy(arguments.envoy, scratch, together)
        ours = None
        try:
            ours, our_ports = start_ours(arguments.xds_proxy, scratch, together)
            refused = envoy.rejected()
            for line in refused: print(f"Envoy refuses: {line}")
            for line in (scratch / "ours.log").read_text().splitlines():
                if line.startswith(("refused", "note")): refused.append(line); print(f"ours: {line}")
            asker, begin = Asker(envoy.ports(), our_ports, echo), time.monotonic()
            for case in cases: asker.ask(case)
            asker.ask_odd(cases)
            asker.compare_logs(scratch / "ours-access.log")
            stale = [] if arguments.only else asker.intended.unused()
            for name in stale: print(f"intended.py: nothing shows {name!r}")
            print(f"asked for {time.monotonic() - begin:.0f} s")
            if arguments.slowest:
                for seconds, text in asker.slowest: print(f"  {seconds:.2f} s: {text}")
        finally:
            envoy.stop()
            if ours is not None:
                ours.stdin.close()
                ours.wait(10)
            echo.stop()
    print(f"{len(cases)} cases; {asker.tally}; {len(refused)} resources refused")
    return 1 if asker.tally.bad.total() or refused or stale else 0


if __name__ == "__main__":
    sys.exit(main())
