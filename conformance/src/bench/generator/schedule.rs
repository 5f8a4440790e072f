//! When exchanges begin: as soon as another has ended (closed loop), or at fixed times whatever becomes of those before
//! them (open loop).

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::net::unix::pipe;

use super::Plan;

/// The two ways of loading a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Every place is always taken.
    Closed,
    /// So many exchanges a second; latency counts from the time at which each should have begun.
    Open(f64),
}

/// The timer ticks no more often than this; what is due in between begins together.
const TICK: Duration = Duration::from_micros(50);
/// And no more rarely, so that the end is seen.
const LONGEST: Duration = Duration::from_millis(100);

/// Gives turns to those who ask for one.
pub(super) struct Schedule {
    begun: Instant,
    until: Instant,
    /// Seconds between two turns; none in a closed loop.
    interval: Option<f64>,
    most: u64,
    state: Mutex<State>,
}

struct State {
    given: u64,
    /// Who waits, in the order in which they asked, and how they are woken.
    waiting: VecDeque<usize>,
    wakers: Vec<Option<Waker>>,
}

/// An answer to who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Begin one that was due at this time.
    Now(Instant),
    /// None is due; who asked will be woken.
    Later,
    /// No more begin.
    Over,
}

impl Schedule {
    /// One for so many askers, which are known by their numbers from 0.
    pub fn new(plan: &Plan, begun: Instant, askers: usize) -> Self {
        let interval = match plan.pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some(1.0 / rate.max(1e-3)),
        };
        let due = interval.map_or(u64::MAX, |interval| (plan.duration.as_secs_f64() / interval) as u64);
        let most = plan.count.unwrap_or(u64::MAX).min(due);
        let state = State { given: 0, waiting: VecDeque::with_capacity(askers), wakers: vec![None; askers] };
        Self { begun, until: begun + plan.duration, interval, most, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, number: u64, now: Instant) -> Instant {
        self.interval.map_or(now, |interval| self.begun + Duration::from_secs_f64(interval * number as f64))
    }

    /// Asks for a turn.
    pub fn turn(&self, asker: usize, now: Instant, context: &mut Context<'_>) -> Turn {
        let mut guard = self.state();
        let state = &mut *guard;
        if now >= self.until || state.given >= self.most {
            return Turn::Over;
        }
        let due = self.due(state.given, now);
        if due > now {
            if state.wakers[asker].replace(context.waker().clone()).is_none() {
                state.waiting.push_back(asker);
            }
            return Turn::Later;
        }
        state.given += 1;
        Turn::Now(due)
    }

    /// Whether turns may still be had.
    pub fn over(&self) -> bool {
        Instant::now() >= self.until || self.state().given >= self.most
    }

    /// Those that were due and had no turn.
    pub fn unbegun(&self) -> u64 {
        self.interval.map_or(0, |_| self.most.saturating_sub(self.state().given))
    }

    /// Wakes who waits when turns are due, and everybody at the end.
    pub async fn tick(&self) {
        let Some(interval) = self.interval else { return };
        // The runtime's own timer counts in whole milliseconds.
        let timer = timer(Duration::from_secs_f64(interval).clamp(TICK, LONGEST));
        while let Ok(timer) = &timer
            && !self.over()
        {
            if timer.readable().await.is_err() {
                break;
            }
            // How often it has ticked does not matter: the clock says what is due.
            let _ = timer.try_read(&mut [0; 8]);
            self.wake(Instant::now());
        }
        self.state().wakers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }

    /// Wakes one asker for each turn that is due. Busy ones ask by themselves when they have room.
    fn wake(&self, now: Instant) {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut number = state.given;
        while number < self.most && self.due(number, now) <= now {
            let Some(waker) = state.waiting.pop_front().and_then(|asker| state.wakers[asker].take()) else { return };
            waker.wake();
            number += 1;
        }
    }
}

/// A descriptor that can be read whenever `interval` is over. It is one of the kernel's timers, which tokio takes as the
/// reading end of a pipe: it waits for it and reads it in the same way.
fn timer(interval: Duration) -> io::Result<pipe::Receiver> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    timer.set(Expiration::Interval(TimeSpec::from_duration(interval)), TimerSetTimeFlags::empty())?;
    pipe::Receiver::from_owned_fd_unchecked(timer.as_fd().try_clone_to_owned()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(pace: Pace, count: Option<u64>) -> Schedule {
        Schedule::new(&Plan { pace, duration: Duration::from_secs(10), count }, Instant::now(), 1)
    }

    #[test]
    fn in_an_open_loop_turns_are_due_at_their_times_and_the_late_ones_at_once() {
        let schedule = schedule(Pace::Open(100.0), None);
        let (mut context, begun) = (Context::from_waker(Waker::noop()), schedule.begun);
        let at = |millis| begun + Duration::from_millis(millis);
        assert_eq!(schedule.turn(0, begun, &mut context), Turn::Now(begun));
        assert_eq!(schedule.turn(0, at(9), &mut context), Turn::Later);
        assert_eq!(schedule.turn(0, at(25), &mut context), Turn::Now(at(10)));
        assert_eq!(schedule.turn(0, at(25), &mut context), Turn::Now(at(20)));
        assert_eq!(schedule.turn(0, at(25), &mut context), Turn::Later);
        assert_eq!(schedule.turn(0, at(10_000), &mut context), Turn::Over);
        assert_eq!(schedule.unbegun(), 997);
    }

    #[test]
    fn a_closed_loop_ends_with_its_count() {
        let schedule = schedule(Pace::Closed, Some(2));
        let (mut context, now) = (Context::from_waker(Waker::noop()), Instant::now());
        assert_eq!([(); 3].map(|()| schedule.turn(0, now, &mut context)), [Turn::Now(now), Turn::Now(now), Turn::Over]);
        assert_eq!(schedule.unbegun(), 0);
    }
}
