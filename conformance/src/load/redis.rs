//! A Redis of the Debian package `redis-server`, on a free port, asked through its own `redis-cli`.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::target::{Process, free_ports};

/// A running server without persistence; it ends with its value.
pub struct Redis {
    /// Its port on the loopback interface.
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not: the packages redis-server and redis-tools are needed.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port] = free_ports();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()]);
        command.current_dir(folder.path());
        let mut process = Process::start(command, &folder.path().join("log"));
        process.wait_until("an answer to PING", Duration::from_secs(20), || {
            let mut ping = Command::new("redis-cli");
            ping.args(["-p", &port.to_string(), "PING"]).stderr(Stdio::null());
            ping.output().is_ok_and(|answer| answer.stdout.starts_with(b"PONG"))
        });
        Self { port, _process: process, _folder: folder }
    }

    /// The component `name` of a type (`pubsub.redis`, `state.redis`) on this server, with more lines of metadata (name,
    /// value).
    pub fn resource(&self, kind: &str, name: &str, more: &[(&str, &str)]) -> String {
        let port = self.port;
        let mut yaml = format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  type: {kind}\n  \
             version: v1\n  metadata:\n  - name: redisHost\n    value: 127.0.0.1:{port}\n"
        );
        for (key, value) in more {
            yaml.push_str(&format!("  - name: {key}\n    value: \"{value}\"\n"));
        }
        yaml
    }

    /// The answer to a command, as JSON.
    ///
    /// # Errors
    /// The server's own text.
    pub fn ask(&self, command: &[&str]) -> Result<Value, String> {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "--json"])
            .args(command)
            .output()
            .map_err(|error| format!("redis-cli does not run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).map_err(|_| format!("{}: {text}", command.join(" ")))
    }

    /// How many entries a group of a stream has taken and not acknowledged, and how many it has not taken yet.
    ///
    /// # Errors
    /// There is no such stream or group.
    pub fn backlog(&self, stream: &str, group: &str) -> Result<(u64, u64), String> {
        let groups = self.ask(&["XINFO", "GROUPS", stream])?;
        let groups = groups.as_array().map(Vec::as_slice).unwrap_or_default();
        let found = groups.iter().find(|one| one["name"] == group).ok_or_else(|| format!("no group {group}"))?;
        Ok((found["pending"].as_u64().unwrap_or(0), found["lag"].as_u64().unwrap_or(0)))
    }

    /// The numbers of the messages that a group has acknowledged: taken and no longer pending.
    ///
    /// # Errors
    /// There is no such stream or group.
    pub fn acknowledged(&self, stream: &str, group: &str) -> Result<Vec<u64>, String> {
        let groups = self.ask(&["XINFO", "GROUPS", stream])?;
        let groups = groups.as_array().map(Vec::as_slice).unwrap_or_default();
        let found = groups.iter().find(|one| one["name"] == group).ok_or_else(|| format!("no group {group}"))?;
        let last = found["last-delivered-id"].as_str().unwrap_or("0-0").to_owned();
        let taken = self.ask(&["XRANGE", stream, "-", &last])?;
        let pending = self.ask(&["XPENDING", stream, group, "-", "+", "1000000"])?;
        let pending = pending.as_array().map(Vec::as_slice).unwrap_or_default();
        let pending: HashMap<&str, ()> =
            pending.iter().filter_map(|one| Some((one.as_array()?.first()?.as_str()?, ()))).collect();
        let taken = taken.as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers = taken.iter().filter_map(|entry| {
            let (id, fields) = (entry.get(0)?.as_str()?, entry.get(1)?);
            if pending.contains_key(id) { None } else { number_in(fields) }
        });
        Ok(numbers.collect())
    }
}

/// The message's number in an entry's field `data`, whichever way redis-cli shows fields.
fn number_in(fields: &Value) -> Option<u64> {
    let data = match fields {
        Value::Array(fields) => fields.chunks(2).find(|pair| pair[0] == "data")?.get(1)?,
        fields => fields.get("data")?,
    };
    let event: Value = serde_json::from_str(data.as_str()?).ok()?;
    event["data"]["number"].as_u64()
}
