//! Module files that change: the new module is made ready beside the old one, and takes its place when it works.
//!
//! Files are looked at a few times a second: that sees what no notification tells (network file systems, links that are
//! exchanged), and costs next to nothing for the few files that there are. What counts is the content. On the same
//! occasion guests that nobody has called for long are let go.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::build::{Fetched, Latest};
use super::slot::Slot;
use super::{Changing, Functions, Inner, SCOPE, build};

/// Between two looks. A file that changes from one to the next is still being written.
const PERIOD: Duration = Duration::from_millis(250);

/// Functions that are looked at in the time that a file takes.
const FILE: usize = 10;

/// So many functions are looked at before other work of the thread has its turn.
const AT_ONCE: usize = 64;

/// What tells that a file may have another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Mark {
    /// `None`: there is no such file.
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let about = std::fs::metadata(path).ok()?;
        Some(Self { modified: about.modified().ok(), length: about.len(), inode: about.ino() })
    }
}

/// What was seen of one function's file.
#[derive(Default)]
struct Seen {
    /// At the last look.
    last: Option<Mark>,
    /// When it was loaded, or refused.
    settled: Option<Mark>,
}

impl Functions {
    /// Watches functions as long as there are any.
    pub(super) fn watch(&self, changing: &mut Changing) {
        let is_watching = changing.watcher.as_ref().is_some_and(|watcher| !watcher.is_finished());
        if !changing.slots.is_empty() && !is_watching {
            changing.watcher = Some(tokio::spawn(watch(self.downgrade())));
        }
    }

    /// One look at all functions: how many guests they have, and whether their files have changed. Says how many files
    /// it was, or how many would have been the same work.
    async fn look(&self, seen: &mut HashMap<String, Seen>) -> usize {
        let table = self.table();
        seen.retain(|name, _| table.by_name(name).is_some());
        // Many functions may be one module: its file is looked at once.
        let (mut marks, mut latest) = (HashMap::<&Path, Option<Mark>>::new(), Latest::default());
        for (number, slot) in table.slots().enumerate() {
            if number % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            self.measure(slot);
            let Some(path) = slot.manifest().module_file() else { continue };
            let now = *marks.entry(path).or_insert_with(|| Mark::of(path));
            let seen = seen.entry(slot.name().to_owned()).or_default();
            let is_quiet = now.is_some() && now == seen.last;
            seen.last = now;
            // At the first look the file is the one that was loaded, or something has kept it from being.
            if is_quiet && now != seen.settled {
                seen.settled = now;
                self.refresh(slot, path, &mut latest).await;
            }
        }
        marks.len().max(seen.len() / FILE)
    }

    /// Loads the function's file unless it is the module that serves.
    async fn refresh(&self, slot: &Arc<Slot>, path: &Path, latest: &mut Latest) {
        let (name, place) = (slot.name(), &slot.manifest().module);
        let fetched = match latest.of(place) {
            Some(fetched) => fetched,
            None => match tokio::fs::read(path).await {
                Ok(bytes) => {
                    let fetched = Fetched::new(bytes.into());
                    latest.put(place, fetched.clone());
                    fetched
                }
                Err(error) => return slot.failed(format!("{}: {error}", path.display())),
            },
        };
        let digest = fetched.digest.clone();
        let old = slot.live();
        if old.as_ref().is_some_and(|live| live.digest == digest) {
            return;
        }
        let built = build::build_from(self, slot, fetched).await;
        let metrics = &self.shared().metrics;
        metrics.function_reloaded(name, built.is_ok());
        match built {
            Ok(live) => {
                let version = live.version;
                let changing = self.0.changing.lock().await;
                // The function may have got another manifest meanwhile, which has seen to its own module.
                if !self.table().by_name(name).is_some_and(|other| Arc::ptr_eq(other, slot)) {
                    return;
                }
                let is_renamed = old.as_ref().is_none_or(|old| old.id != live.id);
                slot.put(live);
                if is_renamed {
                    self.index(&changing);
                }
                tracing::info!(target: SCOPE, "Function {name} has a new module (version {version}, sha256 {digest})");
            }
            Err(error) => {
                let stays = if old.is_some() { ": the one before stays" } else { "" };
                tracing::error!(target: SCOPE, "Function {name}: the new module cannot be used{stays}: {error}");
                slot.failed(error.to_string());
            }
        }
    }

    fn measure(&self, slot: &Slot) {
        let live = slot.live();
        if let Some(live) = &live {
            live.function.trim(build::IDLE);
        }
        let guests = live.map_or(0, |live| live.function.guests());
        self.shared().metrics.function_guests(slot.name(), guests);
    }
}

async fn watch(inner: std::sync::Weak<Inner>) {
    let mut seen = HashMap::new();
    loop {
        let Some(functions) = Functions::upgrade(&inner) else { return };
        if functions.0.closing.is_cancelled() {
            return;
        }
        let files = functions.look(&mut seen).await;
        // Many files are looked at less often: the cost stays what it is for a hundred.
        let hundreds = u32::try_from(files / 100).unwrap_or(u32::MAX);
        drop(functions);
        tokio::time::sleep(PERIOD.saturating_mul(hundreds.saturating_add(1))).await;
    }
}
