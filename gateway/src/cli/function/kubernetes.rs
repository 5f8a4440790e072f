//! A function as Kubernetes runs it: a gateway of its own, with manifest and module in a ConfigMap.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::inspect::{Look, size};
use super::manifest::Project;
use super::{Outcome, place};

/// The most bytes of a module in a ConfigMap: the whole of one is 1 MiB, and base64 makes four bytes of three.
const LARGEST: usize = 700 << 10;

/// Where the gateway serves functions, and its checks.
const PORT: u16 = 3000;
const PUBLIC_PORT: u16 = 3501;

/// ConfigMap, Deployment and Service, as one YAML text.
///
/// `image` is the gateway's. `module` is where the gateway fetches the module from; `None`: it is in the ConfigMap.
///
/// # Errors
/// The module is too large for a ConfigMap.
pub fn resources(project: &Project, look: &Look, image: &str, module: Option<&str>) -> Outcome<String> {
    let name = project.name.as_str();
    let file = format!("{name}.wasm");
    let manifest = place::manifest(project, module.unwrap_or(&file), look.sha256())?;
    let labels = json!({"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "ottavo"});
    let metadata = json!({"name": name, "labels": labels});
    let mut files = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {format!("{name}.yaml"): manifest},
    });
    if module.is_none() {
        if look.bytes().len() > LARGEST {
            return Err(project.failure(&format!(
                "the module is {} large, and a ConfigMap takes {}: push it to a registry, and name it with --module oci://...",
                size(look.bytes().len() as u64),
                size(LARGEST as u64)
            )));
        }
        files["binaryData"] = json!({file: BASE64_STANDARD.encode(look.bytes())});
    }
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {
                // Pods are made anew when what they run is.
                "metadata": {"labels": labels, "annotations": {"ottavo.io/module": format!("sha256:{}", look.sha256())}},
                "spec": {"containers": [container(name, image)], "volumes": [
                    {"name": "resources", "configMap": {"name": name}},
                    {"name": "tmp", "emptyDir": {}},
                ]},
            },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "http", "port": 80, "targetPort": PORT}],
        },
    });
    let texts: Result<Vec<String>, _> = [files, deployment, service].iter().map(serde_saphyr::to_string).collect();
    Ok(texts.map_err(|error| project.failure(&error.to_string()))?.join("---\n"))
}

fn container(name: &str, image: &str) -> Value {
    json!({
        "name": "ottavo", "image": image,
        "args": [
            "/daprd", "--app-id", name, "--resources-path", "/resources", "--functions-port", PORT.to_string(),
            "--dapr-public-port", PUBLIC_PORT.to_string(),
            // Other pods reach the function, and nothing of the API.
            "--dapr-listen-addresses", "0.0.0.0", "--unix-domain-socket", "/tmp",
        ],
        "ports": [{"name": "functions", "containerPort": PORT}, {"name": "metrics", "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/v1.0/healthz", "port": PUBLIC_PORT}, "periodSeconds": 3},
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "resources", "mountPath": "/resources", "readOnly": true},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn made(module: &[u8], from: Option<&str>) -> Outcome<Vec<Value>> {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "kind: Function\nmetadata: {name: a}\nspec: {module: a.wasm, build: {command: make}}";
        std::fs::write(folder.path().join("function.yaml"), manifest).unwrap();
        std::fs::write(folder.path().join("a.wasm"), module).unwrap();
        let project = Project::read(folder.path()).unwrap();
        let look = Look::cached(&project.module()?, None)?;
        let text = resources(&project, &look, "ottavo:1", from)?;
        Ok(text.split("---\n").map(|text| yaml::parse(text).unwrap()).collect())
    }

    #[test]
    fn the_module_is_in_the_config_map_and_the_gateway_reads_it_there() {
        let module = wat::parse_str("(module)").unwrap();
        let made = made(&module, None).unwrap();
        let [files, deployment, service] = &made[..] else { panic!("{made:?}") };
        assert_eq!(files["binaryData"]["a.wasm"], json!(BASE64_STANDARD.encode(&module)));
        let manifest = yaml::parse(files["data"]["a.yaml"].as_str().unwrap()).unwrap();
        assert_eq!(manifest["spec"]["module"], "a.wasm");
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["volumes"][0]["configMap"]["name"], files["metadata"]["name"]);
        assert_eq!(pod["containers"][0]["image"], "ottavo:1");
        assert_eq!(service["spec"]["ports"][0]["targetPort"], pod["containers"][0]["ports"][0]["containerPort"]);
    }

    #[test]
    fn a_module_that_is_too_large_comes_from_a_registry() {
        let large =
            wat::parse_str(format!("(module (memory 100) (data (i32.const 0) \"{}\"))", "x".repeat(LARGEST + 10_240)))
                .unwrap();
        let error = made(&large, None).unwrap_err();
        assert!(error.0.contains("the module is 710.0 KiB large, and a ConfigMap takes 700.0 KiB"), "{}", error.0);
        let made = made(&large, Some("oci://registry.example.com/a:1")).unwrap();
        assert!(made[0].get("binaryData").is_none());
        assert!(made[0]["data"]["a.yaml"].as_str().unwrap().contains("oci://registry.example.com/a:1"));
    }
}
