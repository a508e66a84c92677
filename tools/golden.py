#!/usr/bin/env python3
"""Compares `lateen xds --compat istio` with what istiod made of the same input, resource by resource.

usage: golden.py compare [--reasons FILE] LATEEN CASES_DIR [CASE...]   a table; then what differs in each unequal case
       golden.py import [--folder translated] CASES_DIR OUT_DIR CASE...     writes cases for tests/golden: inputs, and what differs from a base

CASES_DIR holds base/base-k8s.yaml, base/golden-mesh.yaml (or --base DIR) and a folder a case: input.yaml, node.json,
mesh.yaml where it has its own, and istiod's clusters.json, endpoints.json, listeners.json, routes.json, ecds.json; or
REJECTED where istiod refuses the input. A folder as `import` writes it (tests/golden) is read too.

Resources are matched by name. Domains of a virtual host, endpoints of a locality and localities have no order.
A reason names one path, as this program prints it with [*] for any index, and the cases that it covers. Cases whose
group (the number before the first dash) is above 8 are shown and not judged.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KINDS = ["clusters", "endpoints", "listeners", "routes", "ecds"]
SETS = {"domains", "lb_endpoints", "endpoints"}   # lists whose order means nothing
IMPORTED = ["cases", "translated"]
BASES = {"sidecar": "000-base-sidecar", "router": "002-base-gateway-empty"}
LAST_JUDGED_GROUP = 8
REASONS_AT_MOST = 15
SHOWN_AT_MOST = 3                                  # differences of one kind of one case


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
    return {r.get("name") or r.get("cluster_name"): normal(r) for r in resources}


def pieces(folder):
    """Resources by "kind/name"; virtual hosts apart: "routes/9080/reviews...:9080"."""
    out = {}
    for kind in KINDS:
        path = folder / (kind + ".json")
        for resource in json.loads(path.read_text()) if path.exists() else []:
            name = resource.get("name") or resource.get("cluster_name")
            if kind == "routes":
                for host in resource.pop("virtual_hosts", []):
                    out[f"routes/{name}/{host['name']}"] = host
            out[f"{kind}/{name}"] = resource
    return out


def expected_pieces(cases, folder):
    out = json.loads((cases / f"{proxy_kind(folder)}.json").read_text())
    for key, resource in json.loads((folder / "expected.json").read_text()).items():
        if resource is None:
            out.pop(key, None)
        else:
            out[key] = resource
    return out


def by_kind(all_pieces):
    return {kind: {k.split("/", 1)[1]: normal(v) for k, v in all_pieces.items() if k.split("/")[0] == kind} for kind in KINDS}


def proxy_kind(folder):
    return json.loads((folder / "node.json").read_text())["id"].split("~")[0]


def differences(wanted, got, path=""):
    """Pairs of path and what is wrong there."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted(wanted.keys() | got.keys()):
            where = f"{path}.{key}" if path else key
            if key not in got:
                yield where, f"missing {json.dumps(wanted[key])[:200]}"
            elif key not in wanted:
                yield where, f"too much {json.dumps(got[key])[:200]}"
            else:
                yield from differences(wanted[key], got[key], where)
    elif isinstance(wanted, list) and isinstance(got, list):
        for i in range(max(len(wanted), len(got))):
            if i >= len(got):
                yield f"{path}[{i}]", f"missing {json.dumps(wanted[i])[:200]}"
            elif i >= len(wanted):
                yield f"{path}[{i}]", f"too much {json.dumps(got[i])[:200]}"
            else:
                yield from differences(wanted[i], got[i], f"{path}[{i}]")
    elif wanted != got:
        yield path, f"wanted {json.dumps(wanted)[:200]}, got {json.dumps(got)[:200]}"


def all_differences(wanted, got):
    for kind in KINDS:
        for name in sorted(wanted[kind].keys() | got[kind].keys()):
            where = f"{kind}[{name}]"
            if name not in got[kind]:
                yield kind, where, "missing"
            elif name not in wanted[kind]:
                yield kind, where, "too much"
            else:
                for path, text in differences(wanted[kind][name], got[kind][name]):
                    yield kind, f"{where}.{path}", text


def run_case(lateen, cases, base, case):
    """The differences of one case: (kind, path, text)."""
    folder = case_folder(cases, case)
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "out"
        command = [lateen, "xds", "-f", base / "base-k8s.yaml", "-f", folder / "input.yaml", "--mesh", base / "golden-mesh.yaml",
                   "--node", folder / "node.json", "-o", out, "--compat", "istio"]
        if (folder / "mesh.yaml").exists():
            command += ["--mesh", folder / "mesh.yaml"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if (folder / "REJECTED").exists():
            if done.returncode != 1:
                return [("all", "all", f"istiod refuses this input; exit code {done.returncode}")]
            return [("all", "all", "refused, and yet something was written")] if out.exists() else []
        if done.returncode != 0:
            return [("all", "all", done.stderr.strip() or f"exit code {done.returncode}")]
        if (folder / "expected.json").exists():
            return list(all_differences(by_kind(expected_pieces(cases, folder)), by_kind(pieces(out))))
        return list(all_differences(*({kind: load(f, kind) for kind in KINDS} for f in (folder, out))))


def case_folders(cases):
    """Of tests/golden: "cases", and "translated" for those that nobody sends traffic through."""
    return [cases / name for name in IMPORTED if (cases / name).is_dir()] or [cases]


def case_folder(cases, case):
    return next((folder / case for folder in case_folders(cases) if (folder / case).is_dir()), cases / case)


def case_names(cases):
    return sorted(p.name for folder in case_folders(cases) for p in folder.iterdir() if (p / "node.json").exists())


def base_folder(cases, given):
    candidates = [pathlib.Path(given)] if given else []
    candidates += [cases / "base", cases, cases.parent / "base"]
    for folder in candidates:
        if (folder / "base-k8s.yaml").exists():
            return folder
    sys.exit(f"golden: no base-k8s.yaml in {', '.join(map(str, candidates))}; give --base DIR")


def read_reasons(path):
    reasons = json.loads(pathlib.Path(path).read_text()) if path and pathlib.Path(path).exists() else []
    if len(reasons) > REASONS_AT_MOST:
        sys.exit(f"golden: {len(reasons)} reasons, {REASONS_AT_MOST} are allowed")
    for reason in reasons:
        if reason["path"].count(".") < 1:
            sys.exit(f"golden: the reason {reason['path']} would hide a whole resource")
    return reasons


def is_listed(reasons, case, path):
    """Names of resources and indexes are [*] in a reason; it covers its path and nothing beside it."""
    plain = re.sub(r"\[[^\]]*\]", "[*]", path)
    return any(case in reason["cases"] and plain == reason["path"] for reason in reasons)


def is_judged(case):
    group = re.match(r"\d+", case)
    return group is None or len(group.group()) > 1 or int(group.group()) <= LAST_JUDGED_GROUP


def verdict(reasons, case, found):
    left = [entry for entry in found if not is_listed(reasons, case, entry[1])]
    if not found:
        return "equal", []
    if not left:
        return "different for a listed reason", []
    return "UNEQUAL", left


def compare(options):
    lateen, cases = os.path.abspath(options.lateen), pathlib.Path(options.cases)
    base, reasons = base_folder(cases, options.base), read_reasons(options.reasons)
    names = options.names or case_names(cases)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(names, pool.map(lambda name: run_case(lateen, cases, base, name), names)))
    count = {"equal": 0, "different for a listed reason": 0, "UNEQUAL": 0, "not judged": 0}
    details = []
    for name, found in results.items():
        word, left = verdict(reasons, name, found)
        kinds = sorted({kind for kind, _, _ in left})
        how_many = " ".join(f"{kind}:{sum(entry[0] == kind for entry in left)}" for kind in kinds)
        print(f"{name:50} {word} {how_many}{'' if is_judged(name) else '  (not judged)'}".rstrip())
        count[word if is_judged(name) else "not judged"] += 1
        for kind in kinds:
            details += [f"{name}: {path}: {text}" for k, path, text in left if k == kind][:options.show]
    print("\n".join(details))
    print(f"{len(names)} cases: {count['equal']} equal, {count['different for a listed reason']} different for a listed reason, "
          f"{count['UNEQUAL']} unequal, {count['not judged']} not judged")
    return 1 if count["UNEQUAL"] else 0


def write_lines(path, resources):
    lines = [f"{json.dumps(key)}: {json.dumps(resources[key], sort_keys=True)}" for key in sorted(resources)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def import_cases(options):
    cases, out = pathlib.Path(options.cases), pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    base_files = base_folder(cases, options.base)
    for name in ["base-k8s.yaml", "golden-mesh.yaml"]:
        if not (out / name).exists():
            shutil.copyfile(base_files / name, out / name)
    for kind, base in BASES.items():
        if (cases / base).exists():
            write_lines(out / f"{kind}.json", pieces(cases / base))
    for name in options.names:
        folder = out / options.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in ["input.yaml", "node.json", "mesh.yaml", "REJECTED"]:
            if (cases / name / file).exists():
                shutil.copyfile(cases / name / file, folder / file)
        if (folder / "REJECTED").exists():
            continue
        base, own = json.loads((out / f"{proxy_kind(folder)}.json").read_text()), pieces(cases / name)
        delta = {key: own.get(key) for key in base.keys() | own.keys() if own.get(key) != base.get(key)}
        write_lines(folder / "expected.json", delta)
    return 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    commands = parser.add_subparsers(required=True)
    comparing = commands.add_parser("compare")
    comparing.add_argument("--reasons")
    comparing.add_argument("--show", type=int, default=SHOWN_AT_MOST)
    comparing.add_argument("lateen")
    comparing.set_defaults(run=compare)
    importing = commands.add_parser("import")
    importing.add_argument("--folder", choices=IMPORTED, default=IMPORTED[0])
    importing.set_defaults(run=import_cases)
    for command in (comparing, importing):
        command.add_argument("--base")
        command.add_argument("cases")
    importing.add_argument("out")
    for command in (comparing, importing):
        command.add_argument("names", nargs="*")
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
