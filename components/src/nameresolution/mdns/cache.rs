//! What is known about other sidecars.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::packet::Found;
use crate::task::lock;

/// How long an address is believed after it was last heard, as in daprd; a shorter time to live of its own counts.
const BELIEVED: Duration = Duration::from_secs(60);

/// App ids that nobody asked for in this time are not kept fresh any more.
const WANTED: Duration = Duration::from_secs(600);

/// Addresses by app id, of the app ids that somebody asked for.
#[derive(Default)]
pub(super) struct Cache {
    apps: Mutex<HashMap<String, App>>,
}

struct App {
    /// Sorted, so that a turn means the same from call to call.
    addresses: Vec<(SocketAddr, Instant)>,
    turn: usize,
    asked: Instant,
    news: Arc<Notify>,
}

impl Cache {
    /// Somebody asks for an app id; what comes tells when something was heard about it.
    pub(super) fn watch(&self, app_id: &str, now: Instant) -> Arc<Notify> {
        let mut apps = lock(&self.apps);
        let app = apps.entry(app_id.to_owned()).or_insert_with(|| App {
            addresses: Vec::new(),
            turn: 0,
            asked: now,
            news: Arc::default(),
        });
        app.asked = now;
        app.news.clone()
    }

    /// The addresses of an app id, each time with another one in front.
    pub(super) fn addresses(&self, app_id: &str, now: Instant) -> Vec<SocketAddr> {
        let mut apps = lock(&self.apps);
        let Some(app) = apps.get_mut(app_id) else { return Vec::new() };
        app.addresses.retain(|(_, until)| *until > now);
        if app.addresses.is_empty() {
            return Vec::new();
        }
        let first = app.turn % app.addresses.len();
        app.turn = app.turn.wrapping_add(1);
        let addresses = app.addresses.iter().map(|(address, _)| *address);
        addresses.clone().skip(first).chain(addresses.take(first)).collect()
    }

    pub(super) fn heard(&self, found: Found, now: Instant) {
        let mut apps = lock(&self.apps);
        let Some(app) = apps.get_mut(&found.app_id) else { return };
        app.addresses.retain(|(address, _)| *address != found.address);
        if !found.ttl.is_zero() {
            app.addresses.push((found.address, now + found.ttl.min(BELIEVED)));
            app.addresses.sort_unstable();
        }
        app.news.notify_waiters();
    }

    /// The address is not offered again before it was heard anew.
    pub(super) fn remove(&self, app_id: &str, address: SocketAddr) {
        if let Some(app) = lock(&self.apps).get_mut(app_id) {
            app.addresses.retain(|(known, _)| *known != address);
        }
    }

    /// The app ids to keep fresh. Those that nobody wants any more are forgotten.
    pub(super) fn wanted(&self, now: Instant) -> Vec<String> {
        let mut apps = lock(&self.apps);
        apps.retain(|_, app| now.duration_since(app.asked) < WANTED);
        apps.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(port: u16, ttl: u64) -> Found {
        let address = SocketAddr::from(([10, 0, 0, 1], port));
        Found { app_id: "app".to_owned(), address, ttl: Duration::from_secs(ttl) }
    }

    fn ports(cache: &Cache, now: Instant) -> Vec<u16> {
        cache.addresses("app", now).iter().map(SocketAddr::port).collect()
    }

    #[test]
    fn addresses_take_turns_and_end() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.heard(found(1, 120), now);
        assert!(ports(&cache, now).is_empty(), "nobody asked");
        cache.watch("app", now);
        for port in [2, 1] {
            cache.heard(found(port, 120), now);
        }
        assert_eq!(ports(&cache, now), [1, 2]);
        assert_eq!(ports(&cache, now), [2, 1]);
        cache.heard(found(1, 5), now);
        assert_eq!(ports(&cache, now + Duration::from_secs(6)), [2]);
        assert!(ports(&cache, now + BELIEVED).is_empty());
    }

    #[test]
    fn a_goodbye_and_a_dead_address_count_at_once() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.watch("app", now);
        for port in [1, 2, 3] {
            cache.heard(found(port, 120), now);
        }
        cache.heard(found(1, 0), now);
        cache.remove("app", SocketAddr::from(([10, 0, 0, 1], 2)));
        assert_eq!(ports(&cache, now), [3]);
        cache.heard(found(2, 120), now);
        assert_eq!(ports(&cache, now).len(), 2);
    }

    #[test]
    fn what_nobody_wants_is_forgotten() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.watch("app", now);
        assert_eq!(cache.wanted(now), ["app"]);
        assert!(cache.wanted(now + WANTED).is_empty());
    }
}
