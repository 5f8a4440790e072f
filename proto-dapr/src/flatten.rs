//! Descriptors as flat, sorted lines, so that definitions of different origin can be compared.
//!
//! | line | for each |
//! |---|---|
//! | `message NAME` | message |
//! | `field MESSAGE.NAME NUMBER LABEL TYPE ONEOF JSON_NAME` | field |
//! | `enum ENUM.VALUE NUMBER` | enum value |
//! | `rpc SERVICE/METHOD [stream ]INPUT -> [stream ]OUTPUT` | method |
//!
//! All names are full names without a leading dot. LABEL is `singular`, `optional` (explicit presence), `repeated`
//! or `map`; the TYPE of a map is `KEY,VALUE`, and the entry message behind it gets no lines. ONEOF is `-` outside
//! one. Package `google.protobuf` is left out.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
};

/// The sorted lines of all messages, enums and services in `set`.
///
/// Expects what a compiler emits: resolved type names and filled JSON names.
pub fn lines(set: &FileDescriptorSet) -> Vec<String> {
    let mut lines = Vec::new();
    for file in set.file.iter().filter(|file| file.package() != "google.protobuf") {
        for message in &file.message_type {
            flatten_message(file.package(), message, &mut lines);
        }
        for item in &file.enum_type {
            flatten_enum(file.package(), item, &mut lines);
        }
        for service in &file.service {
            let name = join(file.package(), service.name());
            lines.extend(service.method.iter().map(|method| method_line(&name, method)));
        }
    }
    lines.sort();
    lines
}

fn flatten_message(scope: &str, message: &DescriptorProto, lines: &mut Vec<String>) {
    let name = join(scope, message.name());
    lines.push(format!("message {name}"));
    lines.extend(message.field.iter().map(|field| field_line(&name, message, field)));
    for item in &message.enum_type {
        flatten_enum(&name, item, lines);
    }
    for nested in message.nested_type.iter().filter(|nested| !is_map_entry(nested)) {
        flatten_message(&name, nested, lines);
    }
}

fn flatten_enum(scope: &str, item: &EnumDescriptorProto, lines: &mut Vec<String>) {
    let name = join(scope, item.name());
    lines.extend(item.value.iter().map(|value| format!("enum {name}.{} {}", value.name(), value.number())));
}

fn field_line(message_name: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let (label, kind) = match map_entry(message_name, message, field) {
        Some(entry) => ("map", entry.field.iter().map(type_of).collect::<Vec<_>>().join(",")),
        None if field.label() == Label::Repeated => ("repeated", type_of(field)),
        None if field.proto3_optional() => ("optional", type_of(field)),
        None => ("singular", type_of(field)),
    };
    // The compiler wraps an explicitly optional field in a oneof of its own; nothing on the wire shows it.
    let oneof = match field.oneof_index {
        Some(index) if !field.proto3_optional() => usize::try_from(index)
            .ok()
            .and_then(|index| message.oneof_decl.get(index))
            .map_or("-", |oneof| oneof.name()),
        _ => "-",
    };
    let name = field.name();
    format!("field {message_name}.{name} {} {label} {kind} {oneof} {}", field.number(), field.json_name())
}

/// The entry message of a map field, whose two fields are the key and the value.
fn map_entry<'a>(
    message_name: &str,
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let local = field.type_name().strip_prefix('.')?.strip_prefix(message_name)?.strip_prefix('.')?;
    message.nested_type.iter().find(|nested| nested.name() == local && is_map_entry(nested))
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

fn type_of(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum | Type::Group => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_ascii_lowercase(),
    }
}

fn method_line(service: &str, method: &MethodDescriptorProto) -> String {
    let side = |streaming: bool, name: &str| {
        format!("{}{}", if streaming { "stream " } else { "" }, name.trim_start_matches('.'))
    };
    let input = side(method.client_streaming(), method.input_type());
    let output = side(method.server_streaming(), method.output_type());
    format!("rpc {service}/{} {input} -> {output}", method.name())
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn shapes_of_fields_and_methods_show() -> Result<(), prost::DecodeError> {
        let lines = lines(&FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET)?);
        for expected in [
            "enum dapr.proto.common.v1.StateOptions.StateConcurrency.CONCURRENCY_LAST_WRITE 2",
            "field HistoryEvent.executionStarted 3 singular ExecutionStartedEvent eventType executionStarted",
            "field dapr.proto.common.v1.StateItem.metadata 4 map string,string - metadata",
            "field dapr.proto.runtime.v1.GetMetadataResponse.active_actors_count 2 repeated dapr.proto.runtime.v1.ActiveActorsCount - actors",
            "field dapr.proto.runtime.v1.Job.data 6 optional google.protobuf.Any - data",
            "message dapr.proto.runtime.v1.ShutdownRequest",
            "rpc TaskHubSidecarService/GetWorkItems GetWorkItemsRequest -> stream WorkItem",
        ] {
            assert!(lines.iter().any(|line| line == expected), "no line {expected:?}");
        }
        assert!(lines.is_sorted());
        assert!(
            !lines.iter().any(|line| line.contains("MetadataEntry") || line.starts_with("message google.protobuf"))
        );
        Ok(())
    }
}
