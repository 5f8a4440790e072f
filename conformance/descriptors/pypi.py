"""Flattens the descriptors of the Python package dapr; ../../proto-dapr/src/flatten.rs describes the lines.

Usage: python pypi.py, with an interpreter that has the package installed.
"""

import importlib
import pkgutil

from google.protobuf.descriptor import FieldDescriptor

PACKAGES = ("dapr.proto.common.v1", "dapr.proto.runtime.v1", "dapr.ext.workflow._durabletask.internal")

TYPES = {
    value: name.removeprefix("TYPE_").lower() for name, value in vars(FieldDescriptor).items() if name.startswith("TYPE_")
}


def type_of(field):
    if field.message_type is not None:
        return field.message_type.full_name
    if field.enum_type is not None:
        return field.enum_type.full_name
    return TYPES[field.type]


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def flatten_field(field):
    oneof = field.containing_oneof
    # The compiler wraps an explicitly optional field in a oneof of its own, named after the field.
    explicit = oneof is not None and oneof.name == f"_{field.name}" and len(oneof.fields) == 1
    kind = type_of(field)
    if is_map(field):
        entry = field.message_type.fields_by_name
        label, kind = "map", f"{type_of(entry['key'])},{type_of(entry['value'])}"
    elif field.is_repeated:
        label = "repeated"
    else:
        label = "optional" if explicit else "singular"
    group = oneof.name if oneof is not None and not explicit else "-"
    return f"field {field.full_name} {field.number} {label} {kind} {group} {field.json_name}"


def flatten_enum(enum):
    return [f"enum {enum.full_name}.{value.name} {value.number}" for value in enum.values]


def flatten_message(message):
    lines = [f"message {message.full_name}"]
    lines += map(flatten_field, message.fields)
    for enum in message.enum_types:
        lines += flatten_enum(enum)
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:
            lines += flatten_message(nested)
    return lines


def flatten_method(service, method):
    request = ("stream " if method.client_streaming else "") + method.input_type.full_name
    response = ("stream " if method.server_streaming else "") + method.output_type.full_name
    return f"rpc {service.full_name}/{method.name} {request} -> {response}"


def flatten_file(file):
    lines = []
    for message in file.message_types_by_name.values():
        lines += flatten_message(message)
    for enum in file.enum_types_by_name.values():
        lines += flatten_enum(enum)
    for service in file.services_by_name.values():
        lines += [flatten_method(service, method) for method in service.methods]
    return lines


def main():
    lines = []
    for package in PACKAGES:
        folder = importlib.import_module(package).__path__
        for module in pkgutil.iter_modules(folder):
            if module.name.endswith("_pb2"):
                lines += flatten_file(importlib.import_module(f"{package}.{module.name}").DESCRIPTOR)
    print("\n".join(sorted(lines)))


main()
