#!/usr/bin/env python3
"""Envoy against our data plane, both on our xDS: the same requests must meet the same fate.

usage: run.py --lateen LATEEN --xds-proxy XDS_PROXY [--envoy ENVOY] [--cases DIR] [--only REGEX] [--keep DIR] [-v]

For every golden case with HTTP routes the resources of `lateen xds --compat istio` are made fit for loopback
(rewrite.py), given to one Envoy and one xds_proxy, and asked with requests made from the routes (generate.py).
Compared: status, cluster, headers upstream and downstream, path upstream, number of tries. Exit code 1: a difference.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import backends as upstreams
import compare
import envoy as envoys
import generate
import rewrite

KINDS = ["clusters", "endpoints", "listeners", "routes"]


def translate(lateen, root, base, folder, out):
    command = [lateen, "xds", "-f", base / "base-k8s.yaml", "-f", folder / "input.yaml", "--mesh", base / "golden-mesh.yaml",
               "--node", folder / "node.json", "-o", out, "--compat", "istio"]
    if (folder / "mesh.yaml").exists(): command += ["--mesh", folder / "mesh.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0: return None
    return {kind: json.loads((pathlib.Path(out) / f"{kind}.json").read_text()) for kind in KINDS}


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


def load_cases(arguments, scratch, echo):
    cases_dir = pathlib.Path(arguments.cases)
    base = cases_dir / "base" if (cases_dir / "base").exists() else cases_dir.parent
    cases = []
    for folder in sorted(p for p in cases_dir.iterdir() if (p / "node.json").exists()):
        if (folder / "REJECTED").exists() or (arguments.only and not re.search(arguments.only, folder.name)): continue
        resources = translate(arguments.lateen, cases_dir, base, folder, scratch / "xds" / folder.name)
        if resources is None:
            print(f"{folder.name}: not translated, left out")
            continue
        cases.append(rewrite.Case(folder.name, resources, echo))
    return cases


def ask(case, ports, ours, echo, client, known, arguments):
    """(requests sent, differing requests)."""
    sent, bad, late = 0, 0, []
    wanted = [(listener, request) for listener, tables in case.tables_of.items() for table in tables
              for request in generate.requests_for(table, known)]
    for listener, request in sorted(wanted, key=lambda pair: pair[1].late):
        sent += 1
        lines = compare.compare(client, request, ports[listener], ours[listener], echo, f"{case.name}-{sent}")
        if not lines: continue
        bad += 1
        print(f"{case.name}: {request.label}: {request.method} {request.path} {dict(request.headers)}")
        for line in lines: print(f"    {line}")
    return sent, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--lateen", default=str(root / "build/lateen"))
    parser.add_argument("--xds-proxy", default=str(root / "build/release/xds_proxy"))
    parser.add_argument("--envoy", default=envoys.find())
    parser.add_argument("--cases", default=str(root / "tests/golden/cases"))
    parser.add_argument("--only")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    if not arguments.envoy: sys.exit("no Envoy: give --envoy or set ENVOY")
    with tempfile.TemporaryDirectory() as made:
        scratch = pathlib.Path(arguments.keep or made)
        (scratch / "xds").mkdir(parents=True, exist_ok=True)
        echo = upstreams.Backends()
        cases = load_cases(arguments, scratch, echo)
        together = {kind: [r for case in cases for r in getattr(case, kind)] for kind in KINDS}
        envoy = envoys.Envoy(arguments.envoy, scratch, together)
        ours = None
        try:
            ours, our_ports = start_ours(arguments.xds_proxy, scratch, together)
            refused = envoy.rejected()
            for line in refused: print(f"Envoy refuses: {line}")
            for line in (scratch / "ours.log").read_text().splitlines():
                if line.startswith("refused"): refused.append(line); print(f"ours: {line}")
            ports, client, known = envoy.ports(), compare.Client(), set()
            totals = []
            for case in cases:
                begin = time.monotonic()
                totals.append(ask(case, ports, our_ports, echo, client, known, arguments))
                print(f"{case.name}: {totals[-1][0]} requests, {totals[-1][1]} different, {time.monotonic() - begin:.1f} s", flush=True)
        finally:
            envoy.stop()
            if ours is not None:
                ours.stdin.close()
                ours.wait(10)
            echo.stop()
    sent, bad = (sum(column) for column in zip(*totals))
    print(f"{len(cases)} cases, {sent} requests: {sent - bad} alike, {bad} different; {len(refused)} resources refused")
    return 1 if bad or refused else 0


if __name__ == "__main__":
    sys.exit(main())
