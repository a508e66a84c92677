#!/usr/bin/env python3
"""Runs the suites against Lateen and compares with Envoy's scores. usage: run.py [--short] [--out DIR] [SUITE...]

SUITE: adversarial, fault, churn (all). --short: without the cases and faults that only wait, and 100 updates of routes
and of endpoints; what is left out is printed. Exit 0: all passed.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import lateen_mesh

HERE = pathlib.Path(__file__).resolve().parent
SLOW_FAULTS = ("slow-first-byte", "partial-headers-stall", "stall-mid-body", "conn-timeout")
SLOW_CASES = ("slow/", "framing/cl-overflow-name$", "chunk/chunk-size-32bit$", "h2flood/")
# The short form runs the cases in two halves at once, each against a mesh of its own: they mostly wait for silence.
HALVES = (("first", "(authz|fwd|hop|pipe|resp|host|hname|h2frame)/"), ("second", "(framing|chunk|line|hvalue|h2msg)/"))
FAULTS = 31 + 8  # of HTTP/1.1 and of HTTP/2 upstreams
PHASES = ("routes", "endpoints", "roll", "rollhard", "drain", "kill9", "soak")
CHURN_PORTS = (28741, 29741, 29742, 29743)  # fixed in churn.py
OUTAGE_MS_MAX = 2000  # of kill9; Envoy's was 1910
SLOPE_KB_MAX = 256    # a minute, of soak; Envoy's was 207


def envoy_scores():
    """Group -> (cases, pass, lenient, FAIL) of Envoy in SCORES.md."""
    text = (HERE / "SCORES.md").read_text()
    assert "| group | n | envoy |" in text, "SCORES.md has another form"
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) / (\d+) / (\d+) \|", text, re.MULTILINE)
    return {group: tuple(map(int, row)) for group, *row in rows if group not in ("ALL", "h1", "h2")}


def behind_envoy(summary):
    """Prints the table; what is wrong with it: groups with fewer passes than Envoy, or not with the same cases."""
    wrong = []
    print(f"{'group':10} {'n':>4}  {'Lateen':>14}  {'Envoy':>14}   (pass / lenient / FAIL)")
    for group, (cases, *theirs) in envoy_scores().items():
        run = summary.get(group, {"n": 0, "pass": 0, "lenient": 0, "FAIL": 0})
        mine = [run["pass"], run["lenient"], run["FAIL"]]
        print("%-10s %4d  %4d /%3d /%3d  %4d /%3d /%3d" % (group, run["n"], *mine, *theirs))
        if run["n"] != cases:
            wrong.append(f"{group}: {run['n']} cases of {cases}")
        elif mine[0] < theirs[0]:
            wrong.append(f"{group}: {mine[0]} passed, of Envoy's {theirs[0]}")
    return wrong


def adversarial_start(name, work, only):
    work.mkdir(parents=True, exist_ok=True)
    port, upstream = lateen_mesh.free_port(), lateen_mesh.free_port()
    mesh = lateen_mesh.Mesh(work, lateen_mesh.ADVERSARIAL % dict(port=port, upstream=upstream), lateen_mesh.ADVERSARIAL_MESH)
    command = [sys.executable, str(HERE / "adversarial" / "run.py"), "--name", name, "--target", f"127.0.0.1:{port}",
               "--upstream-port", str(upstream), "--h2", "--pid", str(mesh.pid), "--out", str(work / "adversarial.json")]
    return mesh, subprocess.Popen(command + (["--only", only] if only else []))


def adversarial(work, short):
    parts = [("whole", "")]
    if short:
        print("torture: short form: the cases that wait are left out: " + ", ".join(SLOW_CASES))
        parts = [(name, f"^(?!{'|'.join(SLOW_CASES)}){groups}") for name, groups in HALVES]
    started, good = [], True
    try:
        for name, only in parts:
            started.append(adversarial_start(f"lateen, {name}", work / name, only))
        for mesh, suite in started:
            good = suite.wait(1500) == 0 and good
            alive = mesh.process.poll() is None
            ended = mesh.stop()
            if not alive or ended != 0:
                print(f"torture: the mesh ended badly (alive {alive}, exit {ended})")
                good = False
    finally:
        for mesh, suite in started:
            suite.kill()
            mesh.stop()
    if short:
        return good
    wrong = behind_envoy(json.loads((work / "whole" / "adversarial.json").read_text())["summary"])
    if wrong:
        print("torture: behind Envoy: " + "; ".join(wrong))
    return good and not wrong


def fault(work, short):
    port, a, b, http2_port, http2_a, http2_b = lateen_mesh.free_ports(6)
    out = work / "fault.json"
    command = [sys.executable, str(HERE / "fault" / "fault.py"), "--name", "lateen", "--target", f"127.0.0.1:{port}",
               "--up", f"{a},{b}", "--h2-target", f"127.0.0.1:{http2_port}", "--h2-up", f"{http2_a},{http2_b}", "--out", str(out)]
    if short:
        print("torture: short form: the faults that wait are left out: " + ", ".join(SLOW_FAULTS))
        command += ["--only", "^(?!" + "|".join(SLOW_FAULTS) + ")"]
    pairs = (dict(port=port, a=a, b=b, name="http"), dict(port=http2_port, a=http2_a, b=http2_b, name="http2"))
    mesh = lateen_mesh.Mesh(work, "---\n".join(lateen_mesh.FAULT % pair for pair in pairs))
    try:
        subprocess.run(command, timeout=900, check=True)
    finally:
        ended = mesh.stop()
    results = json.loads(out.read_text())["results"]
    failed = [name for name, r in results.items() if r["verdict"] != "pass"]
    wanted = FAULTS - len(SLOW_FAULTS) if short else FAULTS
    print(f"torture: faults passed {len(results) - len(failed)}/{wanted}" + (f", failed: {failed}" if failed else ""))
    if ended != 0:
        print(f"torture: the mesh ended with {ended}")
    return not failed and len(results) == wanted and ended == 0


def wait_for_churn_ports():
    """The ports of churn.py are fixed: one run at a time on a machine, and nothing of the last one left."""
    turn = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + 900
    while True:
        try:
            turn.bind("\0lateen-torture-churn")  # abstract: free again when this process ends
            break
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit("torture: another churn run has held its ports for 900 s")
            time.sleep(0.2)
    deadline = time.monotonic() + 20
    while True:
        busy = [port for port in CHURN_PORTS if socket.socket().connect_ex(("127.0.0.1", port)) == 0]
        if not busy:
            return turn
        if time.monotonic() > deadline:
            raise SystemExit(f"torture: somebody else listens on {busy}, which churn.py needs")
        time.sleep(0.2)


def churn_fault(name, phase):
    """Why a phase is not good enough, beyond churn.py's own verdict; empty: it is."""
    if phase["verdict"] != "pass":
        return "FAIL"
    if phase.get("outage_ms", 0) > OUTAGE_MS_MAX:
        return f"{phase['outage_ms']} ms without an answer"
    if phase.get("rss_slope_kb_per_min", 0) > SLOPE_KB_MAX:
        return f"grows by {phase['rss_slope_kb_per_min']} kB a minute"
    return ""


def churn(work, short):
    out = work / "churn.json"
    phases = PHASES[:2] if short else PHASES
    log = shlex.quote(str(work / "lateen.log"))
    product = f"exec {shlex.quote(lateen_mesh.LATEEN)} run --reuse-port --admin 127.0.0.1:0 --http-proxy 127.0.0.1:0 -f {{dir}} >>{log} 2>&1"
    if short:
        print("torture: short form: only the phases " + " and ".join(phases))
    with wait_for_churn_ports():
        command = [sys.executable, str(HERE / "churn" / "churn.py"), "--adapter", "istio", "--dir", str(work / "churn"),
                   "--cmd", product, "--phase", ",".join(phases), "--updates", "100" if short else "1000", "--soak", "60",
                   "--out", str(out)]
        suite = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
        try:
            suite.wait(900)
        finally:
            with contextlib.suppress(ProcessLookupError):  # a phase that breaks off leaves its mesh
                os.killpg(suite.pid, signal.SIGKILL)
    results = json.loads(out.read_text()) if out.exists() else {}
    failed = {name: why for name in phases if (why := churn_fault(name, results[name]) if name in results else "not run")}
    print(f"torture: churn phases passed {len(phases) - len(failed)}/{len(phases)}" + (f", failed: {failed}" if failed else ""))
    return not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("suites", nargs="*", default=["adversarial", "fault", "churn"], metavar="SUITE")
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # in order with what the suites print
    work = args.out or pathlib.Path(tempfile.mkdtemp(prefix="lateen-torture-"))
    failed = []
    for name in args.suites:
        print(f"torture: {name}")
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.rglob("*.json"):  # of an earlier run into the same DIR
            old.unlink()
        begin = time.monotonic()
        try:
            good = {"adversarial": adversarial, "fault": fault, "churn": churn}[name](folder, args.short)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            print(f"torture: {name} did not run to its end: {error}")
            good = False
        print(f"torture: {name}: {'passed' if good else 'FAILED'} ({time.monotonic() - begin:.0f} s)")
        if not good:
            failed.append(name)
    if not failed and not args.out:
        shutil.rmtree(work)
    print("torture: " + (f"FAILED: {', '.join(failed)} (logs in {work})" if failed else "all passed"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
