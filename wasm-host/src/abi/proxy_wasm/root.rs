//! A guest without a stream: ticks and queues.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::abi::ROOT;
use super::events::deliver;
use super::instance::Instance;
use crate::error::Result;

/// Until the guest fails, or waits for nothing.
pub(super) async fn run(mut instance: Instance) -> Result<()> {
    let notify = instance.abi().queue_notify.clone();
    loop {
        queues(&mut instance).await?;
        let abi = instance.abi();
        let period = abi.tick;
        if period == 0 && abi.queues.is_empty() && abi.calls.is_empty() {
            return Ok(());
        }
        let mut ticks = interval_at(Instant::now() + milliseconds(period), milliseconds(period));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The guest may choose another period at any time; the clock then begins anew.
        while instance.abi().tick == period {
            tokio::select! {
                _ = ticks.tick(), if period > 0 => {
                    instance.call_in::<_, ()>(ROOT, "proxy_on_tick", (ROOT,)).await?;
                }
                () = notify.notified() => queues(&mut instance).await?,
                Some(event) = instance.events.recv() => deliver(&mut instance, event).await?,
            }
        }
    }
}

fn milliseconds(period: u32) -> Duration {
    Duration::from_millis(period.max(1).into())
}

/// Tells the guest about each of its queues that holds messages, as long as it takes some.
async fn queues(instance: &mut Instance) -> Result<()> {
    let abi = instance.abi();
    let (services, queues) = (abi.settings.services.clone(), abi.queues.clone());
    for queue in services.ready(&queues) {
        instance.call_in::<_, ()>(ROOT, "proxy_on_queue_ready", (ROOT, queue)).await?;
    }
    // The guest takes one message a call; what is left waits for another turn.
    let abi = instance.abi();
    if !services.ready(&abi.queues).is_empty() {
        abi.queue_notify.notify_one();
    }
    Ok(())
}
