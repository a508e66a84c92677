"""Makes the resources of a case fit for loopback: listeners on free ports, endpoints at our upstreams.

What is changed is the same for both data planes:
  - every name gets the case in front, so that all cases live in one process;
  - a listener that is reached through a capture binds a port of its own; one with TLS or with a port in its matches
    (the inbound side) becomes one listener a chain, plain, as if that had been chosen already;
  - the workload's own ports (clusters inbound|...) become an upstream like others;
  - each endpoint of each cluster becomes an upstream of its own, so that the upstream tells the cluster;
  - TLS towards upstreams is taken away (tests/e2e/test_tls.py has it), HTTP/2 towards upstreams too;
  - delays of faults are cut to 10 ms.
"""
import copy
import json

HCM = "envoy.filters.network.http_connection_manager"
TCP = "envoy.filters.network.tcp_proxy"
DELAY_MAX = 0.01


def walk(value, visit):
    """Calls visit(dict) for every dict inside, outermost first."""
    if isinstance(value, dict):
        visit(value)
        for item in list(value.values()):
            walk(item, visit)
    elif isinstance(value, list):
        for item in value:
            walk(item, visit)


def split(listener):
    """The listener, or one for each HTTP chain where TLS or a port decides among them."""
    chains = listener.get("filter_chains", [])
    if not any("transport_socket" in c or "destination_port" in c.get("filter_chain_match", {}) for c in chains):
        return [listener]
    out = []
    for number, chain in enumerate(chains):
        # To the address that was dialled: that is the listener itself here.
        if not any(f["name"] == HCM for f in chain["filters"]) or "InboundPassthroughCluster" in json.dumps(chain): continue
        single = {key: value for key, value in listener.items() if key not in ("filter_chains", "default_filter_chain", "use_original_dst", "listener_filters")}
        single["name"] = f"{listener['name']}#{number}"
        single["filter_chains"] = [{"filters": copy.deepcopy(chain["filters"])}]
        out.append(single)
    return out


class Case:
    def __init__(self, name, resources, backends):
        self.name = name
        self.backends = backends
        self.plain = copy.deepcopy(resources)        # as they were, for the requests to be made from
        self.clusters, self.endpoints, self.listeners, self.routes = ([] for _ in range(4))
        local = copy.deepcopy(resources)
        for cluster in local["clusters"]:
            self.clusters.append(self._cluster(cluster))
        for assignment in local["endpoints"]:
            self._assignment(assignment, assignment["cluster_name"])
            assignment["cluster_name"] = self.named(assignment["cluster_name"])
            self.endpoints.append(assignment)
        for table in local["routes"]:
            walk(table, self._route_part)
            table["name"] = self.named(table["name"])
            self.routes.append(table)
        self.tables_of = {}                          # listener name -> route tables it serves, as they were
        for listener in local["listeners"]:
            for single in split(listener):
                if self._wanted(single): self.listeners.append(self._listener(single))

    def named(self, name):
        return f"{self.name}/{name}"

    def _cluster(self, cluster):
        name = cluster["name"]
        cluster["name"] = self.named(name)
        cluster.pop("alt_stat_name", None)
        cluster.pop("transport_socket", None)
        cluster.pop("transport_socket_matches", None)
        if name.startswith("inbound|") and "load_assignment" not in cluster:
            for key in ("upstream_bind_config", "original_dst_lb_config", "cleanup_interval"): cluster.pop(key, None)
            cluster["type"], cluster["lb_policy"] = "STATIC", "ROUND_ROBIN"
            cluster["load_assignment"] = {"cluster_name": cluster["name"], "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": {"socket_address": {"address": "local", "port_value": 0}}}}]}]}
        options = cluster.get("typed_extension_protocol_options", {}).get("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
        if options is not None and "explicit_http_config" in options:
            options["explicit_http_config"] = {"http_protocol_options": {}}
        eds = cluster.get("eds_cluster_config")
        if eds is not None:
            eds["service_name"] = self.named(eds.get("service_name") or name)
        if "load_assignment" in cluster:
            self._assignment(cluster["load_assignment"], name)
        return cluster

    def _assignment(self, assignment, cluster):
        for locality in assignment.get("endpoints", []):
            for entry in locality.get("lb_endpoints", []):
                endpoint = entry["endpoint"]
                where = endpoint["address"].get("socket_address")
                if where is None:
                    shown = endpoint["address"].get("pipe", {}).get("path", "")
                else:
                    shown = f"{where['address']}:{where.get('port_value', 0)}"
                port = self.backends.port(f"{cluster} {shown}")
                endpoint["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def _route_part(self, part):
        for key in ("cluster", "cluster_name"):
            if isinstance(part.get(key), str):
                part[key] = self.named(part[key])
        if isinstance(part.get("weighted_clusters"), dict):
            for entry in part["weighted_clusters"].get("clusters", []):
                entry["name"] = self.named(entry["name"])
        delay = part.get("fixed_delay")
        if isinstance(delay, str) and float(delay[:-1]) > DELAY_MAX:
            part["fixed_delay"] = f"{DELAY_MAX}s"

    def _wanted(self, listener):
        chains = listener.get("filter_chains", []) + [c for c in [listener.get("default_filter_chain")] if c]
        return not listener.get("use_original_dst") and any(f["name"] == HCM for c in chains for f in c["filters"])

    def _listener(self, listener):
        name = listener["name"]
        listener["name"] = self.named(name)
        listener["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
        listener.pop("additional_addresses", None)
        listener.pop("bind_to_port", None)
        listener.pop("enable_reuse_port", None)
        named = {table["name"]: table for table in self.plain["routes"]}
        tables = self.tables_of.setdefault(listener["name"], [])
        for chain in listener.get("filter_chains", []) + [c for c in [listener.get("default_filter_chain")] if c]:
            for handler in chain["filters"]:
                config = handler.get("typed_config", {})
                if "route_config" in config: tables.append(copy.deepcopy(config["route_config"]))
                elif "rds" in config: tables.append(named.get(config["rds"]["route_config_name"], {}))

        def visit(part):
            self._route_part(part)
            rds = part.get("rds")
            if isinstance(rds, dict):
                rds["route_config_name"] = self.named(rds["route_config_name"])
            if part.get("access_log"):
                part["access_log"] = []

        walk(listener, visit)
        return listener
