#!/usr/bin/env python3
"""Writes a FileDescriptorSet with every message of Envoy's v3 API, read from the PyPI package xds-protos.

usage: all_types.py OUT.bin     (run by a virtual environment that has xds-protos installed)
What descriptors.py picks is compiled in; these are the rest of Envoy's extensions, for patches that users write.
"""
import importlib
import pathlib
import re
import sys

import envoy
from google.protobuf import descriptor_pb2

ROOTS = ["envoy", "udpa", "xds"]
WELL_KNOWN = ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"]
# Fields of Envoy 1.40's API that are younger than the package: file, message, field, number, type.
YOUNGER = [("envoy/config/cluster/v3/circuit_breaker.proto", "CircuitBreakers.Thresholds.RetryBudget", "budget_interval", 3,
            ".google.protobuf.Duration")]
OLD = re.compile(r"/v2(alpha\d*)?/|envoy/api/")
seen = set()
result = descriptor_pb2.FileDescriptorSet()


def add(file_descriptor):
    if file_descriptor.name in seen:
        return
    seen.add(file_descriptor.name)
    for dependency in file_descriptor.dependencies:
        add(dependency)
    file_descriptor.CopyToProto(result.file.add())
    for file, message, name, number, type_name in YOUNGER:
        if file == file_descriptor.name:
            add_field(result.file[-1], message.split("."), name, number, type_name)


def add_field(file, path, name, number, type_name):
    message = next(m for m in file.message_type if m.name == path[0])
    for step in path[1:]:
        message = next(m for m in message.nested_type if m.name == step)
    if any(field.number == number for field in message.field):
        return  # a newer package has it
    duration = "google/protobuf/duration.proto"
    if duration not in file.dependency:
        file.dependency.append(duration)
    message.field.add(name=name, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
                      type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, type_name=type_name)


def main():
    site = pathlib.Path(list(envoy.__path__)[0]).parent
    for root in ROOTS:
        for path in sorted((site / root).rglob("*_pb2.py")):
            if OLD.search(str(path.relative_to(site))):
                continue  # nobody speaks these any more: a patch with one is refused
            add(importlib.import_module(".".join(path.relative_to(site).with_suffix("").parts)).DESCRIPTOR)
    for name in WELL_KNOWN:
        add(importlib.import_module(f"google.protobuf.{name}_pb2").DESCRIPTOR)
    out = pathlib.Path(sys.argv[1])
    out.write_bytes(result.SerializeToString(deterministic=True))
    print(f"{len(result.file)} files, {out.stat().st_size} bytes")


main()
