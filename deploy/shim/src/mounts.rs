//! The image's files: mounted as containerd asks, and unmounted with the container.

use std::path::Path;

use containerd_shim_protos::api::Mount;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Mounts what containerd's snapshotter has prepared at `target`.
///
/// # Errors
/// What was to be mounted where, and why it is not. Nothing stays mounted then.
pub fn attach(mounts: &[Mount], target: &Path) -> Result<(), String> {
    for asked in mounts {
        let target = target.join(asked.target.trim_start_matches('/'));
        let failed = |error: &dyn std::fmt::Display| {
            detach(&target);
            format!("mounting {} ({}) at {}: {error}", asked.source, asked.type_, target.display())
        };
        std::fs::create_dir_all(&target).map_err(|error| failed(&error))?;
        let (flags, data) = options(&asked.options);
        let data = (!data.is_empty()).then_some(data.as_str());
        // Nothing of an image is ever run here.
        let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some(asked.source.as_str()), &target, Some(asked.type_.as_str()), flags, data)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Unmounts whatever is mounted at `target`.
pub fn detach(target: &Path) {
    loop {
        match umount2(target, MntFlags::MNT_DETACH) {
            Ok(()) => {}
            // Nothing is mounted there any more, or there is no such place.
            Err(Errno::EINVAL | Errno::ENOENT) => break,
            Err(error) => {
                crate::log(&format!("unmounting {}: {error}", target.display()));
                break;
            }
        }
    }
}

/// Options as mount(8) writes them: flags, and data for the file system.
fn options(options: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match option.as_str() {
            "bind" => flags |= MsFlags::MS_BIND,
            "rbind" => flags |= MsFlags::MS_BIND | MsFlags::MS_REC,
            "ro" => flags |= MsFlags::MS_RDONLY,
            "rw" | "defaults" | "suid" | "dev" | "exec" => {}
            "noatime" => flags |= MsFlags::MS_NOATIME,
            "nodiratime" => flags |= MsFlags::MS_NODIRATIME,
            "relatime" => flags |= MsFlags::MS_RELATIME,
            "nosuid" | "nodev" | "noexec" => {}
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_or_data() {
        let words = ["rbind", "ro", "lowerdir=/a:/b", "index=off"].map(str::to_owned);
        let (flags, data) = options(&words);
        assert_eq!(flags, MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_RDONLY);
        assert_eq!(data, "lowerdir=/a:/b,index=off");
    }
}
