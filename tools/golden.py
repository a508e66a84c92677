#!/usr/bin/env python3
"""Compares `lateen xds --compat istio` with what istiod made of the same input, resource by resource.

usage: golden.py compare LATEEN CASES_DIR [CASE...]     a table, then the first differences of each unequal case
       golden.py import CASES_DIR OUT_DIR CASE...       writes cases for tests/golden: inputs, and what differs from the base

CASES_DIR holds base/base-k8s.yaml, base/golden-mesh.yaml and a folder a case: input.yaml, node.json, mesh.yaml where it
has its own, and istiod's clusters.json, endpoints.json, listeners.json, routes.json.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

KINDS = ["clusters", "endpoints", "listeners", "routes"]
# The inbound side of a workload: there is none in a mesh without inbound proxies.
INBOUND = {"clusters": lambda name: name.startswith("inbound|") or name == "InboundPassthroughCluster",
           "listeners": lambda name: name == "virtualInbound" or name.startswith("inbound")}
SETS = {"domains", "lb_endpoints", "endpoints"}   # lists whose order means nothing
BASES = {"sidecar": "000-base-sidecar", "router": "002-base-gateway-empty"}


def normal(value, key=None):
    if isinstance(value, dict):
        return {k: normal(v, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [normal(item) for item in value]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if key in SETS else items
    return value


def load(folder, kind):
    path = folder / (kind + ".json")
    resources = json.loads(path.read_text()) if path.exists() else []
    named = {r.get("name") or r.get("cluster_name"): normal(r) for r in resources}
    is_inbound = INBOUND.get(kind, lambda name: False)
    return {name: r for name, r in named.items() if not is_inbound(name)}


def differences(wanted, got, path=""):
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted(wanted.keys() | got.keys()):
            where = f"{path}.{key}" if path else key
            if key not in got:
                yield f"{where}: missing {json.dumps(wanted[key])[:200]}"
            elif key not in wanted:
                yield f"{where}: too much {json.dumps(got[key])[:200]}"
            else:
                yield from differences(wanted[key], got[key], where)
    elif isinstance(wanted, list) and isinstance(got, list):
        for i in range(max(len(wanted), len(got))):
            if i >= len(got):
                yield f"{path}[{i}]: missing {json.dumps(wanted[i])[:200]}"
            elif i >= len(wanted):
                yield f"{path}[{i}]: too much {json.dumps(got[i])[:200]}"
            else:
                yield from differences(wanted[i], got[i], f"{path}[{i}]")
    elif wanted != got:
        yield f"{path}: wanted {json.dumps(wanted)[:200]}, got {json.dumps(got)[:200]}"


def run_case(lateen, cases, case):
    folder = cases / case
    with tempfile.TemporaryDirectory() as out:
        command = [lateen, "xds", "-f", cases / "base/base-k8s.yaml", "-f", folder / "input.yaml",
                   "--mesh", cases / "base/golden-mesh.yaml", "--node", folder / "node.json", "-o", out,
                   "--compat", "istio"]
        if (folder / "mesh.yaml").exists():
            command += ["--mesh", folder / "mesh.yaml"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            return {"all": [done.stderr.strip() or f"exit code {done.returncode}"]}
        found = {kind: list(differences(load(folder, kind), load(pathlib.Path(out), kind))) for kind in KINDS}
        if done.stderr.strip() and any(found.values()):
            found["messages"] = done.stderr.strip().splitlines()[:3]
        return found


def compare(lateen, cases, names):
    names = names or sorted(p.name for p in cases.iterdir() if (p / "node.json").exists() and not (p / "REJECTED").exists())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(names, pool.map(lambda name: run_case(lateen, cases, name), names)))
    unequal = 0
    for name, found in results.items():
        bad = [kind for kind in found if found[kind]]
        unequal += bool(bad)
        print(f"{name:50} {'equal' if not bad else 'UNEQUAL ' + ' '.join(f'{k}:{len(found[k])}' for k in bad)}")
    for name, found in results.items():
        for kind in found:
            for line in found[kind][:3]:
                print(f"{name} {kind} {line}")
    print(f"{len(results) - unequal} of {len(results)} cases equal")
    return 1 if unequal else 0


def pieces(folder):
    """Resources by "kind/name"; virtual hosts apart: "routes/9080/reviews...:9080"."""
    out = {}
    for kind in KINDS:
        path = folder / (kind + ".json")
        for resource in json.loads(path.read_text()) if path.exists() else []:
            name = resource.get("name") or resource.get("cluster_name")
            if INBOUND.get(kind, lambda name: False)(name):
                continue
            if kind == "routes":
                for host in resource.pop("virtual_hosts", []):
                    out[f"routes/{name}/{host['name']}"] = host
            out[f"{kind}/{name}"] = resource
    return out


def write_lines(path, resources):
    lines = [f"{json.dumps(key)}: {json.dumps(resources[key], sort_keys=True)}" for key in sorted(resources)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def import_cases(cases, out, names):
    out.mkdir(parents=True, exist_ok=True)
    for name in ["base-k8s.yaml", "golden-mesh.yaml"]:
        shutil.copyfile(cases / "base" / name, out / name)
    for kind, base in BASES.items():
        write_lines(out / f"{kind}.json", pieces(cases / base))
    for name in names:
        folder = out / "cases" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in ["input.yaml", "node.json", "mesh.yaml"]:
            if (cases / name / file).exists():
                shutil.copyfile(cases / name / file, folder / file)
        kind = json.loads((folder / "node.json").read_text())["id"].split("~")[0]
        base, own = pieces(cases / BASES[kind]), pieces(cases / name)
        delta = {key: own.get(key) for key in base.keys() | own.keys() if own.get(key) != base.get(key)}
        write_lines(folder / "expected.json", delta)


def main():
    if len(sys.argv) >= 4 and sys.argv[1] == "compare":
        return compare(os.path.abspath(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:])
    if len(sys.argv) >= 5 and sys.argv[1] == "import":
        return import_cases(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:])
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
