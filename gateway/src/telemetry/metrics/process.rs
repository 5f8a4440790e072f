//! The `process_*` metrics, read from `/proc` when the page is asked for.

use std::fmt::Write;
use std::fs;

use super::text::{number, write_head};

/// Writes what the system tells about this process; what it does not tell is left out.
pub fn write(page: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
    let ticks = ticks_per_second();
    if let Some(stat) = &stat {
        line(page, "process_cpu_seconds_total", "counter", "Processor time used, in seconds.", stat.ticks / ticks);
    }
    if let Some(limit) = limit("Max open files") {
        line(page, "process_max_fds", "gauge", "How many file descriptors may be open.", limit);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        let open = u32::try_from(entries.count()).unwrap_or(u32::MAX);
        line(page, "process_open_fds", "gauge", "How many file descriptors are open.", f64::from(open));
    }
    if let Some(stat) = &stat {
        line(
            page,
            "process_resident_memory_bytes",
            "gauge",
            "Memory in use, in bytes.",
            stat.resident_pages * page_size(),
        );
        if let Some(boot) = boot_time() {
            let start = boot + stat.start_ticks / ticks;
            line(page, "process_start_time_seconds", "gauge", "When the process began, in seconds since 1970.", start);
        }
        line(page, "process_virtual_memory_bytes", "gauge", "Address space in use, in bytes.", stat.virtual_bytes);
    }
    if let Some(limit) = limit("Max address space") {
        line(page, "process_virtual_memory_max_bytes", "gauge", "How large the address space may be, in bytes.", limit);
    }
}

fn line(page: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    write_head(page, name, kind, help);
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{name} {}", number(value));
}

/// What is used of `/proc/self/stat`.
struct Stat {
    /// User and system time, in clock ticks.
    ticks: f64,
    /// After boot, in clock ticks.
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the name, which may contain anything; fields are counted from behind it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// A soft limit; no limit is the largest number, as the Go collector has it.
fn limit(name: &str) -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with(name))?;
    match line[name.len()..].split_whitespace().next()? {
        "unlimited" => Some(18_446_744_073_709_551_615.0),
        number => number.parse().ok(),
    }
}

/// Seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn ticks_per_second() -> f64 {
    sysconf(nix::unistd::SysconfVar::CLK_TCK).unwrap_or(100.0)
}

fn page_size() -> f64 {
    sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap_or(4096.0)
}

fn sysconf(variable: nix::unistd::SysconfVar) -> Option<f64> {
    let value = nix::unistd::sysconf(variable).ok().flatten()?;
    i32::try_from(value).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_tells_its_size() {
        let mut page = String::new();
        write(&mut page);
        let line = page.lines().find(|line| line.starts_with("process_resident_memory_bytes ")).unwrap();
        let bytes: f64 = line.split_once(' ').unwrap().1.parse().unwrap();
        assert!(bytes > 100_000.0, "{line}");
    }

    #[test]
    fn names_with_brackets_do_not_shift_fields() {
        let mut fields: Vec<String> = (3..=52).map(|number| number.to_string()).collect();
        fields[0] = "S".into();
        let stat = Stat::parse(&format!("7 (a) b) {}", fields.join(" "))).unwrap();
        assert_eq!((stat.ticks, stat.start_ticks, stat.resident_pages), (29.0, 22.0, 24.0));
    }
}
