//! A metric with its series: one value for each combination of label values.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::SCOPE;
use super::catalog::{Kind, Measure};
use super::label_sets::LabelSets;
use super::rules::Rules;

/// How many series one metric may have; further combinations share one with [`OVERFLOW`] in every label.
pub const SERIES_LIMIT: usize = 1_000;
/// The label value of what came after the limit.
pub const OVERFLOW: &str = "overflow";

/// Series by the hash of their labels, which needs no further hashing.
type Table = HashMap<u64, Arc<Series>, BuildHasherDefault<Hashed>>;

/// One metric.
///
/// Readers never wait: the table is swapped whole when a series is added, which is rare and bounded by
/// [`SERIES_LIMIT`].
pub struct Family {
    pub measure: Measure,
    bounds: Arc<[f64]>,
    /// For labels whose values are rewritten, by position; empty when no rule concerns this metric.
    rules: Vec<Option<super::rules::LabelRule>>,
    /// The label values that this metric has in common with others.
    sets: Arc<LabelSets>,
    table: ArcSwap<Table>,
    adding: Mutex<()>,
    warned: AtomicBool,
}

/// One line of the page, or one histogram.
pub struct Series {
    pub labels: Arc<[Box<str>]>,
    value: Value,
}

enum Value {
    Counter(AtomicU64),
    Gauge(AtomicI64),
    Histogram(Histogram),
}

/// Counts by bucket (not cumulative), and the sum of the values.
struct Histogram {
    bounds: Arc<[f64]>,
    /// Neighbours together, made when one of them counts: most series have seen only some of their buckets.
    buckets: Box<[OnceLock<Box<Neighbours>>]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

/// How many buckets are made at once.
const NEIGHBOURS: usize = 8;

type Neighbours = [AtomicU64; NEIGHBOURS];

impl Histogram {
    fn new(bounds: &Arc<[f64]>) -> Self {
        let chunks = (bounds.len() + 1).div_ceil(NEIGHBOURS);
        Self {
            bounds: bounds.clone(),
            buckets: std::iter::repeat_with(OnceLock::new).take(chunks).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
        }
    }

    fn count(&self, bucket: usize) {
        let chunk = self.buckets[bucket / NEIGHBOURS].get_or_init(Box::default);
        chunk[bucket % NEIGHBOURS].fetch_add(1, Ordering::Relaxed);
    }

    /// Of each bucket in turn.
    fn counts(&self) -> impl Iterator<Item = u64> {
        let all = (0..=self.bounds.len()).map(|bucket| (bucket / NEIGHBOURS, bucket % NEIGHBOURS));
        all.map(|(chunk, place)| self.buckets[chunk].get().map_or(0, |chunk| chunk[place].load(Ordering::Relaxed)))
    }
}

/// What a series shows at one moment.
pub enum Snapshot {
    Counter(u64),
    Gauge(i64),
    /// Cumulative counts by upper bound, without the last (`+Inf`), which is `count`.
    Histogram {
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
}

impl Family {
    pub fn new(measure: Measure, latency: &Arc<[f64]>, rules: &Rules, sets: &Arc<LabelSets>) -> Self {
        let definition = measure.definition();
        Self {
            measure,
            bounds: match definition.kind {
                Kind::Latency => latency.clone(),
                Kind::Fixed(bounds) => bounds.into(),
                Kind::Counter | Kind::Gauge => Arc::default(),
            },
            rules: rules.for_measure(definition),
            sets: sets.clone(),
            table: ArcSwap::default(),
            adding: Mutex::new(()),
            warned: AtomicBool::new(false),
        }
    }

    /// Runs `record` on the series with these label values, which is made at first use.
    pub fn with(&self, labels: &Labels<'_>, record: impl FnOnce(&Series)) {
        debug_assert_eq!(labels.values.len(), self.measure.definition().labels.len());
        if self.rules.is_empty() {
            self.with_final(labels, record);
        } else {
            let rewritten: Vec<_> = labels
                .values
                .iter()
                .zip(&self.rules)
                .map(|(value, rule)| super::rules::apply(rule.as_ref(), value))
                .collect();
            let values: Vec<&str> = rewritten.iter().map(AsRef::as_ref).collect();
            self.with_final(&Labels::new(&values), record);
        }
    }

    fn with_final(&self, labels: &Labels<'_>, record: impl FnOnce(&Series)) {
        if let Some(series) = find(&self.table.load(), labels).0 {
            return record(series);
        }
        record(&self.add(labels));
    }

    /// Adds a series, or finds the one that another thread has just added.
    fn add(&self, labels: &Labels<'_>) -> Arc<Series> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load_full();
        if table.len() >= SERIES_LIMIT && find(&table, labels).0.is_none() {
            self.warn_once();
            let overflow = vec![OVERFLOW; labels.values.len()];
            return self.find_or_insert(&table, &Labels::new(&overflow));
        }
        self.find_or_insert(&table, labels)
    }

    fn find_or_insert(&self, table: &Table, labels: &Labels<'_>) -> Arc<Series> {
        match find(table, labels) {
            (Some(series), _) => Arc::clone(series),
            (None, slot) => {
                let series = Arc::new(self.series(labels));
                let mut grown = table.clone();
                grown.insert(slot, Arc::clone(&series));
                self.table.store(Arc::new(grown));
                series
            }
        }
    }

    fn series(&self, labels: &Labels<'_>) -> Series {
        let value = match self.measure.definition().kind {
            Kind::Counter => Value::Counter(AtomicU64::new(0)),
            Kind::Gauge => Value::Gauge(AtomicI64::new(0)),
            Kind::Latency | Kind::Fixed(_) => Value::Histogram(Histogram::new(&self.bounds)),
        };
        Series { labels: self.sets.share(labels), value }
    }

    fn warn_once(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: SCOPE,
                "metric {} has more than {SERIES_LIMIT} series; further ones are counted as \"{OVERFLOW}\"; \
                 set spec.metric.http.increasedCardinality to false, or spec.metric.rules for it",
                self.measure.definition().name
            );
        }
    }

    /// All series, ordered by label values.
    pub fn sorted(&self) -> Vec<Arc<Series>> {
        let mut all: Vec<_> = self.table.load().values().cloned().collect();
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        all
    }
}

/// Takes a number that is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Label values in the order of the catalogue, hashed once for all metrics that share them.
pub struct Labels<'a> {
    pub(super) values: &'a [&'a str],
    pub(super) hash: u64,
}

impl<'a> Labels<'a> {
    pub fn new(values: &'a [&'a str]) -> Self {
        // Values that collide are told apart by the table, which is small: nothing is gained by making some.
        Self { values, hash: foldhash::quality::FixedState::default().hash_one(values) }
    }
}

/// The series with these labels, or the slot where it belongs.
fn find<'a>(table: &'a Table, labels: &Labels<'_>) -> (Option<&'a Arc<Series>>, u64) {
    let mut slot = labels.hash;
    // Two combinations with one hash are as good as impossible, but must not be added up.
    while let Some(series) = table.get(&slot) {
        if series.labels.iter().map(AsRef::as_ref).eq(labels.values.iter().copied()) {
            return (Some(series), slot);
        }
        slot = slot.wrapping_add(1);
    }
    (None, slot)
}

impl Series {
    pub fn add(&self, count: u64) {
        if let Value::Counter(counter) = &self.value {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub fn set(&self, value: i64) {
        if let Value::Gauge(gauge) = &self.value {
            gauge.store(value, Ordering::Relaxed);
        }
    }

    pub fn observe(&self, value: f64) {
        if let Value::Histogram(histogram) = &self.value {
            // As OpenCensus: a bound belongs to the bucket above it.
            histogram.count(histogram.bounds.partition_point(|bound| *bound <= value));
            let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
            // The closure always gives a new value, so the update cannot fail.
            let _ = histogram.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        match &self.value {
            Value::Counter(counter) => Snapshot::Counter(counter.load(Ordering::Relaxed)),
            Value::Gauge(gauge) => Snapshot::Gauge(gauge.load(Ordering::Relaxed)),
            Value::Histogram(histogram) => {
                let mut count = 0;
                let mut buckets = Vec::with_capacity(histogram.bounds.len());
                for (index, counted) in histogram.counts().enumerate() {
                    count += counted;
                    if let Some(bound) = histogram.bounds.get(index) {
                        buckets.push((*bound, count));
                    }
                }
                Snapshot::Histogram { buckets, sum: f64::from_bits(histogram.sum.load(Ordering::Relaxed)), count }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(measure: Measure) -> Family {
        let bounds: Arc<[f64]> = vec![1.0, 10.0].into();
        Family::new(measure, &bounds, &Rules::default(), &Arc::default())
    }

    #[test]
    fn one_series_for_each_combination() {
        let family = family(Measure::ComponentInitTotal);
        family.with(&Labels::new(&["shop", "b"]), |series| series.add(1));
        family.with(&Labels::new(&["shop", "a"]), |series| series.add(1));
        family.with(&Labels::new(&["shop", "b"]), |series| series.add(1));
        let all: Vec<_> = family
            .sorted()
            .iter()
            .map(|series| match series.snapshot() {
                Snapshot::Counter(count) => (series.labels[1].to_string(), count),
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(all, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }

    #[test]
    fn histograms_are_cumulative() {
        let family = family(Measure::StateLatency);
        for value in [0.5, 1.0, 5.0, 100.0] {
            family.with(&Labels::new(&["shop", "store", "", "get", "true"]), |series| series.observe(value));
        }
        let Snapshot::Histogram { buckets, sum, count } = family.sorted()[0].snapshot() else { unreachable!() };
        assert_eq!(buckets, [(1.0, 1), (10.0, 3)]);
        assert_eq!((sum, count), (106.5, 4));
    }

    #[test]
    fn beyond_the_limit_there_is_one_series_for_all() {
        let family = family(Measure::ComponentInitTotal);
        for index in 0..SERIES_LIMIT + 5 {
            family.with(&Labels::new(&["shop", &index.to_string()]), |series| series.add(1));
        }
        let all = family.sorted();
        assert_eq!(all.len(), SERIES_LIMIT + 1);
        let overflow = all.iter().find(|series| &*series.labels[1] == OVERFLOW).unwrap();
        assert!(matches!(overflow.snapshot(), Snapshot::Counter(5)));
    }

    #[test]
    fn many_threads_lose_no_count() {
        let family = family(Measure::ComponentInitTotal);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for index in 0..1_000 {
                        family.with(&Labels::new(&["shop", ["a", "b", "c"][index % 3]]), |series| series.add(1));
                    }
                });
            }
        });
        let total: u64 = family
            .sorted()
            .iter()
            .map(|series| match series.snapshot() {
                Snapshot::Counter(count) => count,
                _ => unreachable!(),
            })
            .sum();
        assert_eq!(total, 4_000);
    }
}
