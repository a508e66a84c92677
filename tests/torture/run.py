#!/usr/bin/env python3
"""Runs the suites against Lateen and compares with Envoy's scores. usage: run.py [--short] [--out DIR] [SUITE...]

SUITE: adversarial, fault, churn (all). --short: every third adversarial case and none of the slow ones, the quick
faults, 200 updates a churn phase; what is left out is printed. Exit 0: all passed.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import lateen_mesh

HERE = pathlib.Path(__file__).resolve().parent
SLOW_FAULTS = ("slow-first-byte", "partial-headers-stall", "stall-mid-body", "conn-timeout")


def envoy_scores():
    """Group -> (cases, lenient + FAIL) of Envoy in SCORES.md."""
    scores = {}
    for line in (HERE / "SCORES.md").read_text().splitlines():
        row = re.match(r"\| (\w+) \| (\d+) \| (\d+) / (\d+) / (\d+) \|", line)
        if row:
            scores[row[1]] = tuple(int(x) for x in row.groups()[1:])
    return scores


def adversarial(work, short):
    port, upstream = lateen_mesh.free_port(), lateen_mesh.free_port()
    mesh = lateen_mesh.Mesh(work, lateen_mesh.ADVERSARIAL % dict(port=port, upstream=upstream), lateen_mesh.ADVERSARIAL_MESH)
    out = work / "adversarial.json"
    command = [sys.executable, str(HERE / "adversarial" / "run.py"), "--name", "lateen", "--target", f"127.0.0.1:{port}",
               "--upstream-port", str(upstream), "--pid", str(mesh.pid), "--out", str(out)]
    if short:
        print("torture: short form: the groups slow, line and hvalue are left out")
        command += ["--only", r"^(authz|chunk|framing|fwd|hname|hop|host|pipe|resp)/"]
    code = subprocess.run(command, timeout=1500).returncode
    alive = mesh.process.poll() is None
    ended = mesh.stop()
    if not alive or ended != 0:
        print(f"torture: the mesh ended badly (alive {alive}, exit {ended})")
        return False
    if short:
        return code == 0
    behind = []
    scores = envoy_scores()
    for group, mine in json.loads(out.read_text())["summary"].items():
        theirs = scores.get(group)
        if theirs and group not in ("ALL",) and mine["n"] == theirs[0] and mine["pass"] < theirs[1] and mine["FAIL"] >= theirs[3]:
            behind.append(f"{group}: pass {mine['pass']} of {mine['n']}, Envoy {theirs[1]}")
    if behind:
        print("torture: behind Envoy: " + "; ".join(behind))
    return code == 0 and not behind


def fault(work, short):
    port, a, b = (lateen_mesh.free_port() for _ in range(3))
    mesh = lateen_mesh.Mesh(work, lateen_mesh.FAULT % dict(port=port, a=a, b=b))
    out = work / "fault.json"
    command = [sys.executable, str(HERE / "fault" / "fault.py"), "--name", "lateen", "--target", f"127.0.0.1:{port}",
               "--up", f"{a},{b}", "--out", str(out)]
    if short:
        print("torture: short form: the faults that wait are left out: " + ", ".join(SLOW_FAULTS))
        command += ["--only", "^(?!" + "|".join(SLOW_FAULTS) + ")"]
    subprocess.run(command, timeout=900, check=True)
    ended = mesh.stop()
    results = json.loads(out.read_text())["results"]
    failed = [name for name, r in results.items() if r["verdict"] != "pass"]
    print(f"torture: faults passed {len(results) - len(failed)}/{len(results)}" + (f", failed: {failed}" if failed else ""))
    return not failed and ended == 0


def churn(work, short):
    out = work / "churn.json"
    command = [sys.executable, str(HERE / "churn" / "churn.py"), "--adapter", "istio", "--dir", str(work / "churn"),
               "--cmd", f"exec {lateen_mesh.LATEEN} run --reuse-port --admin 127.0.0.1:0 --http-proxy 127.0.0.1:0 -f {{dir}} 2>>{work}/churn.log",
               "--phase", "routes,endpoints" if short else "routes,endpoints,roll,rollhard,drain,kill9,soak",
               "--updates", "200" if short else "1000", "--out", str(out)]
    subprocess.run(command, timeout=900, check=True)
    phases = json.loads(out.read_text())
    judged = {name: r for name, r in phases.items() if isinstance(r, dict)}
    failed = [name for name, r in judged.items() if r["verdict"] != "pass"]
    print(f"torture: churn phases passed {len(judged) - len(failed)}/{len(judged)}" + (f", failed: {failed}" if failed else ""))
    return bool(judged) and not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("suites", nargs="*", default=["adversarial", "fault", "churn"])
    args = parser.parse_args()
    work = args.out or pathlib.Path(tempfile.mkdtemp(prefix="lateen-torture-"))
    failed = []
    for name in args.suites:
        print(f"torture: {name}", flush=True)
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        if not {"adversarial": adversarial, "fault": fault, "churn": churn}[name](folder, args.short):
            failed.append(name)
    print("torture: " + (f"FAILED: {', '.join(failed)} (logs in {work})" if failed else "all passed"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
