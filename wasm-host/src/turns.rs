//! Turns of guests that compute for long.
//!
//! Each of them gives way at every tick. Were that all, other work of their thread would wait for a tick of each of them,
//! and a hundred endless loops would make it a hundred times slower. So only as many of them have a turn at a time as there
//! are threads that serve; the others wait, in the order in which they came. Together they compute as much as before.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Ticks after which a turn is over that was not given back: its guest waits for its host, has ended, or its thread had
/// other work. It may still compute then; it only counts no more.
const LONGEST: u64 = 2;

/// Who goes on next. Cheap to clone.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

struct State {
    /// How many have a turn at a time.
    most: usize,
    now: u64,
    taken: Vec<Turn>,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn, by the tick in which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

/// The turn that a guest has, if it has one: taken while it waits, given back when it is asked next. Cheap to clone.
#[derive(Clone, Default)]
pub struct Own(Arc<Mutex<Option<Turn>>>);

impl Own {
    pub fn put(&self, turn: Turn) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
    }

    pub fn take(&self) -> Option<Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Default for Turns {
    fn default() -> Self {
        // The gateway has one thread that serves for every two processors.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::new(processors.div_ceil(2))
    }
}

impl Turns {
    /// So many have a turn at a time.
    pub fn new(most: usize) -> Self {
        let (taken, waiting) = (Vec::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(State { most: most.max(1), now: 0, taken, waiting })))
    }

    /// A tick is over.
    pub fn tick(&self) {
        let mut state = self.state();
        state.now += 1;
        let now = state.now;
        state.taken.retain(|turn| turn.0 + LONGEST > now);
        state.give();
    }

    /// Waits for a turn.
    pub async fn next(&self) -> Turn {
        let (sender, turn) = oneshot::channel();
        let now = {
            let mut state = self.state();
            state.waiting.push_back(sender);
            state.give();
            state.now
        };
        // The sender is dropped by nobody.
        turn.await.unwrap_or(Turn(now))
    }

    /// A guest has had its turn.
    pub fn give_back(&self, turn: Turn) {
        let mut state = self.state();
        if let Some(place) = state.taken.iter().position(|taken| *taken == turn) {
            state.taken.swap_remove(place);
        }
        state.give();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives free turns to those who wait.
    fn give(&mut self) {
        while self.taken.len() < self.most
            && let Some(next) = self.waiting.pop_front()
        {
            let turn = Turn(self.now);
            // Who does not wait any more needs none.
            if next.send(turn).is_ok() {
                self.taken.push(turn);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_turn_goes_from_one_to_the_next() {
        let turns = Turns::new(1);
        let first = turns.next().now_or_never().unwrap();
        let (mut gone, mut second) = (Box::pin(turns.next()), Box::pin(turns.next()));
        assert_eq!((gone.as_mut().now_or_never(), second.as_mut().now_or_never()), (None, None));
        drop(gone);
        turns.give_back(first);
        assert!(second.now_or_never().is_some());
    }

    #[test]
    fn a_turn_that_nobody_gives_back_is_over_after_two_ticks() {
        let turns = Turns::new(1);
        let first = turns.next().now_or_never().unwrap();
        let mut second = Box::pin(turns.next());
        turns.tick();
        assert_eq!(second.as_mut().now_or_never(), None);
        turns.tick();
        let second = second.now_or_never().unwrap();
        // The first comes late, and takes nobody's turn.
        turns.give_back(first);
        assert_eq!(turns.next().now_or_never(), None);
        turns.give_back(second);
    }
}
