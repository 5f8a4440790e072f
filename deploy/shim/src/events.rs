//! Events for containerd, sent in their order by a task of their own.

use std::time::{Duration, SystemTime};

use containerd_shim_protos::protobuf::MessageFull;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::ttrpc::context;
use tokio::sync::{mpsc, oneshot};

/// Names containerd's socket for events.
pub const ADDRESS: &str = "TTRPC_ADDRESS";

/// How often an event is tried: containerd may be restarting.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends events. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::UnboundedSender<Queued>,
    namespace: String,
}

enum Queued {
    Event(Envelope),
    /// Everything before it is sent.
    Mark(oneshot::Sender<()>),
}

impl Events {
    /// Starts the task that sends them; it ends with the last sender.
    pub fn begin(namespace: &str) -> Self {
        let (queue, mut waiting) = mpsc::unbounded_channel::<Queued>();
        let address = std::env::var(ADDRESS).unwrap_or_default();
        let address = if address.contains("://") { address } else { format!("unix://{address}") };
        tokio::spawn(async move {
            let mut client = None;
            while let Some(queued) = waiting.recv().await {
                let envelope = match queued {
                    Queued::Event(envelope) => envelope,
                    Queued::Mark(reached) => {
                        // Who waits may have lost patience.
                        let _ = reached.send(());
                        continue;
                    }
                };
                let mut request = ForwardRequest::new();
                let topic = envelope.topic.clone();
                request.set_envelope(envelope);
                for attempt in 1..=TRIES {
                    match forward(&mut client, &address, &request).await {
                        Ok(()) => break,
                        Err(error) if attempt == TRIES => {
                            crate::log(&format!("containerd does not take {topic}: {error}"))
                        }
                        Err(_) => tokio::time::sleep(PAUSE).await,
                    }
                }
            }
        });
        Self { queue, namespace: namespace.to_owned() }
    }

    /// Queues an event under its topic, such as `/tasks/exit`.
    pub fn publish<M: MessageFull>(&self, topic: &str, event: &M) {
        let Ok(value) = event.write_to_bytes() else { return };
        let mut envelope = Envelope::new();
        envelope.set_topic(topic.to_owned());
        envelope.set_namespace(self.namespace.clone());
        envelope.set_timestamp(SystemTime::now().into());
        envelope.set_event(packed::<M>(value));
        // The task that sends them outlives its senders.
        let _ = self.queue.send(Queued::Event(envelope));
    }

    /// Waits until what was published is sent, or given up.
    pub async fn flush(&self) {
        let (reached, waiting) = oneshot::channel();
        if self.queue.send(Queued::Mark(reached)).is_ok() {
            // An error is the end of the task, which has nothing more to send.
            let _ = waiting.await;
        }
    }
}

/// A message as containerd's `typeurl` names it: without a host.
pub fn packed<M: MessageFull>(value: Vec<u8>) -> Any {
    Any { type_url: M::descriptor().full_name().to_owned(), value, ..Any::default() }
}

async fn forward(client: &mut Option<EventsClient>, address: &str, request: &ForwardRequest) -> Result<(), String> {
    let connected = match client.take() {
        Some(connected) => connected,
        None => {
            let connecting = tokio::time::timeout(PATIENCE, Client::connect(address)).await;
            let connecting = connecting.map_err(|_| "it takes too long".to_owned())?;
            EventsClient::new(connecting.map_err(|error| error.to_string())?)
        }
    };
    connected.forward(context::with_duration(PATIENCE), request).await.map_err(|error| error.to_string())?;
    *client = Some(connected);
    Ok(())
}
