//! The life of one container: created, running as a function of the gateway, stopped.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::CreateTaskRequest;
use containerd_shim_protos::events::task::TaskExit;
use containerd_shim_protos::ttrpc;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bundle::{Resources, Spec};
use crate::events::Events;
use crate::function::Plan;
use crate::gateway::{Failure, Gateway};
use crate::output::Output;
use crate::record::Record;
use crate::{cri, error, manifest, mounts};

/// Exit code of a container whose function was taken away by somebody else.
const GONE: u32 = 1;

/// Between two looks at a gateway that does not answer, or whose function is another container's now.
const PAUSE: Duration = Duration::from_millis(500);

/// The time that a function's last lines get to arrive.
const LAST_LINES: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Stopped { code: u32, at: SystemTime },
}

/// What a container was created with.
pub struct Task {
    pub id: String,
    pub bundle: PathBuf,
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
    pub terminal: bool,
    rootfs: PathBuf,
    /// `None`: a pod's sandbox, which is held and does nothing.
    plan: Option<Plan>,
    status: watch::Sender<Status>,
    /// Until the container runs.
    outputs: Mutex<Option<Outputs>>,
    follower: Mutex<Option<JoinHandle<()>>>,
    /// The end has begun: that the function is gone is no news any more.
    is_ending: AtomicBool,
    /// Held by whoever changes the container.
    changing: tokio::sync::Mutex<()>,
    events: Events,
}

struct Outputs {
    stdout: Output,
    stderr: Output,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Task {
    /// Mounts the image's files, and reads what the container is to be.
    ///
    /// # Errors
    /// What is wrong with the image, or with what the container says.
    pub fn create(request: &CreateTaskRequest, namespace: &str, events: Events) -> Result<Self, String> {
        let bundle = PathBuf::from(&request.bundle);
        let spec = Spec::read(&bundle)?;
        let rootfs = spec.rootfs(&bundle);
        mounts::attach(&request.rootfs, &rootfs)?;
        let made = || {
            let is_sandbox = cri::is_sandbox(&spec.annotations);
            let plan = (!is_sandbox).then(|| Plan::of(&spec, &bundle, namespace, &request.id)).transpose()?;
            let outputs = Outputs { stdout: Output::open(&request.stdout)?, stderr: Output::open(&request.stderr)? };
            Ok((plan, outputs))
        };
        let (plan, outputs) = made().inspect_err(|_: &String| mounts::detach(&rootfs))?;
        Ok(Self {
            id: request.id.clone(),
            bundle,
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
            rootfs,
            plan,
            status: watch::Sender::new(Status::Created),
            outputs: Mutex::new(Some(outputs)),
            follower: Mutex::default(),
            is_ending: AtomicBool::new(false),
            changing: tokio::sync::Mutex::default(),
            events,
        })
    }

    /// The process that stands for the container: it has none of its own.
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Waits for the end; exit code and time.
    pub async fn ended(&self) -> (u32, SystemTime) {
        let mut status = self.status.subscribe();
        loop {
            if let Status::Stopped { code, at } = *status.borrow_and_update() {
                return (code, at);
            }
            // The sender lives as long as this value.
            let _ = status.changed().await;
        }
    }

    /// Puts the function to the gateway.
    ///
    /// # Errors
    /// In the gateway's words, why it cannot be.
    pub async fn start(self: &Arc<Self>) -> ttrpc::Result<()> {
        let _changing = self.changing.lock().await;
        if self.status() != Status::Created {
            return Err(error::wrong_state(format!("the container {} was started before", self.id)));
        }
        let Some(plan) = &self.plan else {
            self.status.send_replace(Status::Running);
            return Ok(());
        };
        let lines = self.install(plan).await?;
        self.status.send_replace(Status::Running);
        let outputs = lock(&self.outputs).take().unwrap_or(Outputs::NONE);
        let task = self.clone();
        *lock(&self.follower) = Some(tokio::spawn(async move { task.follow(lines, outputs).await }));
        Ok(())
    }

    async fn install(&self, plan: &Plan) -> ttrpc::Result<Option<Incoming>> {
        let Plan { record, gateway, .. } = plan;
        let failed = |failure: &Failure| {
            crate::log(&format!("the function {} does not start: {failure}", record.name));
            error::gateway(failure)
        };
        let module = plan.module.read().map_err(error::invalid)?;
        let module = gateway.bring(module).await.map_err(|failure| failed(&failure))?;
        // From here on, whatever becomes of this process, the function will be taken away.
        record.write(&self.bundle).map_err(error::invalid)?;
        if let Err(failure) = gateway.put(record, module, &plan.spec).await {
            if matches!(failure, Failure::Refused { .. }) {
                Record::remove(&self.bundle);
            }
            return Err(failed(&failure));
        }
        Ok(gateway.follow(record).await.ok())
    }

    /// Copies the function's lines until the end, which is here when the function is gone.
    async fn follow(&self, lines: Option<Incoming>, mut outputs: Outputs) {
        let Some(Plan { record, gateway, .. }) = &self.plan else { return };
        let mut lines = lines;
        loop {
            if let Some(lines) = lines.take() {
                copy(lines, &mut outputs.stdout).await;
            }
            if self.is_ending.load(Ordering::Relaxed) {
                return;
            }
            match gateway.get(record).await {
                // The lines are those of another container that has put its function in the place of this one's.
                Ok(function) if function.get("owner").and_then(Value::as_str) != Some(&record.owner) => {}
                Ok(_) => lines = gateway.follow(record).await.ok(),
                Err(failure) if failure.is_unknown() && !self.is_ending.load(Ordering::Relaxed) => {
                    let line = format!("ottavo: the function {} was taken from its gateway\n", record.name);
                    outputs.stderr.write(line.as_bytes()).await;
                    drop(outputs);
                    Record::remove(&self.bundle);
                    self.stop(GONE);
                    return;
                }
                Err(_) => {}
            }
            if lines.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Ends the container as `signal` ends a process.
    ///
    /// # Errors
    /// It has ended already.
    pub async fn kill(&self, signal: u32) -> ttrpc::Result<()> {
        let _changing = self.changing.lock().await;
        if matches!(self.status(), Status::Stopped { .. }) {
            return Err(error::not_found(format!("the container {} has ended", self.id)));
        }
        if !ends(signal) {
            return Ok(());
        }
        self.is_ending.store(true, Ordering::Relaxed);
        if let Err(reason) = self.uninstall().await {
            // The container ends in any case; its function is taken away before it can be deleted.
            crate::log(&reason);
        }
        let follower = lock(&self.follower).take();
        if let Some(mut follower) = follower
            && tokio::time::timeout(LAST_LINES, &mut follower).await.is_err()
        {
            follower.abort();
        }
        lock(&self.outputs).take();
        self.stop(128 + signal);
        Ok(())
    }

    /// Takes the function away if it may be at the gateway.
    async fn uninstall(&self) -> Result<(), String> {
        let Some(record) = Record::read(&self.bundle) else { return Ok(()) };
        let failed = |reason: String| format!("the function {} may still be at its gateway: {reason}", record.name);
        let gateway = Gateway::recorded(&record).map_err(failed)?;
        gateway.delete(&record).await.map_err(|failure| failed(failure.to_string()))?;
        Record::remove(&self.bundle);
        Ok(())
    }

    fn stop(&self, code: u32) {
        let at = SystemTime::now();
        let is_first = self.status.send_if_modified(|status| {
            let is_first = !matches!(status, Status::Stopped { .. });
            if is_first {
                *status = Status::Stopped { code, at };
            }
            is_first
        });
        if is_first {
            let mut event = TaskExit::new();
            event.set_container_id(self.id.clone());
            event.set_id(self.id.clone());
            event.set_pid(self.pid());
            event.set_exit_status(code);
            event.set_exited_at(at.into());
            self.events.publish("/tasks/exit", &event);
        }
    }

    /// Leaves nothing of the container behind.
    ///
    /// # Errors
    /// It runs, or its function cannot be taken away now: containerd tries again.
    pub async fn delete(&self) -> ttrpc::Result<()> {
        let _changing = self.changing.lock().await;
        if self.status() == Status::Running {
            return Err(error::wrong_state(format!("the container {} is running", self.id)));
        }
        self.is_ending.store(true, Ordering::Relaxed);
        self.uninstall().await.map_err(error::wrong_state)?;
        lock(&self.outputs).take();
        mounts::detach(&self.rootfs);
        Ok(())
    }

    /// What the gateway knows of the function; `Null` for a sandbox.
    ///
    /// # Errors
    /// No answer.
    pub async fn function(&self) -> ttrpc::Result<Value> {
        match &self.plan {
            None => Ok(Value::Null),
            Some(plan) => plan.gateway.get(&plan.record).await.map_err(|failure| error::gateway(&failure)),
        }
    }

    /// Another limit of memory, for guests from now on.
    ///
    /// # Errors
    /// In the gateway's words, why it cannot be.
    pub async fn update(&self, resources: &Resources) -> ttrpc::Result<()> {
        let _changing = self.changing.lock().await;
        let Some(plan) = self.plan.as_ref().filter(|_| self.status() == Status::Running) else { return Ok(()) };
        let mut spec = plan.spec.clone();
        manifest::limit_memory(&mut spec, resources);
        let module = plan.module.read().map_err(error::invalid)?;
        let put = async {
            let module = plan.gateway.bring(module).await?;
            plan.gateway.put(&plan.record, module, &spec).await
        };
        put.await.map_err(|failure| error::gateway(&failure))
    }
}

impl Outputs {
    const NONE: Self = Self { stdout: Output::Nowhere, stderr: Output::Nowhere };
}

async fn copy(mut lines: Incoming, stdout: &mut Output) {
    while let Some(Ok(frame)) = lines.frame().await {
        if let Ok(bytes) = frame.into_data() {
            stdout.write(&bytes).await;
        }
    }
}

/// Whether a signal ends a process that does nothing about it.
fn ends(signal: u32) -> bool {
    // 0 only asks; then CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
    !matches!(signal, 0 | 17..=23 | 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_end_a_container_as_they_end_a_process() {
        for signal in [1, 2, 3, 9, 10, 15] {
            assert!(ends(signal), "{signal}");
        }
        for signal in [0, 17, 18, 19, 23, 28] {
            assert!(!ends(signal), "{signal}");
        }
    }
}
