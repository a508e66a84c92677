"""A real Envoy on resources of files, for a moment: started, looked at, stopped by its pid."""
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

TYPES = {"clusters": "envoy.config.cluster.v3.Cluster", "endpoints": "envoy.config.endpoint.v3.ClusterLoadAssignment",
         "listeners": "envoy.config.listener.v3.Listener", "routes": "envoy.config.route.v3.RouteConfiguration"}


def find():
    """The Envoy binary: $ENVOY, or the one that the benchmark installs."""
    named = os.environ.get("ENVOY")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "lateen"
    return named or next((str(p) for p in cache.glob("envoy-venv/lib/*/site-packages/envoy/_bin/envoy")), None)


def first_ones(assignment):
    """Of several endpoints at one address Envoy takes the first, where EDS brings them."""
    seen, localities = set(), []
    for locality in assignment.get("endpoints", []):
        kept = []
        for entry in locality.get("lb_endpoints", []):
            address = json.dumps(entry["endpoint"]["address"], sort_keys=True)
            if address not in seen: kept.append(entry)
            seen.add(address)
        localities.append({**locality, "lb_endpoints": kept})
    return {**assignment, "endpoints": localities}


def inlined(value, resources):
    """What would be asked for by EDS and RDS stands inside: each file subscription costs Envoy an inotify instance, and
    there are few of those."""
    if isinstance(value, dict):
        out = {key: inlined(item, resources) for key, item in value.items()}
        if "eds_cluster_config" in out:
            name = out.pop("eds_cluster_config").get("service_name") or out["name"]
            out["type"] = "STATIC"
            out["load_assignment"] = first_ones(resources["endpoints"].get(name, {"cluster_name": name}))
        if isinstance(out.get("rds"), dict):
            name = out.pop("rds")["route_config_name"]
            out["route_config"] = resources["routes"].get(name, {"name": name})
        return out
    if isinstance(value, list):
        return [inlined(item, resources) for item in value]
    return value


def write_files(folder, resources):
    """One file for CDS and one for LDS; returns their paths."""
    named = {kind: {r.get("cluster_name") or r["name"]: r for r in resources[kind]} for kind in ("endpoints", "routes")}
    paths = {}
    for kind in ("clusters", "listeners"):
        body = [{"@type": "type.googleapis.com/" + TYPES[kind], **inlined(item, named)} for item in resources[kind]]
        paths[kind] = str(pathlib.Path(folder) / f"envoy-{kind}.json")
        pathlib.Path(paths[kind]).write_text(json.dumps({"version_info": "1", "resources": body}))
    return paths


def bootstrap(paths, admin_port=0):
    return {
        "node": {"id": "differential", "cluster": "differential"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}},
        "dynamic_resources": {
            "cds_config": {"path_config_source": {"path": paths["clusters"]}, "resource_api_version": "V3"},
            "lds_config": {"path_config_source": {"path": paths["listeners"]}, "resource_api_version": "V3"}},
        # Names that Envoy answers to are compared with ours; overload and runtime are as they come.
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {}}]},
    }


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))   # whatever the environment's proxies are


class Envoy:
    def __init__(self, binary, folder, resources):
        # Envoy watches the folder of its files: the log must not be there.
        self.folder = pathlib.Path(folder)
        watched = self.folder / "watched"
        watched.mkdir(exist_ok=True)
        paths = write_files(watched, resources)
        config = self.folder / "envoy.json"
        config.write_text(json.dumps(bootstrap(paths)))
        self.log = open(self.folder / "envoy.log", "wb")
        admin_file = self.folder / "envoy-admin"
        admin_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [binary, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "warning",
             "--admin-address-path", str(admin_file), "--file-flush-interval-msec", "100"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self._wait(admin_file)
        except BaseException:
            self.stop()
            raise

    def _wait(self, admin_file):
        deadline = time.monotonic() + 60
        self.admin = None
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("Envoy ended: " + (self.folder / "envoy.log").read_text()[-2000:])
            try:
                self.admin = self.admin or admin_file.read_text().strip() or None
                if self.admin and self.get("/ready").strip() == "LIVE": return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError("Envoy did not become ready")

    def get(self, path):
        try:
            with DIRECT.open(f"http://{self.admin}{path}", timeout=20) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.read().decode()

    def ports(self):
        listeners = json.loads(self.get("/listeners?format=json"))["listener_statuses"]
        return {l["name"]: l["local_address"]["socket_address"]["port_value"] for l in listeners}

    def rejected(self):
        """What it refused, a line each."""
        lines = (self.folder / "envoy.log").read_text().splitlines()
        return [line for line in lines if "rejected" in line or "Error adding" in line or "error adding" in line]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
