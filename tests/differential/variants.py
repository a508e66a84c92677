"""Settings that no golden case has: of HTTP connections, each on a copy of one gateway's listener, with the odd requests that they are
about; and of TLS towards upstreams."""
import copy

import logs
import rewrite

LISTENER = "7-gw-http/0.0.0.0_8080"
# (name, what is set, which of inputs.py are sent)
VARIANTS = [
    ("http10", {"http_protocol_options": {"accept_http_10": True}}, r"^(HTTP/1\.0|first line|no host|fields (connection|keep-alive|expect))"),
    ("no-absolute", {"http_protocol_options": {"allow_absolute_url": False}}, r"^path (http|HTTP|ftp)"),
    ("plain-paths", {"normalize_path": False}, r"^path"),
    ("merged-slashes", {"normalize_path": True, "merge_slashes": True}, r"^path"),
    ("reject-slashes", {"path_with_escaped_slashes_action": "REJECT_REQUEST"}, r"^path"),
    ("redirect-slashes", {"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"}, r"^path"),
    ("forward-slashes", {"path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD", "merge_slashes": True}, r"^path"),
    ("strip-port", {"strip_any_host_port": True}, r"^(host|authority|CONNECT)"),
    ("underscores", {"common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"}}, r"^fields (x_under|x-a)"),
    ("trusted-hop", {"xff_num_trusted_hops": 1}, r"^fields (x-forwarded|x-envoy-e|forwarded)"),
    ("keep-ids", {"preserve_external_request_id": True}, r"^fields (x-request-id|x-client)"),
    ("no-remote-address", {"use_remote_address": False}, r"^fields (x-forwarded|x-envoy|connection)|^path https"),
    ("no-100", {"proxy_100_continue": False}, r"^(body expect|fields expect)"),
    ("connect", {"upgrade_configs": [{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}]}, r"^(CONNECT|extended)"),
    ("small-heads", {"max_request_headers_kb": 4}, r"^(fields x-long|path /x+)"),
]


# A cluster with TLS, and the settings of UpstreamTlsContext that are changed of it, each for a listener of its own.
TLS_CASE = "6-dr-tls-mutual"
TLS_CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"
OWN_NAME = "spiffe://cluster.local/ns/default/sa/default"     # in every upstream's certificate


def validated(**more):
    return lambda context: context["common_tls_context"]["validation_context"].update(more)


def exact(kind, name): return {"match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": name}}]}


TLS_VARIANTS = [
    ("sni", lambda context: context.update(sni="other.example")),
    ("right-uri", validated(**exact("URI", OWN_NAME))),
    ("wrong-uri", validated(**exact("URI", "spiffe://cluster.local/ns/default/sa/stranger"))),
    ("right-name", lambda context: (context.update(sni="a.example"), validated(**exact("DNS", "a.example"))(context))),
    ("wrong-name", lambda context: (context.update(sni="a.example"), validated(**exact("DNS", "b.example"))(context))),
    ("wrong-hash", validated(verify_certificate_hash=["00" * 32])),
    ("no-certificate", lambda context: context["common_tls_context"].pop("tls_certificates", None)),
    ("no-trust", lambda context: context["common_tls_context"].pop("validation_context", None)),
    ("any-trust", validated(trust_chain_verification="ACCEPT_UNTRUSTED")),
    ("only-1.2", lambda context: context["common_tls_context"].update(tls_params={"tls_maximum_protocol_version": "TLSv1_2"})),
    ("alpn", lambda context: context["common_tls_context"].update(alpn_protocols=["istio-peer-exchange", "istio"])),
    ("no-alpn-in-common", lambda context: context["common_tls_context"].update(alpn_protocols=["nothing"])),
]


def add_tls(case):
    """Listeners whose one route leads to a variant of the cluster."""
    cluster = next((c for c in case.clusters if c["name"] == case.named(TLS_CLUSTER)), None)
    way = next((w for w in case.ways if w.listener == case.named("0.0.0.0_9080") and w.is_http and w.tls is None), None)
    if case.name != TLS_CASE or cluster is None or way is None: return
    service = cluster["eds_cluster_config"]["service_name"]
    for name, change in TLS_VARIANTS:
        changed = copy.deepcopy(cluster)
        changed["name"] = f"{cluster['name']}~{name}"
        changed["eds_cluster_config"]["service_name"] = service
        change(changed["transport_socket"]["typed_config"])
        case.clusters.append(changed)
        table = {"name": "one", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": changed["name"]}}]}]}
        manager = {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                   "stat_prefix": name, "proxy_100_continue": True, "route_config": table, "access_log": logs.logger(case.backends.access_log),
                   "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                       "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}
        listener = {"name": case.named(f"upstream~{name}"), "traffic_direction": "OUTBOUND",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                    "filter_chains": [{"filters": [{"name": rewrite.HCM, "typed_config": manager}]}]}
        case.listeners.append(listener)
        case.ways.append(way.but(listener=listener["name"], chain=listener["filter_chains"][0], tables=[table], destination=None,
                                 generated=False, odd=r"^(path /a/\./b|host (127\.0\.0\.1|\{host\}:9080)|authority \{host\}:9080)$"))


def add(case):
    """To the case that has the listener."""
    add_tls(case)
    listener = next((l for l in case.listeners if l["name"] == LISTENER), None)
    if listener is None: return
    way = next(w for w in case.ways if w.listener == LISTENER)
    for name, changes, labels in VARIANTS:
        changed = copy.deepcopy(listener)
        changed["name"] = f"{LISTENER}~{name}"
        for chain in rewrite.chains_of(changed):
            for handler in chain["filters"]:
                if handler["name"] == rewrite.HCM: handler["typed_config"] |= copy.deepcopy(changes)
        case.listeners.append(changed)
        case.ways.append(way.but(listener=changed["name"], odd=labels, generated=False))
