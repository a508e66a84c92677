"""Makes the resources of a case fit for loopback: listeners on free ports, endpoints at our upstreams.

What is changed is the same for both data planes:
  - every name gets the case in front, so that all cases live in one process; of listeners that are the same in two cases, with
    all that they lead to, the first is kept;
  - a listener that is reached through a capture binds a port of its own; where it looks at the address that was dialled, the
    client tells that address with a PROXY header, and the ports in its matches become ports of our upstreams;
  - each endpoint of each cluster becomes an upstream of its own, so that the upstream tells the cluster;
  - certificates, authorities and secrets of TLS become those of this run (certificates.py);
  - delays of faults are cut to 10 ms, timeouts of routes to a second.
"""
import copy
import ipaddress
import json

import logs

HCM = "envoy.filters.network.http_connection_manager"
TCP = "envoy.filters.network.tcp_proxy"
# Where all odd requests are sent (inputs.py): outbound, a gateway, inbound.
ODD_LISTENERS = {"000-base-sidecar/0.0.0.0_9080", "7-gw-http/0.0.0.0_8080", "001-base-inbound/virtualInbound"}
PROXY_FILTER = {"name": "envoy.filters.listener.proxy_protocol", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
    "allow_requests_without_proxy_protocol": True}}
BLACKHOLE_PORTS = {15001, 15006}    # of the capture itself: they stay what they are
# Envoy takes none of these, and istiod makes them; ours takes some.
REFUSED_BY_ENVOY = {
    "8-envoyfilter-ecds/0.0.0.0_80": "extension configs come by ADS",
    "8-envoyfilter-ecds/0.0.0.0_9080": "extension configs come by ADS",
    "8-envoyfilter-filter-chain/virtualInbound": "TLS without a certificate",
    "8-envoyfilter-http-add-after-nomatch/virtualInbound": "the router is not the last filter",
    "8-envoyfilter-network-ops/virtualOutbound": "a filter that does not exist",
    "vs-tls-matches/0.0.0.0_443": "two chains with one match",
    "se-dynamic-dns-listeners/0.0.0.0_82": "a dynamic forward proxy cluster without auto_sni",
    "gw-jwt-claims/0.0.0.0_8080": "a matcher of metadata without a value",
}
# What our data plane says that it does not carry out; where it says so of something else, the run fails.
NOT_CARRIED_OUT = {
    "8-envoyfilter-gateway-listener/0.0.0.0_8080": "socket_options",
    "8-envoyfilter-inbound-route/virtualInbound": "rate_limits",
    "8-envoyfilter-route-sidecar/0.0.0.0_9080": "rate_limits",
    "8-envoyfilter-listener-filter/0.0.0.0_80": "a listener filter of its own",
    "8-envoyfilter-listener-filter/0.0.0.0_9080": "a listener filter of its own",
    "8-envoyfilter-listener-filter/10.96.0.100_443": "a listener filter of its own",
    "8-envoyfilter-listener-filter/10.96.0.5_27017": "a listener filter of its own",
    "8-envoyfilter-listener-filter/virtualInbound": "a listener filter of its own",
    "8-envoyfilter-listener-filter/virtualOutbound": "a listener filter of its own",
    "8-envoyfilter-compressor/0.0.0.0_80": "HTTP filters",
    "8-envoyfilter-compressor/0.0.0.0_9080": "HTTP filters",
    "8-envoyfilter-http-ops/0.0.0.0_80": "HTTP filters",
    "8-envoyfilter-http-ops/0.0.0.0_9080": "HTTP filters",
    "8-envoyfilter-order/0.0.0.0_80": "HTTP filters",
    "8-envoyfilter-order/0.0.0.0_9080": "HTTP filters",
    "8-envoyfilter-select/0.0.0.0_80": "HTTP filters",
    "8-envoyfilter-select/0.0.0.0_9080": "HTTP filters",
    "8-envoyfilter-typed-struct/0.0.0.0_80": "HTTP filters",
    "8-envoyfilter-typed-struct/0.0.0.0_9080": "HTTP filters",
    "9-envoyfilter-lua/0.0.0.0_80": "HTTP filters",
    "9-envoyfilter-lua/0.0.0.0_9080": "HTTP filters",
    "dr-retry-budget-interval/0.0.0.0_9080": "budget_interval, which the compiled API does not know",
    "inbound-dual/virtualInbound": "extra_source_addresses",
    "inbound-tproxy/virtualInbound": "original_src",
}
DELAY_MAX = 0.01
TIMEOUT_MAX = 1.0


def walk(value, visit):
    """Calls visit(dict) for every dict inside, outermost first."""
    if isinstance(value, dict):
        visit(value)
        for item in list(value.values()):
            walk(item, visit)
    elif isinstance(value, list):
        for item in value:
            walk(item, visit)


def strings_in(value, out):
    if isinstance(value, str): out.add(value)
    elif isinstance(value, dict):
        for item in value.values(): strings_in(item, out)
    elif isinstance(value, list):
        for item in value: strings_in(item, out)
    return out


def uris_in(resources):
    """URIs that some client wants in a server's certificate."""
    found = set()
    def visit(part):
        for key in ("match_subject_alt_names", "match_typed_subject_alt_names"):
            for entry in part.get(key, []): found.add(entry.get("matcher", entry).get("exact", ""))

    walk(resources["clusters"], visit)
    return {uri for uri in found if uri.startswith("spiffe://")}


def chains_of(listener):
    return listener.get("filter_chains", []) + [c for c in [listener.get("default_filter_chain")] if c]


def cut(text, most):
    """A duration that is longer than `most` seconds becomes that."""
    return f"{most}s" if isinstance(text, str) and float(text[:-1]) > most else text


class Way:
    """How a client comes to a chain: the address that it dialled, and what it speaks.

    `tls` is None, "ended" (by the proxy) or "through"; `chain` the chain that it means, as rewritten; `tables` its route tables,
    as they were. `generated`: whether requests are made from the tables; `odd`: which odd ones are sent, a pattern.
    `probe`: what is tried with it, where it is to fail. `version`: the one of TLS that the client speaks."""

    def __init__(self, listener, chain, tables, destination=None, tls=None, sni=None, alpn=(), certificate=True, generated=True, odd=None, probe="", version=None):
        self.listener, self.chain, self.tables = listener, chain, tables
        self.destination, self.tls, self.sni, self.alpn, self.certificate = destination, tls, sni, tuple(alpn), certificate
        self.generated, self.odd, self.probe, self.version = generated, odd, probe, version

    def but(self, **changes):
        return Way(**(vars(self) | changes))

    @property
    def is_http(self): return any(f["name"] == HCM for f in self.chain["filters"])

    def kind(self):
        """Ways of one kind to one port can share a connection."""
        how = f"TLS {self.tls} {self.sni} {','.join(self.alpn)}{'' if self.certificate else ' no certificate'}" if self.tls else "plain"
        return how + (f" to {self.destination[0]}:{self.destination[1]}" if self.destination else "")


class Case:
    def __init__(self, name, resources, backends, seen):
        """`seen` holds the listeners of the cases before, with all that they lead to; grows."""
        self.name, self.backends = name, backends
        self.clusters, self.endpoints, self.listeners, self.routes, self.ways = ([] for _ in range(5))
        self.plain = {kind: {r.get("cluster_name") or r["name"]: r for r in resources[kind]} for kind in resources}
        wanted = set()
        for listener in resources["listeners"]:
            closure = self._closure(listener)
            content = json.dumps([{**listener, "name": ""}, *(self.plain[kind][key] for kind, key in closure)], sort_keys=True)
            if content in seen or not self._wanted(listener): continue
            seen.add(content)
            if self.named(listener["name"]) in REFUSED_BY_ENVOY.keys() | NOT_CARRIED_OUT.keys(): continue
            wanted.update(closure)
            self._listener(copy.deepcopy(listener))
        for kind, key in sorted(wanted):
            resource = copy.deepcopy(self.plain[kind][key])
            {"clusters": self._cluster, "endpoints": self._endpoints, "routes": self._table}[kind](resource)

    def named(self, name):
        return f"{self.name}/{name}"

    def _closure(self, listener):
        """(kind, name) of everything that a listener leads to."""
        found = set()
        named = strings_in(listener, set())
        for name in named & self.plain["routes"].keys():
            found.add(("routes", name))
            named |= strings_in(self.plain["routes"][name], set())
        for name in named & self.plain["clusters"].keys():
            found.add(("clusters", name))
            service = self.plain["clusters"][name].get("eds_cluster_config", {}).get("service_name") or name
            if service in self.plain["endpoints"]: found.add(("endpoints", service))
        return sorted(found)

    def _wanted(self, listener):
        return any(f["name"] in (HCM, TCP) for chain in chains_of(listener) for f in chain["filters"])

    def _cluster(self, cluster):
        name = cluster["name"]
        cluster["name"] = self.named(name)
        cluster.pop("alt_stat_name", None)
        eds = cluster.get("eds_cluster_config")
        if eds is not None:
            eds["service_name"] = self.named(eds.get("service_name") or name)
        if "load_assignment" in cluster:
            self._assignment(cluster["load_assignment"], name)
        walk(cluster, lambda part: self._tls(part, self.backends.authority.client))
        self.clusters.append(cluster)

    def _endpoints(self, assignment):
        self._assignment(assignment, assignment["cluster_name"])
        assignment["cluster_name"] = self.named(assignment["cluster_name"])
        self.endpoints.append(assignment)

    def _table(self, table):
        walk(table, self._route_part)
        table["name"] = self.named(table["name"])
        self.routes.append(table)

    def _assignment(self, assignment, cluster):
        for locality in assignment.get("endpoints", []):
            for entry in locality.get("lb_endpoints", []):
                endpoint = entry["endpoint"]
                where = endpoint["address"].get("socket_address")
                if where is None:
                    shown = endpoint["address"].get("pipe", {}).get("path", "")
                else:
                    shown = f"{where.get('address', '')}:{where.get('port_value', 0)}"
                port = self.backends.port(f"{cluster} {shown}")
                endpoint["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def _tls(self, part, certificate):
        """`certificate` gives the files that are shown."""
        context = part.get("common_tls_context")
        if not isinstance(context, dict): return
        authority = self.backends.authority
        if context.pop("tls_certificate_sds_secret_configs", None) or context.pop("tls_certificates", None):
            chain, key = certificate()
            context["tls_certificates"] = [{"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}]
        combined = context.pop("combined_validation_context", {})
        validation = combined.get("default_validation_context", {}) | context.get("validation_context", {})
        if combined or "validation_context" in context or context.pop("validation_context_sds_secret_config", None):
            validation.pop("system_root_certs", None)
            context["validation_context"] = validation | {"trusted_ca": {"filename": str(authority.cert)}}

    def _route_part(self, part):
        for key in ("cluster", "cluster_name"):
            if isinstance(part.get(key), str):
                part[key] = self.named(part[key])
        if isinstance(part.get("weighted_clusters"), dict):
            for entry in part["weighted_clusters"].get("clusters", []):
                entry["name"] = self.named(entry["name"])
        if "fixed_delay" in part: part["fixed_delay"] = cut(part["fixed_delay"], DELAY_MAX)
        for key in ("timeout", "per_try_timeout"):
            if key in part: part[key] = cut(part[key], TIMEOUT_MAX)

    def _port(self, port):
        """A port that a client dials: of an upstream, which connections to what was dialled reach."""
        return port if port in BLACKHOLE_PORTS else self.backends.port(f"dialled|{port} local")

    def _dialled(self, listener):
        """Whether the listener looks at the address that was dialled."""
        def about(chain):
            match = chain.get("filter_chain_match", {})
            if "destination_port" in match or "prefix_ranges" in match: return True
            return any(self.plain["clusters"].get(n, {}).get("type") == "ORIGINAL_DST" for kind, n in self._closure(chain) if kind == "clusters")
        return any(map(about, chains_of(listener)))

    def _listener(self, listener):
        dialled = self._dialled(listener)
        listener["name"] = self.named(listener["name"])
        listener["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
        for key in ("additional_addresses", "bind_to_port", "enable_reuse_port", "use_original_dst", "transparent", "access_log"):
            listener.pop(key, None)
        filters = [f for f in listener.get("listener_filters", []) if f["name"] != "envoy.filters.listener.original_dst"]
        if dialled and not any(f["name"] == PROXY_FILTER["name"] for f in filters): filters = [PROXY_FILTER, *filters]
        listener["listener_filters"] = copy.deepcopy(filters)
        for chain in chains_of(listener): self._ways(listener["name"], chain, dialled)
        self._probes(listener["name"])
        for chain in chains_of(listener):
            match = chain.get("filter_chain_match", {})
            if "destination_port" in match: match["destination_port"] = self._port(match["destination_port"])
            names = match.get("server_names", ["a.example"])
            walk(chain, lambda part: self._tls(part, lambda: self.backends.authority.server(names[0].replace("*", "any"))))
        walk(listener, self._listener_part)
        self.listeners.append(listener)

    def _probes(self, listener):
        """What a listener with TLS is to refuse."""
        own = [way for way in self.ways if way.listener == listener]
        ended = next((way for way in own if way.tls == "ended"), None)
        first = ended or next((way for way in own if way.tls), None)
        if first is None: return
        probes = {"unknown name": {"tls": "through", "sni": "nobody.example"}, "no name": {"tls": "through", "sni": None},
                  "unknown protocol": {"alpn": ["unknown"]}, "plain": {"tls": None}}
        if ended:
            probes["no certificate"] = {"certificate": False}
            probes |= {f"only {version}": {"version": version} for version in ("TLSv1_2", "TLSv1_3")}
            probes |= {f"only {version}, another name": {"version": version, "sni": "nobody.example"} for version in ("TLSv1_2", "TLSv1_3")}
        for what, changes in probes.items(): self.ways.append(first.but(**changes, generated=False, probe=what))

    def _listener_part(self, part):
        self._route_part(part)
        rds = part.get("rds")
        if isinstance(rds, dict): rds["route_config_name"] = self.named(rds["route_config_name"])
        if part.get("access_log"): part["access_log"] = logs.logger(self.backends.access_log)
        ports = part.get("destination_port_range")
        if isinstance(ports, dict) and ports.get("end") == ports.get("start", 0) + 1:
            start = self._port(ports.get("start", 0))
            part["destination_port_range"] = {"start": start, "end": start + 1}

    def _ways(self, listener, chain, dialled):
        match = chain.get("filter_chain_match", {})
        tables = []
        for handler in chain["filters"]:
            config = handler.get("typed_config", {})
            # How long Envoy waits for the client to close before it does.
            if handler["name"] == HCM: config["delayed_close_timeout"] = "0.02s"
            if "route_config" in config: tables.append(copy.deepcopy(config["route_config"]))
            elif "rds" in config: tables.append(self.plain["routes"].get(config["rds"]["route_config_name"], {}))
        destination = None
        if dialled:
            host = "127.0.0.1"
            if match.get("prefix_ranges"): host = str(ipaddress.ip_address(match["prefix_ranges"][0]["address_prefix"]))
            destination = (host, self._port(match.get("destination_port", 1)))
        add = lambda **more: self.ways.append(Way(listener, chain, tables, destination, **more))
        protocols = match.get("application_protocols", [])
        names = [n.replace("*", "any", 1) for n in match.get("server_names", [])]
        if "transport_socket" in chain and not match.get("transport_protocol") == "raw_buffer":
            offers = [protocols] if protocols else [["http/1.1"], ["h2", "http/1.1"], []]
            if any(p.startswith("istio-") for p in protocols): offers = [["istio-http/1.1", "http/1.1"], ["istio-h2", "istio", "h2"]]
            for name in names or ["any.example"]:
                for offer in offers: add(tls="ended", sni=name, alpn=offer)
        elif match.get("transport_protocol") == "tls" or names:
            for name in names or ["any.example"]: add(tls="through", sni=name, alpn=protocols)
        else:
            plain_catch_all = listener.endswith("virtualInbound") and "destination_port" not in match
            add(odd="" if listener in ODD_LISTENERS and not plain_catch_all and any(f["name"] == HCM for f in chain["filters"]) else None)
