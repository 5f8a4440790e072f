//! How processes tell each other that there is something new: Unix datagram sockets in a folder beside the file.
//!
//! A datagram holds the numbers of the subscriptions concerned, eight bytes each. It may get lost; the poll covers that.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::net::UnixDatagram;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::task::lock;

/// The most subscriptions in one datagram; more go into several.
const MOST: usize = 128;

/// A name that no other process can find a socket for: it owns messages until their lease ends.
const NAMELESS: char = '~';

/// This process's place to be woken at, and the way to wake others.
pub(super) struct Bell {
    /// Names this process's component as the owner of messages; also the name of its socket.
    name: String,
    folder: Option<Folder>,
    waiting: Mutex<HashMap<i64, Vec<Arc<Notify>>>>,
}

struct Folder {
    path: PathBuf,
    /// Keeps `short` valid.
    _handle: File,
    /// The folder under a name that is short enough for a socket's address.
    short: PathBuf,
    sender: StdDatagram,
    receiver: UnixDatagram,
}

impl Bell {
    /// Makes the socket. Without a folder, or when it cannot be made, others are noticed by the poll only.
    pub(super) fn hang(folder: Option<PathBuf>) -> Self {
        let name = Uuid::new_v4().simple().to_string()[..16].to_owned();
        let folder = folder.and_then(|path| match Folder::open(path.clone(), &name) {
            Ok(folder) => Some(folder),
            Err(error) => {
                tracing::warn!(
                    "pubsub.sqlite: other processes cannot be woken by way of {}, messages may take a second longer: \
                     {error}",
                    path.display()
                );
                None
            }
        });
        let name = if folder.is_some() { name } else { format!("{NAMELESS}{name}") };
        Self { name, folder, waiting: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What hears when the subscription has something new.
    pub(super) fn listen_for(&self, subscription: i64) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        lock(&self.waiting).entry(subscription).or_default().push(notify.clone());
        notify
    }

    /// Ends [`Bell::listen_for`].
    pub(super) fn forget(&self, subscription: i64, notify: &Arc<Notify>) {
        let mut waiting = lock(&self.waiting);
        if let Some(list) = waiting.get_mut(&subscription) {
            list.retain(|known| !Arc::ptr_eq(known, notify));
            if list.is_empty() {
                waiting.remove(&subscription);
            }
        }
    }

    /// The subscriptions that somebody here listens for.
    pub(super) fn subscriptions(&self) -> Vec<i64> {
        lock(&self.waiting).keys().copied().collect()
    }

    /// Wakes those who wait for `subscriptions`, here and in other processes.
    pub(super) fn ring(&self, subscriptions: &BTreeSet<i64>) {
        if subscriptions.is_empty() {
            return;
        }
        self.wake(subscriptions.iter().copied());
        let Some(folder) = &self.folder else { return };
        let numbers: Vec<i64> = subscriptions.iter().copied().collect();
        for numbers in numbers.chunks(MOST) {
            let datagram: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            folder.send_to_all_but(&self.name, &datagram);
        }
    }

    /// Hears what other processes ring, for ever.
    pub(super) async fn hear(&self) {
        let Some(folder) = &self.folder else { return std::future::pending().await };
        let mut datagram = [0; 8 * MOST];
        loop {
            match folder.receiver.recv(&mut datagram).await {
                Ok(length) => {
                    let numbers = datagram[..length].as_chunks::<8>().0;
                    self.wake(numbers.iter().map(|number| i64::from_le_bytes(*number)));
                }
                Err(error) => {
                    tracing::warn!("pubsub.sqlite: the wake-up socket failed: {error}");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Whether the process that called itself `owner` has ended.
    pub(super) fn is_dead(&self, owner: &str) -> bool {
        match &self.folder {
            Some(folder) if !owner.starts_with(NAMELESS) && owner != self.name => folder.is_dead(owner),
            _ => false,
        }
    }

    fn wake(&self, subscriptions: impl Iterator<Item = i64>) {
        let waiting = lock(&self.waiting);
        for notify in subscriptions.filter_map(|number| waiting.get(&number)).flatten() {
            notify.notify_one();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // Another may have found the socket without a listener and removed it.
            let _ = std::fs::remove_file(folder.path.join(&self.name));
        }
    }
}

impl Folder {
    fn open(path: PathBuf, name: &str) -> std::io::Result<Self> {
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => (),
        }
        let handle = File::open(&path)?;
        let short = short_name(&path, &handle);
        let receiver = StdDatagram::bind(short.join(name))?;
        receiver.set_nonblocking(true)?;
        let sender = StdDatagram::unbound()?;
        sender.set_nonblocking(true)?;
        Ok(Self { path, _handle: handle, short, sender, receiver: UnixDatagram::from_std(receiver)? })
    }

    fn send_to_all_but(&self, own: &str, datagram: &[u8]) {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str() == Some(own) {
                continue;
            }
            match self.sender.send_to(datagram, self.short.join(&name)) {
                // Its process was killed. Nobody binds this name again, so nothing is taken from anybody.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    let _ = std::fs::remove_file(entry.path());
                }
                // Gone meanwhile, or so busy that it will look anyway.
                _ => (),
            }
        }
    }

    fn is_dead(&self, name: &str) -> bool {
        use std::io::ErrorKind::{ConnectionRefused, NotFound};
        // An empty datagram wakes nobody.
        match self.sender.send_to(&[], self.short.join(name)) {
            Err(error) => matches!(error.kind(), ConnectionRefused | NotFound),
            Ok(_) => false,
        }
    }
}

/// A socket's address holds about a hundred bytes. A longer path goes by way of the open folder, where the system has
/// such names.
fn short_name(path: &Path, handle: &File) -> PathBuf {
    const LONGEST: usize = 80;
    if path.as_os_str().len() <= LONGEST || !cfg!(target_os = "linux") {
        return path.to_owned();
    }
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bells_hear_each_other_also_in_a_folder_with_a_long_name() {
        let base = tempfile::tempdir().unwrap();
        for folder in ["short".to_owned(), "l".repeat(150)] {
            let folder = base.path().join(folder);
            let (one, two) = (Bell::hang(Some(folder.clone())), Bell::hang(Some(folder.clone())));
            let notify = two.listen_for(7);
            let mut hearing = std::pin::pin!(two.hear());
            one.ring(&(0..1000).collect());
            tokio::select! {
                () = notify.notified() => (),
                () = &mut hearing => unreachable!("hears for ever"),
            }
            assert!(!one.is_dead(two.name()));
            let name = two.name().to_owned();
            two.forget(7, &notify);
            assert!(two.subscriptions().is_empty());
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
            assert!(one.is_dead("0123456789abcdef"));
            assert!(!one.is_dead(&format!("~{name}")));
        }
    }

    #[tokio::test]
    async fn a_socket_whose_process_is_gone_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("wake");
        let bell = Bell::hang(Some(folder.clone()));
        drop(StdDatagram::bind(folder.join("killed")).unwrap());
        assert!(bell.is_dead("killed"));
        bell.ring(&BTreeSet::from([1]));
        assert!(!folder.join("killed").exists());
        drop(bell);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}
