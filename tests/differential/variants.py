"""Settings of HTTP connections that no golden case has, each on a copy of one gateway's listener, with the odd requests that they
are about."""
import copy

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


def add(case):
    """To the case that has the listener."""
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
