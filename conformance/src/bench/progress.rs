//! What is done, and how long the rest will take.

use std::time::{Duration, Instant};

/// Counts blocks of a run.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    /// The length of a block, for the first guess.
    block: Duration,
    planned: u64,
    done: u64,
}

impl Progress {
    /// Nothing is done.
    pub fn new(block: Duration) -> Self {
        Self { begun: Instant::now(), block, planned: 0, done: 0 }
    }

    /// So many further blocks will come.
    pub fn plan(&mut self, blocks: u64) {
        self.planned += blocks;
    }

    /// One is done.
    pub fn done(&mut self) {
        self.done += 1;
    }

    /// Says on standard error what is being done.
    pub fn say(&self, what: &str) {
        let left = left(self.begun.elapsed(), self.block, self.done, self.planned);
        eprintln!("[{:>3} %, about {} left] {what}", 100 * self.done / self.planned.max(1), text(left));
    }
}

/// The time for the blocks that are left, by those that are done; the first are reckoned at twice their length, since
/// programs must start, too.
fn left(spent: Duration, block: Duration, done: u64, planned: u64) -> Duration {
    let each = match done {
        0..3 => block * 2,
        done => spent / u32::try_from(done).unwrap_or(u32::MAX),
    };
    each * u32::try_from(planned.saturating_sub(done)).unwrap_or(u32::MAX)
}

fn text(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done_took() {
        let block = Duration::from_secs(2);
        assert_eq!(left(Duration::ZERO, block, 0, 10), Duration::from_secs(40));
        assert_eq!(left(Duration::from_secs(30), block, 10, 30), Duration::from_secs(60));
        assert_eq!(
            (text(Duration::from_secs(61)).as_str(), text(Duration::from_secs(100)).as_str()),
            ("61 s", "2 min")
        );
    }
}
