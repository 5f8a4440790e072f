//! The keys and values of `state.in-memory`: a plain value, without locks, tasks or a clock of its own.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::super::like::Pattern;
use super::super::{Concurrency, DeleteRequest, GetReply, KeysPage, Op, Options, SetRequest, ttl};
use crate::{Error, Metadata, Result, go};

#[derive(Default)]
pub(super) struct Items {
    items: HashMap<String, Item>,
    /// What ends, by its time; the sequence number keeps equal times apart.
    ends: BTreeMap<(DateTime<Utc>, u64), String>,
    /// Counts writes: the order in which keys are listed.
    sequence: u64,
}

struct Item {
    data: Bytes,
    etag: String,
    expires: Option<DateTime<Utc>>,
    sequence: u64,
}

impl Item {
    fn live(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_none_or(|expires| now <= expires)
    }
}

impl Items {
    pub(super) fn get(&self, key: &str, now: DateTime<Utc>) -> GetReply {
        let Some(item) = self.live(key, now) else { return GetReply::default() };
        GetReply {
            data: Some(item.data.clone()),
            etag: Some(item.etag.clone()),
            metadata: item.expires.map(ttl::reply_metadata).unwrap_or_default(),
            content_type: None,
        }
    }

    /// Compares ETags, then writes. `ttl` as [`requested_ttl`] read it.
    pub(super) fn set(&mut self, request: &SetRequest, ttl: Option<TimeDelta>, now: DateTime<Utc>) -> Result<()> {
        self.check_etag(&request.key, request.etag(), &request.options, now)?;
        self.put(request, ttl, now);
        Ok(())
    }

    pub(super) fn delete(&mut self, request: &DeleteRequest, now: DateTime<Utc>) -> Result<()> {
        self.check_etag(&request.key, request.etag(), &request.options, now)?;
        self.remove(&request.key);
        Ok(())
    }

    /// Compares all ETags with what is stored now, then applies everything in order: nothing fails half-way.
    pub(super) fn transact(&mut self, operations: &[(&Op, Option<TimeDelta>)], now: DateTime<Utc>) -> Result<()> {
        for (operation, _) in operations {
            match operation {
                Op::Upsert(set) => self.check_etag(&set.key, set.etag(), &set.options, now)?,
                Op::Delete(delete) => self.check_etag(&delete.key, delete.etag(), &delete.options, now)?,
            }
        }
        for (operation, ttl) in operations {
            match operation {
                Op::Upsert(set) => self.put(set, *ttl, now),
                Op::Delete(delete) => self.remove(&delete.key),
            }
        }
        Ok(())
    }

    /// Keys in the order of their last write. The continuation is the sequence number of the next key.
    pub(super) fn keys_like(&self, pattern: &Pattern, page_size: usize, from: u64, now: DateTime<Utc>) -> KeysPage {
        let mut found: Vec<(u64, &String)> = self
            .items
            .iter()
            .filter(|(key, item)| item.sequence >= from && item.live(now) && pattern.matches(key))
            .map(|(key, item)| (item.sequence, key))
            .collect();
        found.sort_unstable();
        let continuation = found.get(page_size).filter(|_| page_size > 0).map(|(sequence, _)| sequence.to_string());
        if page_size > 0 {
            found.truncate(page_size);
        }
        KeysPage { keys: found.into_iter().map(|(_, key)| key.clone()).collect(), continuation }
    }

    /// Deletes the keys directly below `prefix` (`...||`): no further `||` behind it, as in daprd.
    pub(super) fn delete_with_prefix(&mut self, prefix: &str, now: DateTime<Utc>) -> u64 {
        let below = |key: &String| key.strip_prefix(prefix).is_some_and(|rest| !rest.contains("||"));
        let keys: Vec<(String, bool)> =
            self.items.iter().filter(|(key, _)| below(key)).map(|(key, item)| (key.clone(), item.live(now))).collect();
        for (key, _) in &keys {
            self.remove(key);
        }
        keys.iter().filter(|(_, live)| *live).count() as u64
    }

    /// Forgets what has ended; costs no more than there is to forget.
    pub(super) fn purge(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.ends.first_entry().filter(|entry| entry.key().0 < now) {
            let key = entry.remove();
            self.items.remove(&key);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn live(&self, key: &str, now: DateTime<Utc>) -> Option<&Item> {
        self.items.get(key).filter(|item| item.live(now))
    }

    fn check_etag(&self, key: &str, etag: Option<&str>, options: &Options, now: DateTime<Utc>) -> Result<()> {
        let item = self.live(key, now);
        let detail = match (etag, item) {
            (None, Some(_)) if options.concurrency == Concurrency::FirstWrite => {
                "item already exists and no etag was passed".to_owned()
            }
            (None, _) => return Ok(()),
            (Some(_), None) => format!("state not exist or expired for key={key}"),
            (Some(etag), Some(item)) if item.etag == etag => return Ok(()),
            (Some(etag), Some(item)) => {
                format!("state etag not match for key={key}: current={}, expect={etag}", item.etag)
            }
        };
        Err(Error::etag_mismatch(Some(&detail)))
    }

    fn put(&mut self, request: &SetRequest, ttl: Option<TimeDelta>, now: DateTime<Utc>) {
        let sequence = self.sequence;
        self.sequence += 1;
        // A time beyond what the calendar holds is as good as never.
        let expires = ttl.and_then(|ttl| now.checked_add_signed(ttl));
        let item = Item { data: request.value.bytes().clone(), etag: Uuid::new_v4().to_string(), expires, sequence };
        if let Some(old) = self.items.insert(request.key.clone(), item) {
            self.forget_end(&old);
        }
        if let Some(expires) = expires {
            self.ends.insert((expires, sequence), request.key.clone());
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.items.remove(key) {
            self.forget_end(&old);
        }
    }

    fn forget_end(&mut self, item: &Item) {
        if let Some(expires) = item.expires {
            self.ends.remove(&(expires, item.sequence));
        }
    }
}

/// The time to live that a write asks for; zero and negative ones mean none.
pub(super) fn requested_ttl(metadata: &Metadata) -> Result<Option<TimeDelta>> {
    let Some(text) = metadata.get(ttl::TTL_KEY).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = go::parse_int("Atoi", text).map_err(Error::other)?;
    Ok(if seconds > 0 { TimeDelta::try_seconds(seconds) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Value;

    fn set(items: &mut Items, key: &str, ttl: Option<i64>, now: DateTime<Utc>) {
        let request = SetRequest {
            key: key.to_owned(),
            value: Value::Json(Bytes::from_static(b"1")),
            etag: None,
            options: Options::default(),
            metadata: Metadata::new(),
        };
        items.set(&request, ttl.map(TimeDelta::seconds), now).unwrap();
    }

    #[test]
    fn an_expired_key_is_invisible_before_it_is_purged() {
        let mut items = Items::default();
        let now = Utc::now();
        set(&mut items, "a", Some(1), now);
        let later = now + TimeDelta::milliseconds(1001);
        assert!(items.get("a", now).data.is_some());
        assert!(items.get("a", later).data.is_none());
        let pattern = Pattern::parse("%").unwrap();
        assert!(items.keys_like(&pattern, 0, 0, later).keys.is_empty());
        items.purge(later);
        assert!(items.items.is_empty() && items.ends.is_empty());
    }

    #[test]
    fn a_rewrite_without_ttl_lives_on() {
        let mut items = Items::default();
        let now = Utc::now();
        set(&mut items, "a", Some(1), now);
        set(&mut items, "a", None, now);
        items.purge(now + TimeDelta::seconds(10));
        assert!(items.get("a", now + TimeDelta::seconds(10)).data.is_some());
    }

    #[test]
    fn pages_follow_each_other_in_write_order() {
        let mut items = Items::default();
        let now = Utc::now();
        for key in ["c", "a", "b"] {
            set(&mut items, key, None, now);
        }
        let pattern = Pattern::parse("_").unwrap();
        let first = items.keys_like(&pattern, 2, 0, now);
        assert_eq!(first.keys, ["c", "a"]);
        let from = first.continuation.unwrap().parse().unwrap();
        let second = items.keys_like(&pattern, 2, from, now);
        assert_eq!((second.keys, second.continuation), (vec!["b".to_owned()], None));
    }

    #[test]
    fn only_keys_directly_below_the_prefix_are_deleted() {
        let mut items = Items::default();
        let now = Utc::now();
        for key in ["p||a", "p||b", "p||c||d", "q||a"] {
            set(&mut items, key, None, now);
        }
        assert_eq!(items.delete_with_prefix("p||", now), 2);
        assert_eq!(items.items.len(), 2);
    }
}
