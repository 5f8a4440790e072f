//! `bindings.cron`: events by the clock, in every replica.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Event, EventHandler, InputBinding, Reader};
use crate::component::{Built, InitContext, Spec};
use crate::cron::Schedule;
use crate::task::Task;
use crate::{Error, Metadata, Result};

pub const PROPERTIES: &[&str] = &["schedule"];

/// Reads the schedule.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let text = spec.properties.get(&["schedule"]).unwrap_or_default();
    if text.is_empty() {
        return Err(Error::config("schedule not set"));
    }
    let schedule =
        Schedule::parse(text).map_err(|error| Error::config(format!("invalid schedule format '{text}': {error}")))?;
    Ok(Built::Binding { input: Some(Arc::new(Cron { schedule })), output: None })
}

struct Cron {
    schedule: Schedule,
}

#[async_trait]
impl InputBinding for Cron {
    async fn read(&self, handler: Arc<dyn EventHandler>) -> Result<Box<dyn Reader>> {
        let schedule = self.schedule.clone();
        Ok(Box::new(Running(Task::spawn(|token| run(schedule, handler, token)))))
    }
}

struct Running(Task);

#[async_trait]
impl Reader for Running {
    async fn close(&self) {
        self.0.stop().await;
    }
}

/// Fires until the token is cancelled, then waits for what was fired. A slow handler does not delay the next event.
async fn run(schedule: Schedule, handler: Arc<dyn EventHandler>, token: CancellationToken) {
    let handlers = TaskTracker::new();
    let mut last = Utc::now();
    while let Some(next) = schedule.next(last) {
        // Times that went by while this machine slept are made up for once, not one by one.
        let wait = (next - Utc::now()).to_std().unwrap_or_default();
        tokio::select! {
            () = token.cancelled() => break,
            () = tokio::time::sleep(wait) => (),
        }
        let now = Utc::now();
        let handler = handler.clone();
        handlers.spawn(async move {
            // The application's answer means nothing to a clock; the handler has logged a failure.
            let _ = handler.handle(event(now)).await;
        });
        // The clock may have fired a moment early, or have been set back.
        last = next.max(now);
        if (last - now).num_seconds() > 60 {
            last = now;
        }
    }
    // A schedule without further times stays quiet.
    token.cancelled().await;
    handlers.close();
    handlers.wait().await;
}

fn event(now: DateTime<Utc>) -> Event {
    Event {
        metadata: Metadata::from([
            ("timeZone".to_owned(), "Local".to_owned()),
            // As Go prints a time.
            ("readTimeUTC".to_owned(), now.format("%F %T%.9f +0000 UTC").to_string()),
        ]),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::*;
    use crate::bindings::EventHandler;

    struct Forward(mpsc::UnboundedSender<Event>);

    #[async_trait]
    impl EventHandler for Forward {
        async fn handle(&self, event: Event) -> Result<Option<Bytes>> {
            let _ = self.0.send(event);
            Ok(None)
        }
    }

    #[tokio::test]
    async fn events_come_until_the_reader_closes() {
        let binding = Cron { schedule: Schedule::parse("@every 20ms").unwrap() };
        let (sender, mut events) = mpsc::unbounded_channel();
        let reader = binding.read(Arc::new(Forward(sender))).await.unwrap();
        for _ in 0..3 {
            let event = events.recv().await.unwrap();
            assert!(event.data.is_empty());
            assert_eq!(event.metadata["timeZone"], "Local");
            assert!(event.metadata["readTimeUTC"].ends_with(" +0000 UTC"));
        }
        reader.close().await;
        while events.recv().await.is_some() {}
    }
}
