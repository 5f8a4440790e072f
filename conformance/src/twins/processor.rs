//! One processor for everything that is counted, and for what stands around it.
//!
//! With several, it depends on the moment whether an answer is already there when it is looked for: an unchanged program
//! then needs 17 to 21 system calls for what takes the same number on one. And who wakes another must not be put aside
//! for it at once, half of its message written: tasks of the policy `SCHED_BATCH` are not.

use std::process::Command;

/// Keeps this thread, and what it starts from now on, threads and processes, on one processor, where each runs until it
/// waits or its time is over.
///
/// # Panics
/// The kernel does not say which processors there are, or `taskset` or `chrt` (util-linux) fails.
pub fn share_one() {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let (thread, allowed) = (field(&status, "Pid:"), field(&status, "Cpus_allowed_list:"));
    let first: String = allowed.chars().take_while(char::is_ascii_digit).collect();
    run("taskset", &["--cpu-list", "--pid", &first, &thread]);
    run("chrt", &["--batch", "--pid", "0", &thread]);
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
}

fn field(status: &str, name: &str) -> String {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_and_its_children_have_one_processor() {
        share_one();
        let of = |path: &str| field(&std::fs::read_to_string(path).unwrap(), "Cpus_allowed_list:");
        assert!(of("/proc/thread-self/status").parse::<u32>().is_ok());
        let child = std::thread::spawn(move || of("/proc/thread-self/status"));
        assert!(child.join().unwrap().parse::<u32>().is_ok());
    }
}
