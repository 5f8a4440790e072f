//! What comes back from outside, as callbacks.

use super::abi::{Call, Event, ROOT};
use super::host::GrpcEvent;
use super::instance::Instance;
use super::stream::Window;
use crate::error::Result;

/// Tells the guest about an event; one of a call that it gave up is dropped.
///
/// The callback is the root context's: the SDKs look the call up and choose the context that it belongs to.
pub(super) async fn deliver(instance: &mut Instance, event: Event) -> Result<()> {
    match event {
        Event::Http { call, reply } => {
            if !matches!(instance.abi().end_call(call), Some(Call::Http)) {
                return Ok(());
            }
            // Counts of nothing mean that there was no answer.
            let reply = reply.unwrap_or_default();
            let counts = (count(reply.headers.len()), count(reply.body.len()), count(reply.trailers.len()));
            let (headers, trailers) = (reply.headers, reply.trailers);
            let window = Window::HttpReply { headers, body: reply.body.into(), trailers };
            let parameters = (ROOT, call, counts.0, counts.1, counts.2);
            within(instance, window, "proxy_on_http_call_response", parameters).await
        }
        Event::Grpc { call, event } => {
            if !instance.abi().calls.contains_key(&call) {
                return Ok(());
            }
            grpc(instance, call, event).await
        }
    }
}

async fn grpc(instance: &mut Instance, call: u32, event: GrpcEvent) -> Result<()> {
    match event {
        GrpcEvent::InitialMetadata(pairs) => {
            let parameters = (ROOT, call, count(pairs.len()));
            let window = Window::GrpcMetadata { pairs, is_trailing: false };
            within(instance, window, "proxy_on_grpc_receive_initial_metadata", parameters).await
        }
        GrpcEvent::Message(message) => {
            let parameters = (ROOT, call, count(message.len()));
            within(instance, Window::GrpcMessage(message.into()), "proxy_on_grpc_receive", parameters).await
        }
        GrpcEvent::TrailingMetadata(pairs) => {
            let parameters = (ROOT, call, count(pairs.len()));
            let window = Window::GrpcMetadata { pairs, is_trailing: true };
            within(instance, window, "proxy_on_grpc_receive_trailing_metadata", parameters).await
        }
        GrpcEvent::Close { code, message } => {
            instance.abi().end_call(call);
            within(instance, Window::GrpcClose { code, message }, "proxy_on_grpc_close", (ROOT, call, code)).await
        }
    }
}

async fn within<P>(instance: &mut Instance, window: Window, name: &'static str, parameters: P) -> Result<()>
where
    P: wasmtime::WasmParams + Sync + 'static,
{
    instance.abi().window = window;
    instance.call_in::<P, ()>(ROOT, name, parameters).await?;
    instance.abi().window = Window::None;
    Ok(())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
