"""What both data planes say of the same requests in their access logs."""
import pathlib
import re
import time

FIELDS = ["%RESPONSE_CODE%", "%RESPONSE_FLAGS%", "%RESPONSE_CODE_DETAILS%", "%UPSTREAM_CLUSTER_RAW%", "%ROUTE_NAME%", "%PROTOCOL%",
          "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "%BYTES_RECEIVED%", "%BYTES_SENT%", "%REQUESTED_SERVER_NAME%", "%GRPC_STATUS%",
          "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "%REQ(:AUTHORITY)%", "%REQ(:PATH)%"]
WAIT_SECONDS_MAX = 5      # for what is written now and then


def logger(path):
    return [{"name": "envoy.access_loggers.file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": str(path),
        "log_format": {"text_format_source": {"inline_string": "\t".join(["%REQ(X-TEST-ID)%", *FIELDS]) + "\n"}}}}]


def read(path):
    """Fields by x-test-id; None for an id that is written twice."""
    found = {}
    for line in pathlib.Path(path).read_text("latin-1").split("\n"):
        test_id, *fields = line.split("\t")
        if len(fields) == len(FIELDS) and test_id != "-": found[test_id] = None if test_id in found else fields
    return found


def differences(envoy_path, our_path, ids):
    """(id without its side, lines) for each of the ids that both have written of."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        envoy, ours = read(envoy_path), read(our_path)
        both = [i for i in ids if envoy.get("e" + i) and ours.get("l" + i)]
        if len(both) == len(ids) or time.monotonic() > deadline: break
        time.sleep(0.2)
    for test_id in both:
        lines = [f"log {re.sub('[%]', '', name)}: Envoy {a!r} ours {b!r}" for name, a, b in zip(FIELDS, envoy["e" + test_id], ours["l" + test_id])
                 if a != b]
        if lines: yield test_id, lines
