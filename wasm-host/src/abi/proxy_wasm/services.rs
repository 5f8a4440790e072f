//! What the guests of a process share: data, queues, metrics. They outlive every guest.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::status::Status;

/// Bytes of shared data, and of queued messages, that one VM may keep.
const MOST_BYTES: usize = 4 << 20;
/// Queues and metrics that one VM may define.
const MOST_NAMES: usize = 1000;

/// One a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Services(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    data: HashMap<String, Data>,
    queues: Vec<Queue>,
    metrics: Vec<Metric>,
}

#[derive(Default)]
struct Data {
    entries: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    bytes: usize,
}

struct Queue {
    vm: String,
    name: Vec<u8>,
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Told about each message.
    subscribers: Vec<Arc<Notify>>,
}

/// Kinds of metrics, numbered as in the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric's present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    pub vm: String,
    pub name: String,
    pub kind: MetricKind,
    /// The sum of what was recorded, for a histogram.
    pub value: i64,
    /// How often something was recorded in a histogram.
    pub count: u64,
}

impl Services {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn data(&self, vm: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.inner().data.get(vm)?.entries.get(key).cloned()
    }

    /// `cas` 0 writes in any case, another only over the value with that number.
    pub(super) fn set_data(&self, vm: &str, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut inner = self.inner();
        let data = inner.data.entry(vm.to_owned()).or_default();
        let old = data.entries.get(key).map(|(value, cas)| (value.len(), *cas));
        if cas != 0 && old.is_none_or(|(_, old)| old != cas) {
            return Err(Status::CasMismatch);
        }
        let freed = old.map_or(0, |(length, _)| length + key.len());
        let bytes = data.bytes - freed + key.len() + value.len();
        if bytes > MOST_BYTES {
            return Err(Status::InternalFailure);
        }
        data.bytes = bytes;
        // 0 means "in any case", so no value has it.
        let next = old.map_or(1, |(_, cas)| cas.wrapping_add(1).max(1));
        data.entries.insert(key.to_vec(), (value.to_vec(), next));
        Ok(())
    }

    /// Opens a queue of one's own, or makes it; `notify` is told about its messages.
    pub(super) fn register_queue(&self, vm: &str, name: &[u8], notify: Arc<Notify>) -> Result<u32, Status> {
        let mut inner = self.inner();
        let number = match inner.queue(vm, name) {
            Some(number) => number,
            None if inner.queues.iter().filter(|queue| queue.vm == vm).count() >= MOST_NAMES => {
                return Err(Status::InternalFailure);
            }
            None => {
                let (vm, name) = (vm.to_owned(), name.to_vec());
                inner.queues.push(Queue { vm, name, messages: VecDeque::new(), bytes: 0, subscribers: Vec::new() });
                inner.queues.len() - 1
            }
        };
        let subscribers = &mut inner.queues[number].subscribers;
        subscribers.retain(|other| Arc::strong_count(other) > 1 && !Arc::ptr_eq(other, &notify));
        subscribers.push(notify);
        Ok(id(number))
    }

    pub(super) fn resolve_queue(&self, vm: &str, name: &[u8]) -> Option<u32> {
        self.inner().queue(vm, name).map(id)
    }

    pub(super) fn enqueue(&self, queue: u32, message: &[u8]) -> Result<(), Status> {
        let mut inner = self.inner();
        let queue = inner.at(queue).ok_or(Status::NotFound)?;
        if queue.bytes + message.len() > MOST_BYTES {
            return Err(Status::InternalFailure);
        }
        queue.bytes += message.len();
        queue.messages.push_back(message.to_vec());
        queue.subscribers.iter().for_each(|notify| notify.notify_one());
        Ok(())
    }

    pub(super) fn dequeue(&self, queue: u32) -> Result<Vec<u8>, Status> {
        let mut inner = self.inner();
        let queue = inner.at(queue).ok_or(Status::NotFound)?;
        let message = queue.messages.pop_front().ok_or(Status::Empty)?;
        queue.bytes -= message.len();
        Ok(message)
    }

    /// The queues of `queues` that hold messages.
    pub(super) fn ready(&self, queues: &[u32]) -> Vec<u32> {
        let mut inner = self.inner();
        queues
            .iter()
            .copied()
            .filter(|queue| inner.at(*queue).is_some_and(|queue| !queue.messages.is_empty()))
            .collect()
    }

    pub(super) fn define_metric(&self, vm: &str, kind: MetricKind, name: String) -> Result<u32, Status> {
        let mut inner = self.inner();
        let known = inner.metrics.iter().position(|metric| metric.vm == vm && metric.name == name);
        match known {
            Some(number) if inner.metrics[number].kind == kind => Ok(id(number)),
            Some(_) => Err(Status::BadArgument),
            None if inner.metrics.iter().filter(|metric| metric.vm == vm).count() >= MOST_NAMES => {
                Err(Status::InternalFailure)
            }
            None => {
                inner.metrics.push(Metric { vm: vm.to_owned(), name, kind, value: 0, count: 0 });
                Ok(id(inner.metrics.len() - 1))
            }
        }
    }

    /// Changes a metric of this VM.
    pub(super) fn change_metric<R>(
        &self,
        vm: &str,
        metric: u32,
        change: impl FnOnce(&mut Metric) -> Result<R, Status>,
    ) -> Result<R, Status> {
        let mut inner = self.inner();
        let number = (metric as usize).checked_sub(1).ok_or(Status::NotFound)?;
        let metric = inner.metrics.get_mut(number).filter(|metric| metric.vm == vm);
        change(metric.ok_or(Status::NotFound)?)
    }

    /// All metrics by VM and name, for whoever publishes them.
    pub fn metrics(&self) -> BTreeMap<(String, String), Metric> {
        let inner = self.inner();
        inner.metrics.iter().map(|metric| ((metric.vm.clone(), metric.name.clone()), metric.clone())).collect()
    }
}

impl Inner {
    fn queue(&self, vm: &str, name: &[u8]) -> Option<usize> {
        self.queues.iter().position(|queue| queue.vm == vm && queue.name == name)
    }

    fn at(&mut self, queue: u32) -> Option<&mut Queue> {
        self.queues.get_mut((queue as usize).checked_sub(1)?)
    }
}

/// Guests take 0 for nothing.
fn id(number: usize) -> u32 {
    u32::try_from(number + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_compared_by_number_and_belongs_to_one_vm() {
        let services = Services::default();
        assert_eq!(services.set_data("a", b"k", b"1", 0), Ok(()));
        assert_eq!(services.data("a", b"k"), Some((b"1".to_vec(), 1)));
        assert_eq!(services.data("b", b"k"), None);
        assert_eq!(services.set_data("a", b"k", b"2", 1), Ok(()));
        assert_eq!(services.set_data("a", b"k", b"3", 1), Err(Status::CasMismatch));
        assert_eq!(services.set_data("a", b"none", b"3", 1), Err(Status::CasMismatch));
        assert_eq!(services.data("a", b"k"), Some((b"2".to_vec(), 2)));
    }

    #[test]
    fn data_and_queues_have_a_bound() {
        let services = Services::default();
        let large = vec![0; MOST_BYTES - 1];
        assert_eq!(services.set_data("a", b"k", &large, 0), Ok(()));
        assert_eq!(services.set_data("a", b"l", b"1", 0), Err(Status::InternalFailure));
        assert_eq!(services.set_data("a", b"k", &large, 0), Ok(()), "the old value makes room");
        let queue = services.register_queue("a", b"q", Arc::default()).unwrap();
        assert_eq!(services.enqueue(queue, &large), Ok(()));
        assert_eq!(services.enqueue(queue, b"12"), Err(Status::InternalFailure));
        services.dequeue(queue).unwrap();
        assert_eq!(services.enqueue(queue, b"12"), Ok(()));
    }
}
