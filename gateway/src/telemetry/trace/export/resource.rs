//! What all spans of a sidecar have in common.

use percent_encoding::percent_decode_str;

use crate::config::Environment;

/// The name of the service, and further attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub service_name: String,
    /// Without the service's name.
    pub attributes: Vec<(String, String)>,
}

impl Resource {
    /// The app id, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say otherwise.
    pub fn new(app_id: &str, environment: &Environment) -> Self {
        let mut resource = Self { service_name: app_id.to_owned(), attributes: Vec::new() };
        for pair in environment.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default().split(',') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
            match name.trim() {
                "service.name" => resource.service_name = value,
                name => resource.attributes.push((name.to_owned(), value)),
            }
        }
        if let Some(name) = environment.non_empty("OTEL_SERVICE_NAME") {
            resource.service_name = name.to_owned();
        }
        resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_app_id() {
        assert_eq!(Resource::new("shop", &Environment::default()).service_name, "shop");
        let environment = Environment::new([("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, zone = eu%201,broken")]);
        let resource = Resource::new("shop", &environment);
        assert_eq!(resource.service_name, "a");
        assert_eq!(resource.attributes, [("zone".to_owned(), "eu 1".to_owned())]);
        let environment =
            Environment::new([("OTEL_SERVICE_NAME", "b"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a")]);
        assert_eq!(Resource::new("shop", &environment).service_name, "b");
    }
}
