//! What Kubernetes says of a container: annotations that containerd's CRI plugin writes.

use std::collections::BTreeMap;

pub type Annotations = BTreeMap<String, String>;

fn get<'a>(annotations: &'a Annotations, name: &str) -> Option<&'a str> {
    annotations.get(&format!("io.kubernetes.cri.{name}")).map(String::as_str).filter(|value| !value.is_empty())
}

/// A pod's own container, which holds its place and is no function.
pub fn is_sandbox(annotations: &Annotations) -> bool {
    get(annotations, "container-type") == Some("sandbox")
}

/// The pod to which a container belongs: its containers share a shim.
pub fn sandbox_id(annotations: &Annotations) -> Option<&str> {
    get(annotations, "sandbox-id")
}

/// Name of the container in its pod, and of the pod.
pub fn names(annotations: &Annotations) -> Option<(&str, &str)> {
    Some((get(annotations, "container-name")?, get(annotations, "sandbox-name")?))
}

/// The pod's namespace.
pub fn namespace(annotations: &Annotations) -> Option<&str> {
    get(annotations, "sandbox-namespace")
}
