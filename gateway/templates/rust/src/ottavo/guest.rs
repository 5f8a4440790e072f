//! The sidecar as a guest of proxy-wasm reaches it, and the callbacks by which requests come.

use super::{Error, Request, Response};

#[rustfmt::skip]
#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_log(level: u32, text: *const u8, length: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, place: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, most: usize, place: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_send_local_response(status: u32, details: *const u8, details_length: usize, body: *const u8,
        body_length: usize, headers: *const u8, headers_length: usize, grpc_status: i32) -> u32;
    fn proxy_get_state(store: *const u8, store_length: usize, key: *const u8, key_length: usize,
        place: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_set_state(store: *const u8, store_length: usize, key: *const u8, key_length: usize,
        value: *const u8, value_length: usize) -> u32;
    fn proxy_delete_state(store: *const u8, store_length: usize, key: *const u8, key_length: usize) -> u32;
    fn proxy_publish_event(pubsub: *const u8, pubsub_length: usize, topic: *const u8, topic_length: usize,
        data: *const u8, data_length: usize, kind: *const u8, kind_length: usize,
        metadata: *const u8, metadata_length: usize) -> u32;
    fn proxy_get_secret(store: *const u8, store_length: usize, name: *const u8, name_length: usize,
        place: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_invoke_service(id: *const u8, id_length: usize, method: *const u8, method_length: usize,
        body: *const u8, body_length: usize, place: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_invoke_binding(name: *const u8, name_length: usize, operation: *const u8, operation_length: usize,
        data: *const u8, data_length: usize, metadata: *const u8, metadata_length: usize,
        place: *mut *mut u8, length: *mut usize) -> u32;
}

pub fn get_state(store: &str, key: &str) -> Result<Vec<u8>, Error> {
    taken("get_state", |place, length| unsafe {
        proxy_get_state(
            store.as_ptr(),
            store.len(),
            key.as_ptr(),
            key.len(),
            place,
            length,
        )
    })
}

pub fn set_state(store: &str, key: &str, value: &[u8]) -> Result<(), Error> {
    let (value, length) = (value.as_ptr(), value.len());
    done("set_state", unsafe {
        proxy_set_state(
            store.as_ptr(),
            store.len(),
            key.as_ptr(),
            key.len(),
            value,
            length,
        )
    })
}

pub fn delete_state(store: &str, key: &str) -> Result<(), Error> {
    done("delete_state", unsafe {
        proxy_delete_state(store.as_ptr(), store.len(), key.as_ptr(), key.len())
    })
}

#[rustfmt::skip]
pub fn publish(pubsub: &str, topic: &str, data: &[u8], content_type: &str) -> Result<(), Error> {
    done("publish", unsafe {
        proxy_publish_event(pubsub.as_ptr(), pubsub.len(), topic.as_ptr(), topic.len(), data.as_ptr(), data.len(),
            content_type.as_ptr(), content_type.len(), [].as_ptr(), 0)
    })
}

pub fn get_secret(store: &str, name: &str) -> Result<String, Error> {
    let pairs = taken("get_secret", |place, length| unsafe {
        proxy_get_secret(
            store.as_ptr(),
            store.len(),
            name.as_ptr(),
            name.len(),
            place,
            length,
        )
    })?;
    Ok(decode(&pairs)
        .into_iter()
        .next()
        .map(|(_, value)| value)
        .unwrap_or_default())
}

#[rustfmt::skip]
pub fn invoke(id: &str, method: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    taken("invoke", |place, length| unsafe {
        proxy_invoke_service(id.as_ptr(), id.len(), method.as_ptr(), method.len(), body.as_ptr(), body.len(),
            place, length)
    })
}

#[rustfmt::skip]
pub fn bind(name: &str, operation: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
    taken("bind", |place, length| unsafe {
        proxy_invoke_binding(name.as_ptr(), name.len(), operation.as_ptr(), operation.len(),
            data.as_ptr(), data.len(), [].as_ptr(), 0, place, length)
    })
}

pub fn log(level: u32, text: &str) {
    unsafe { proxy_log(level, text.as_ptr(), text.len()) };
}

fn done(call: &'static str, status: u32) -> Result<(), Error> {
    match status {
        0 => Ok(()),
        status => Err(Error { call, status }),
    }
}

/// What a host function gives back, in memory that `proxy_on_memory_allocate` has given it.
fn taken(
    call: &'static str,
    ask: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Vec<u8>, Error> {
    let (mut place, mut length) = (std::ptr::null_mut(), 0);
    done(call, ask(&mut place, &mut length))?;
    if place.is_null() {
        return Ok(Vec::new());
    }
    Ok(unsafe { Box::from_raw(std::slice::from_raw_parts_mut(place, length)) }.into_vec())
}

/// Lists of pairs: how many, both lengths of each, then each text with a NUL behind it.
fn decode(bytes: &[u8]) -> Vec<(String, String)> {
    let word = |at: usize| {
        bytes.get(at..at + 4).map_or(0, |word| {
            u32::from_le_bytes([word[0], word[1], word[2], word[3]])
        }) as usize
    };
    let count = word(0);
    let mut at = 4 + 8 * count;
    let mut text = |length: usize| {
        let text =
            String::from_utf8_lossy(bytes.get(at..at + length).unwrap_or_default()).into_owned();
        at += length + 1;
        text
    };
    (0..count)
        .map(|number| (text(word(4 + 8 * number)), text(word(8 + 8 * number))))
        .collect()
}

fn encode(pairs: &[(String, String)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (key, value) in pairs {
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Reads the whole request, asks the function, and answers.
fn answer() -> u32 {
    let pairs = taken("headers", |place, length| unsafe {
        proxy_get_header_map_pairs(0, place, length)
    });
    let body = taken("body", |place, length| unsafe {
        proxy_get_buffer_bytes(0, 0, usize::MAX, place, length)
    });
    let mut request = Request {
        body: body.unwrap_or_default(),
        ..Request::default()
    };
    for (name, value) in decode(&pairs.unwrap_or_default()) {
        match name.as_str() {
            ":method" => request.method = value,
            ":path" => request.path = value,
            _ if name.starts_with(':') => {}
            _ => request.headers.push((name, value)),
        }
    }
    let response = crate::handle(&request).unwrap_or_else(|error| {
        log(4, &error.to_string());
        Response::text(500, format!("{error}\n"))
    });
    let (body, headers) = (response.body, encode(&response.headers));
    #[rustfmt::skip]
    unsafe {
        proxy_send_local_response(response.status.into(), [].as_ptr(), 0, body.as_ptr(), body.len(),
            headers.as_ptr(), headers.len(), -1)
    };
    PAUSE
}

const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[no_mangle]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; size].into_boxed_slice()) as *mut u8
}

// The function answers when the whole request is there: with its headers, its body, or its trailers.

#[no_mangle]
pub extern "C" fn proxy_on_request_headers(_context: u32, _count: u32, is_end: u32) -> u32 {
    match is_end {
        0 => CONTINUE,
        _ => answer(),
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_request_body(_context: u32, _size: usize, is_end: u32) -> u32 {
    match is_end {
        0 => CONTINUE,
        _ => answer(),
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_request_trailers(_context: u32, _count: u32) -> u32 {
    answer()
}
