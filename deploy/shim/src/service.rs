//! containerd's Task API: one [`Task`] for each container of this shim.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use containerd_shim_protos::api::{self, Empty};
use containerd_shim_protos::events::task as event;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::shim_async;
use containerd_shim_protos::ttrpc::Result;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use containerd_shim_protos::types::task::{ProcessInfo, Status as ProtoStatus};
use tokio::sync::Notify;

use crate::events::Events;
use crate::task::{Status, Task};
use crate::{error, stats};

pub struct Service {
    namespace: String,
    events: Events,
    tasks: Mutex<HashMap<String, Arc<Task>>>,
    end: Notify,
}

impl Service {
    pub fn new(namespace: &str, events: Events) -> Self {
        Self { namespace: namespace.to_owned(), events, tasks: Mutex::default(), end: Notify::new() }
    }

    /// Returns when containerd needs this process no more.
    pub async fn ended(&self) {
        self.end.notified().await;
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Task>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container, which is all that there is: nothing can be run beside its function.
    fn task(&self, id: &str, exec_id: &str) -> Result<Arc<Task>> {
        if !exec_id.is_empty() {
            return Err(error::not_found(format!("the container {id} has no process {exec_id}")));
        }
        let found = self.tasks().get(id).cloned();
        found.ok_or_else(|| error::not_found(format!("there is no container {id} in this shim")))
    }
}

#[async_trait]
impl shim_async::Task for Service {
    async fn create(&self, _: &TtrpcContext, request: api::CreateTaskRequest) -> Result<api::CreateTaskResponse> {
        let id = request.id.clone();
        if self.tasks().contains_key(&id) {
            return Err(error::exists(format!("the container {id} is there already")));
        }
        if !request.checkpoint.is_empty() {
            return Err(error::unsupported("restoring a checkpoint"));
        }
        let (namespace, events, asked) = (self.namespace.clone(), self.events.clone(), request.clone());
        // In a task on this runtime's threads for what waits: it mounts and reads files.
        let runtime = tokio::runtime::Handle::current();
        let creating = tokio::task::spawn_blocking(move || {
            let _runtime = runtime.enter();
            Task::create(&asked, &namespace, events)
        });
        let task = creating.await.map_err(|error| error::invalid(error.to_string()))?.map_err(error::invalid)?;
        let pid = task.pid();
        self.tasks().insert(id.clone(), Arc::new(task));
        let io = event::TaskIO {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
            ..event::TaskIO::default()
        };
        let event = event::TaskCreate {
            container_id: id,
            bundle: request.bundle,
            rootfs: request.rootfs,
            io: MessageField::some(io),
            pid,
            ..event::TaskCreate::default()
        };
        self.events.publish("/tasks/create", &event);
        Ok(api::CreateTaskResponse { pid, ..api::CreateTaskResponse::default() })
    }

    async fn start(&self, _: &TtrpcContext, request: api::StartRequest) -> Result<api::StartResponse> {
        let task = self.task(&request.id, &request.exec_id)?;
        task.start().await?;
        let event = event::TaskStart { container_id: request.id, pid: task.pid(), ..event::TaskStart::default() };
        self.events.publish("/tasks/start", &event);
        Ok(api::StartResponse { pid: task.pid(), ..api::StartResponse::default() })
    }

    async fn state(&self, _: &TtrpcContext, request: api::StateRequest) -> Result<api::StateResponse> {
        let task = self.task(&request.id, &request.exec_id)?;
        let mut response = api::StateResponse {
            id: task.id.clone(),
            bundle: task.bundle.to_string_lossy().into_owned(),
            pid: task.pid(),
            stdin: task.stdin.clone(),
            stdout: task.stdout.clone(),
            stderr: task.stderr.clone(),
            terminal: task.terminal,
            ..api::StateResponse::default()
        };
        match task.status() {
            Status::Created => response.set_status(ProtoStatus::CREATED),
            Status::Running => response.set_status(ProtoStatus::RUNNING),
            Status::Stopped { code, at } => {
                response.set_status(ProtoStatus::STOPPED);
                response.set_exit_status(code);
                response.set_exited_at(at.into());
            }
        }
        Ok(response)
    }

    async fn pids(&self, _: &TtrpcContext, request: api::PidsRequest) -> Result<api::PidsResponse> {
        let task = self.task(&request.id, "")?;
        let process = ProcessInfo { pid: task.pid(), ..ProcessInfo::default() };
        Ok(api::PidsResponse { processes: vec![process], ..api::PidsResponse::default() })
    }

    async fn kill(&self, _: &TtrpcContext, request: api::KillRequest) -> Result<Empty> {
        // `all` or not is the same: there is one of them.
        self.task(&request.id, &request.exec_id)?.kill(request.signal).await.map(|()| Empty::new())
    }

    async fn wait(&self, _: &TtrpcContext, request: api::WaitRequest) -> Result<api::WaitResponse> {
        let (code, at) = self.task(&request.id, &request.exec_id)?.ended().await;
        let mut response = api::WaitResponse::new();
        response.set_exit_status(code);
        response.set_exited_at(at.into());
        Ok(response)
    }

    async fn delete(&self, _: &TtrpcContext, request: api::DeleteRequest) -> Result<api::DeleteResponse> {
        let task = self.task(&request.id, &request.exec_id)?;
        task.delete().await?;
        self.tasks().remove(&request.id);
        let mut response = api::DeleteResponse::new();
        response.set_pid(task.pid());
        if let Status::Stopped { code, at } = task.status() {
            response.set_exit_status(code);
            response.set_exited_at(at.into());
        }
        let event = event::TaskDelete {
            container_id: request.id.clone(),
            id: request.id,
            pid: response.pid,
            exit_status: response.exit_status,
            exited_at: response.exited_at.clone(),
            ..event::TaskDelete::default()
        };
        self.events.publish("/tasks/delete", &event);
        Ok(response)
    }

    async fn stats(&self, _: &TtrpcContext, request: api::StatsRequest) -> Result<api::StatsResponse> {
        let function = self.task(&request.id, "")?.function().await?;
        let mut response = api::StatsResponse::new();
        response.set_stats(stats::of(&function));
        Ok(response)
    }

    async fn update(&self, _: &TtrpcContext, request: api::UpdateTaskRequest) -> Result<Empty> {
        let task = self.task(&request.id, "")?;
        let resources = serde_json::from_slice(&request.resources.value);
        let resources = resources.map_err(|error| error::invalid(format!("the resources: {error}")))?;
        task.update(&resources).await.map(|()| Empty::new())
    }

    async fn connect(&self, _: &TtrpcContext, request: api::ConnectRequest) -> Result<api::ConnectResponse> {
        let task_pid = self.task(&request.id, "").map_or(0, |task| task.pid());
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(api::ConnectResponse { shim_pid: std::process::id(), task_pid, version, ..api::ConnectResponse::default() })
    }

    async fn shutdown(&self, _: &TtrpcContext, _: api::ShutdownRequest) -> Result<Empty> {
        // The other containers of the pod still need it.
        if self.tasks().is_empty() {
            self.end.notify_one();
        }
        Ok(Empty::new())
    }

    async fn exec(&self, _: &TtrpcContext, _: api::ExecProcessRequest) -> Result<Empty> {
        Err(error::unsupported("running a process in a container"))
    }

    async fn pause(&self, _: &TtrpcContext, _: api::PauseRequest) -> Result<Empty> {
        Err(error::unsupported("pausing a container"))
    }

    async fn resume(&self, _: &TtrpcContext, _: api::ResumeRequest) -> Result<Empty> {
        Err(error::unsupported("resuming a container"))
    }

    async fn checkpoint(&self, _: &TtrpcContext, _: api::CheckpointTaskRequest) -> Result<Empty> {
        Err(error::unsupported("a checkpoint"))
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: api::ResizePtyRequest) -> Result<Empty> {
        // A function's lines are as long as they are.
        self.task(&request.id, &request.exec_id).map(|_| Empty::new())
    }

    async fn close_io(&self, _: &TtrpcContext, request: api::CloseIORequest) -> Result<Empty> {
        // Functions have no standard input.
        self.task(&request.id, &request.exec_id).map(|_| Empty::new())
    }
}
