//! What runs functions without a request: subscriptions and schedules, which begin and end with their function.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::slot::Slot;
use super::{Changing, Functions, SCOPE, schedule, topic};
use crate::inbound::{Attached, Inbound};

/// What runs for one function.
#[derive(Default)]
pub(super) struct Running {
    subscriptions: Vec<Attached>,
    schedules: Vec<AbortHandle>,
}

impl Functions {
    /// Begins to take messages from `inbound` and to follow schedules.
    pub async fn begin(&self, inbound: Inbound) {
        let mut changing = self.0.changing.lock().await;
        changing.inbound = Some(inbound);
        let slots: Vec<_> = changing.slots.values().cloned().collect();
        for slot in slots {
            self.trigger(&mut changing, &slot).await;
        }
    }

    /// Stops what [`Functions::begin`] has begun; what is under way is settled first.
    pub async fn pause(&self) {
        let mut changing = self.0.changing.lock().await;
        changing.inbound = None;
        let names: Vec<String> = changing.running.keys().cloned().collect();
        for name in names {
            self.untrigger(&mut changing, &name).await;
        }
    }

    /// Starts a function's triggers, in the place of those of its earlier form.
    pub(super) async fn trigger(&self, changing: &mut Changing, slot: &Arc<Slot>) {
        let name = slot.name().to_owned();
        self.untrigger(changing, &name).await;
        let Some(inbound) = changing.inbound.clone() else { return };
        let mut running = Running::default();
        let triggers = &slot.manifest().triggers;
        for trigger in &triggers.topics {
            match topic::subscription(trigger) {
                Ok(subscription) => {
                    let deliver = topic::ToFunction { inner: self.downgrade(), name: name.clone() };
                    running.subscriptions.push(inbound.attach(subscription, Arc::new(deliver)));
                }
                Err(error) => {
                    let topic = &trigger.topic;
                    tracing::error!(target: SCOPE, "Function {name} does not get the topic '{topic}': {error}");
                }
            }
        }
        for (text, times) in &triggers.schedules {
            let task = tokio::spawn(schedule::run(self.downgrade(), name.clone(), text.clone(), times.clone()));
            running.schedules.push(task.abort_handle());
        }
        changing.running.insert(name, running);
    }

    pub(super) async fn untrigger(&self, changing: &mut Changing, name: &str) {
        let Some(Running { subscriptions, schedules }) = changing.running.remove(name) else { return };
        for schedule in schedules {
            schedule.abort();
        }
        for subscription in subscriptions {
            subscription.close().await;
        }
    }
}
