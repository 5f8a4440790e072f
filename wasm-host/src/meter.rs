//! What a guest has used of its limits.

use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::error::Error;
use crate::settings::{Limits, Settings};
use crate::turns::{Own, Turns};

/// Tables that one guest may have.
const TABLES: usize = 16;

/// Ticks in which a call is a short one: it only gives way. A longer one waits for its turn among all long ones, so that
/// other work of the thread waits for one of them at a time, however many there are.
const SHORT: u64 = 3;

/// Instances and memories of one component: of its own modules, and of those that it is composed of.
const PARTS: usize = 64;
const MEMORIES: usize = 8;

/// Counts for one guest; asked by the engine whenever the guest wants more.
pub struct Meter {
    limits: Limits,
    /// Ticks that the present call may still compute.
    ticks_left: u64,
    ticks_per_call: u64,
    turns: Turns,
    turn: Own,
    /// The memory that was refused during the present call.
    refused: Option<usize>,
    /// Bytes of all memories.
    held: usize,
    instances: usize,
    memories: usize,
}

impl Meter {
    pub fn new(limits: Limits, settings: &Settings, turns: &Turns) -> Self {
        let ticks = limits.time.as_nanos().div_ceil(settings.tick.as_nanos().max(1));
        // The first tick may come right at the beginning.
        let ticks_per_call = u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1);
        Self {
            limits,
            ticks_left: ticks_per_call,
            ticks_per_call,
            turns: turns.clone(),
            turn: Own::default(),
            refused: None,
            held: 0,
            instances: 1,
            memories: 1,
        }
    }

    /// A component has several instances, and may have several memories, which share the limit.
    pub fn of_component(limits: Limits, settings: &Settings, turns: &Turns) -> Self {
        Self { instances: PARTS, memories: MEMORIES, ..Self::new(limits, settings, turns) }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A call begins.
    pub fn begin(&mut self) {
        self.ticks_left = self.ticks_per_call;
        self.refused = None;
    }

    /// The memory that the present call was refused.
    pub fn refused(&self) -> Option<usize> {
        self.refused
    }

    /// A tick went by while the guest computed: it gives way to other work of its thread, or is stopped.
    pub fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        match self.ticks_left.checked_sub(1) {
            Some(left) => self.ticks_left = left,
            None => {
                return Err(Error::OutOfTime { guest: String::new(), limit: self.limits.time }.into());
            }
        }
        let is_long = self.ticks_per_call - self.ticks_left > SHORT;
        let (turns, own) = (self.turns.clone(), self.turn.clone());
        if let Some(turn) = own.take() {
            turns.give_back(turn);
        }
        let pause = async move {
            if is_long {
                own.put(turns.next().await);
            }
            // tokio's own yield, which lets the runtime see to its sockets first; a bare wake-up would not. It is the
            // last thing, so that between two guests that compute everybody else has a turn.
            tokio::task::yield_now().await;
        };
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(pause)))
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // A module's own maximum is its own affair: it expects that failure.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.held.saturating_sub(current).saturating_add(desired);
        if wanted > self.limits.memory {
            self.refused = Some(wanted);
            return Ok(false);
        }
        self.held = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.limits.table_elements)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> Settings {
        Settings { tick: Duration::from_millis(1), ..Settings::default() }
    }

    #[test]
    fn time_is_counted_anew_in_each_call() {
        let limits = Limits { time: Duration::from_millis(2), ..Limits::default() };
        let mut meter = Meter::new(limits, &settings(), &Turns::default());
        for _ in 0..2 {
            meter.begin();
            for _ in 0..3 {
                assert!(meter.tick().is_ok());
            }
            let error = meter.tick().err().unwrap();
            assert!(matches!(error.downcast_ref(), Some(Error::OutOfTime { .. })));
        }
    }

    #[test]
    fn memory_beyond_the_limit_is_refused_and_remembered() {
        let mut meter = Meter::new(Limits { memory: 1 << 20, ..Limits::default() }, &settings(), &Turns::default());
        assert!(meter.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!meter.memory_growing(1 << 20, 2 << 20, Some(1 << 20)).unwrap());
        assert_eq!(meter.refused(), None, "the module's own maximum is no limit of ours");
        assert!(!meter.memory_growing(1 << 20, 2 << 20, None).unwrap());
        assert_eq!(meter.refused(), Some(2 << 20));
    }

    #[test]
    fn the_memories_of_a_component_share_the_limit() {
        let limits = Limits { memory: 3 << 20, ..Limits::default() };
        let mut meter = Meter::of_component(limits, &settings(), &Turns::default());
        assert!(meter.memory_growing(0, 1 << 20, None).unwrap());
        assert!(meter.memory_growing(0, 1 << 20, None).unwrap());
        assert!(meter.memory_growing(1 << 20, 2 << 20, None).unwrap());
        assert!(!meter.memory_growing(1 << 20, 2 << 20, None).unwrap());
        assert_eq!(meter.refused(), Some(4 << 20));
    }
}
