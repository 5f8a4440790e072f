//! What the kernel says of the machine and of this thread.

use std::time::Duration;

/// The machine's time since its start, in ticks of all processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl Ticks {
    /// As of now; zeros where the kernel does not say.
    pub fn now() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> Self {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        // user nice system idle iowait irq softirq steal; guests are in user.
        let values: Vec<u64> = line.split_whitespace().take(8).filter_map(|value| value.parse().ok()).collect();
        let at = |place: usize| values.get(place).copied().unwrap_or(0);
        Self { all: values.iter().sum(), idle: at(3) + at(4), stolen: at(7) }
    }

    /// Between two times: the share of the time that other machines took, 0 to 1.
    pub fn steal_since(self, before: Self) -> f64 {
        share(self.stolen.saturating_sub(before.stolen), self.all.saturating_sub(before.all))
    }

    /// Between two times: the share in which processors worked.
    pub fn busy_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        share(all.saturating_sub(self.idle.saturating_sub(before.idle)), all)
    }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// The CPU time of the calling thread, in nanoseconds of the scheduler's account.
pub fn thread_cpu() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(account.split_whitespace().next().and_then(|spent| spent.parse().ok()).unwrap_or(0))
}

/// A field of `/proc/<id>/status` in MB (2^20 bytes); 0 when the process is gone.
fn field(id: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    value.split_whitespace().next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// A process's resident memory (`VmRSS`), in MB.
pub fn resident(id: u32) -> f64 {
    field(id, "VmRSS:")
}

/// The most that was resident since [`forget_peak`], in MB.
pub fn peak(id: u32) -> f64 {
    field(id, "VmHWM:")
}

/// Sets the kernel's high-water mark back. Where this is not allowed the mark is the process's of old, and growth looks
/// worse than it is.
pub fn forget_peak(id: u32) {
    let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_and_work_are_shares_of_all_time() {
        let before = Ticks::parse("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 1\n");
        let after = Ticks::parse("cpu  40 0 20 110 10 0 10 10 5 0\n");
        assert!((after.steal_since(before) - 0.1).abs() < 1e-12);
        assert!((after.busy_since(before) - 0.6).abs() < 1e-12);
        assert!(before.steal_since(before).abs() < 1e-12);
    }

    #[test]
    fn this_thread_and_this_process_have_used_something() {
        let (id, before) = (std::process::id(), thread_cpu());
        forget_peak(id);
        let block = vec![1_u8; 16 << 20];
        assert!(block.iter().step_by(4096).all(|byte| *byte == 1));
        assert!(peak(id) >= 16.0 && resident(id) > 0.0);
        assert!(thread_cpu() > before && Ticks::now() != Ticks::default());
    }
}
