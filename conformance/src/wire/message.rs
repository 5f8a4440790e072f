//! Protobuf messages as a table writes them: field numbers and values, without names.

use serde_json::Value;

use super::text;

/// The encoding of `{1: "text", 2: 5, 3: {..}, 4: [..]}`: a text is bytes, a number or truth a varint, a mapping a
/// message, a list a field that is there several times.
///
/// # Errors
///
/// A key that is no field number, or a value that has no encoding.
pub fn encode(message: &Value) -> Result<Vec<u8>, String> {
    let Value::Object(fields) = message else { return Err(format!("{message} is no mapping of field numbers")) };
    let mut out = Vec::new();
    for (number, value) in fields {
        let number: u32 = number.parse().map_err(|_| format!("{number} is no field number"))?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| field(number, item, &mut out))?,
            one => field(number, one, &mut out)?,
        }
    }
    Ok(out)
}

fn field(number: u32, value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let whole = match value {
        Value::String(text) => return delimited(number, &text::bytes(text)?, out),
        Value::Object(_) => return delimited(number, &encode(value)?, out),
        Value::Bool(truth) => u64::from(*truth),
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_i64().map(i64::cast_unsigned))
            .ok_or_else(|| format!("{number} is not whole"))?,
        other => return Err(format!("{other} has no encoding")),
    };
    varint(u64::from(number) << 3, out);
    varint(whole, out);
    Ok(())
}

fn delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    varint(u64::from(number) << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
    Ok(())
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A message behind gRPC's five bytes.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend((message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto_dapr::runtime::GetStateRequest;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_those_of_the_generated_code() {
        let wanted = GetStateRequest {
            store_name: "mem".into(),
            key: "k".into(),
            consistency: 2,
            metadata: [("a".to_owned(), "b".to_owned())].into(),
        };
        let bytes = encode(&json!({"1": "mem", "2": "k", "3": 2, "4": [{"1": "a", "2": "b"}]})).unwrap();
        assert_eq!(GetStateRequest::decode(bytes.as_slice()).unwrap(), wanted);
        assert_eq!(framed(&bytes)[..5], [0, 0, 0, 0, bytes.len() as u8]);
    }
}
