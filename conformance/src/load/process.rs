//! Memory and CPU of processes, as the kernel accounts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Watches a process's resident memory from now on.
pub struct Memory {
    id: u32,
    first: u64,
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    sampling: Option<JoinHandle<()>>,
}

impl Memory {
    /// Sets the kernel's high-water mark back and samples every 20 ms beside it.
    pub fn watch(id: u32) -> Self {
        // Where this is not allowed the mark is the process's of old, and growth looks worse than it is.
        let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
        let first = field(id, "VmRSS:");
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(first)));
        let (stopped, highest) = (stop.clone(), most.clone());
        let sampling = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(field(id, "VmRSS:"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { id, first, stop, most, sampling: Some(sampling) }
    }

    /// KiB resident at the begin.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many KiB the process had at most beyond those of the begin: the larger of samples and high-water mark.
    pub fn growth(&self) -> u64 {
        let most = self.most.load(Ordering::Relaxed).max(field(self.id, "VmHWM:"));
        most.saturating_sub(self.first)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sampling) = self.sampling.take() {
            let _ = sampling.join();
        }
    }
}

/// A field of `/proc/<id>/status` in KiB; 0 when the process is gone.
fn field(id: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The CPU time of a process's threads, user and system, in nanoseconds of the scheduler's account.
pub fn cpu_of(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let spent = tasks.filter_map(|task| {
        let account = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        account.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// The CPU time of this process: generator, clients and applications.
pub fn own_cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(u64::try_from(value.tv_sec()).unwrap_or(0))
            + Duration::from_micros(u64::try_from(value.tv_usec()).unwrap_or(0))
    };
    time(usage.user_time()) + time(usage.system_time())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_even_when_it_is_over() {
        let memory = Memory::watch(std::process::id());
        let block = vec![1_u8; 64 << 20];
        assert!(block.iter().step_by(4096).all(|byte| *byte == 1));
        drop(block);
        assert!(memory.growth() >= 60 << 10, "{} KiB", memory.growth());
        assert!(memory.first() > 0 && own_cpu() > Duration::ZERO && cpu_of(std::process::id()) > Duration::ZERO);
    }
}
