//! Gives the pages of the program that only its start needed back to the system.
//!
//! The kernel maps 64 KiB around each address that is touched, so that a start leaves half of the program's code resident
//! (10 of 24 MB measured). Dropped pages stay in the page cache, and what is needed again is mapped again without any
//! reading: a few hundred minor faults, once.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};
use nix::unistd::{SysconfVar, sysconf};

/// A part of the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: usize,
    length: usize,
}

/// Unmaps code and constants, of this program and of its libraries. What cannot be done is left.
pub fn release() {
    if let Err(error) = release_unchanged() {
        tracing::debug!(target: super::SCOPE, "The pages of the start stay resident: {error}");
    }
}

fn release_unchanged() -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096);
    let states = File::open("/proc/self/pagemap")?;
    for mapping in constants(&maps) {
        let mut entries = vec![0; mapping.length / page * ENTRY];
        states.read_exact_at(&mut entries, (mapping.start / page * ENTRY) as u64)?;
        for range in unchanged(&entries, mapping.start, page) {
            let Some(start) = NonNull::new(range.start as *mut c_void) else { continue };
            // SAFETY: the kernel says of each page of the range that it is the file's own, and that nobody may write to
            // it: the next touch finds the same bytes.
            unsafe { madvise(start, range.length, MmapAdvise::MADV_DONTNEED) }?;
        }
    }
    Ok(())
}

/// The mappings of files that nobody may write to any more.
fn constants(maps: &str) -> Vec<Range> {
    let mut ranges = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some("r-xp" | "r--p")) = (fields.next(), fields.next()) else { continue };
        if !fields.nth(3).is_some_and(|file| file.starts_with('/')) {
            continue;
        }
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        if let Some((Some(start), Some(end))) = range.split_once('-').map(|(start, end)| (number(start), number(end)))
            && start < end
        {
            ranges.push(Range { start, length: end - start });
        }
    }
    ranges
}

/// Bytes of a page's entry in `pagemap`.
const ENTRY: usize = 8;
/// The page is in memory.
const IS_PRESENT: u64 = 1 << 63;
/// It is the file's: relocation would have made it this process's own.
const IS_FILES: u64 = 1 << 61;

/// Runs of pages that are resident and the file's, out of the entries of the pages from `start` on.
fn unchanged(entries: &[u8], start: usize, page: usize) -> Vec<Range> {
    let mut runs: Vec<Range> = Vec::new();
    for (index, entry) in entries.as_chunks::<ENTRY>().0.iter().enumerate() {
        if u64::from_ne_bytes(*entry) & (IS_PRESENT | IS_FILES) != IS_PRESENT | IS_FILES {
            continue;
        }
        let start = start + index * page;
        match runs.last_mut() {
            Some(last) if last.start + last.length == start => last.length += page,
            _ => runs.push(Range { start, length: page }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_files_without_the_right_to_write_are_constants() {
        let maps = "\
1000-3000 r--p 00000000 fe:00 42 /bin/ottavo
3000-5000 r-xp 00002000 fe:00 42 /bin/ottavo
5000-6000 r--p 00004000 fe:00 42 /bin/ottavo
6000-7000 rw-p 00005000 fe:00 42 /bin/ottavo
7000-8000 r--p 00000000 00:00 0
9000-a000 r-xp 00000000 fe:00 43 /lib/libc.so.6
b000-c000 r-xp 00000000 00:00 0 [vdso]
";
        let expected = [(0x1000, 0x2000), (0x3000, 0x2000), (0x5000, 0x1000), (0x9000, 0x1000)];
        assert_eq!(constants(maps), expected.map(|(start, length)| Range { start, length }));
    }

    #[test]
    fn pages_of_the_process_itself_are_kept() {
        let (files, own, absent) = (IS_PRESENT | IS_FILES, IS_PRESENT, 0);
        let entries: Vec<u8> = [files, files, own, absent, files].into_iter().flat_map(u64::to_ne_bytes).collect();
        let expected = [Range { start: 0x1000, length: 0x2000 }, Range { start: 0x5000, length: 0x1000 }];
        assert_eq!(unchanged(&entries, 0x1000, 0x1000), expected);
    }

    #[test]
    fn the_program_runs_on_after_its_pages_were_given_back() {
        release();
        assert_eq!("still here".to_uppercase(), "STILL HERE");
    }
}
