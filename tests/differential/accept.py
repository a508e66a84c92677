#!/usr/bin/env python3
"""Does a real Envoy accept our xDS? Every golden case, as `lateen xds --compat istio` makes it, in `envoy --mode validate`.

usage: accept.py [--lateen LATEEN] [--envoy ENVOY] [--cases DIR] [--only REGEX]

What EDS and RDS would bring stands inside; nothing else is changed. Exit code 1: something is refused.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import envoy as envoys
import run

XDS_CLUSTERS = ["xds-grpc", "sds-grpc"]     # that resources may name as where secrets and the like come from


def grpc_cluster(name):
    return {"name": name, "type": "STATIC", "connect_timeout": "1s",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}}}},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
                "socket_address": {"address": "127.0.0.1", "port_value": 9}}}}]}]}}


def validate(binary, folder, resources):
    """Envoy's complaint about a case, or ""."""
    named = {kind: {r.get("cluster_name") or r["name"]: r for r in resources[kind]} for kind in ("endpoints", "routes")}
    config = {
        "node": {"id": "accept", "cluster": "accept"},
        "static_resources": {
            "clusters": [grpc_cluster(name) for name in XDS_CLUSTERS] + envoys.inlined(resources["clusters"], named),
            "listeners": envoys.inlined(resources["listeners"], named)},
        "dynamic_resources": {"ads_config": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [
            {"envoy_grpc": {"cluster_name": "xds-grpc"}}]}},
    }
    path = pathlib.Path(folder) / "accept.json"
    path.write_text(json.dumps(config))
    done = subprocess.run([binary, "--mode", "validate", "-c", str(path), "-l", "error"], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else (done.stderr + done.stdout).strip()[-600:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--lateen", default=str(root / "build/lateen"))
    parser.add_argument("--envoy", default=envoys.find())
    parser.add_argument("--cases", default=str(root / "tests/golden/cases"))
    parser.add_argument("--only")
    arguments = parser.parse_args()
    if not arguments.envoy: sys.exit("no Envoy: give --envoy or set ENVOY")
    cases_dir = pathlib.Path(arguments.cases)
    base = cases_dir / "base" if (cases_dir / "base").exists() else cases_dir.parent
    with tempfile.TemporaryDirectory() as scratch:
        folders = [p for p in sorted(cases_dir.iterdir()) if (p / "node.json").exists() and not (p / "REJECTED").exists()
                   and (not arguments.only or re.search(arguments.only, p.name))
                   # What a client of gRPC's own xDS gets is not for Envoy.
                   and '"grpc"' not in (p / "node.json").read_text()]

        def complaint(folder):
            out = pathlib.Path(scratch) / folder.name
            resources = run.translate(arguments.lateen, base, folder, out)
            return validate(arguments.envoy, out, resources) if resources is not None else "not translated"

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            complaints = dict(zip([f.name for f in folders], pool.map(complaint, folders)))
        refused = [(name, text) for name, text in complaints.items() if text]
        for name, complaint in refused: print(f"{name}: {complaint}")
        print(f"{len(folders) - len(refused)} of {len(folders)} cases accepted by Envoy")
        return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
