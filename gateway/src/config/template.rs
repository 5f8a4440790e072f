//! The placeholders in component properties: `{uuid}`, `{podName}`, `{namespace}`, `{appID}`.

/// What the placeholders stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub app_id: String,
    /// The value of `NAMESPACE`, empty when unset.
    pub namespace: String,
    /// The value of `POD_NAME`, empty when unset.
    pub pod_name: String,
}

/// A placeholder that has no value here; the text is daprd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse metadata: property {property} refers to {{podName}} but podName is not set")]
pub struct TemplateError {
    pub property: String,
}

impl Identity {
    /// Puts the values in. Each `{uuid}` becomes another UUID v4; `{namespace}` is `<namespace>.<app id>`.
    pub fn apply(&self, property: &str, text: String) -> Result<String, TemplateError> {
        if !text.contains('{') {
            return Ok(text);
        }
        let mut text = text;
        while text.contains("{uuid}") {
            text = text.replacen("{uuid}", &uuid::Uuid::new_v4().to_string(), 1);
        }
        if text.contains("{podName}") {
            if self.pod_name.is_empty() {
                return Err(TemplateError { property: property.to_owned() });
            }
            text = text.replace("{podName}", &self.pod_name);
        }
        Ok(text.replace("{namespace}", &format!("{}.{}", self.namespace, self.app_id)).replace("{appID}", &self.app_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { app_id: "shop".into(), namespace: "eu".into(), pod_name: "shop-0".into() }
    }

    #[test]
    fn placeholders_are_filled_in() {
        let text = identity().apply("p", "{appID}/{namespace}/{podName}/{other}".into()).unwrap();
        assert_eq!(text, "shop/eu.shop/shop-0/{other}");
    }

    #[test]
    fn each_uuid_is_another() {
        let text = identity().apply("p", "{uuid} {uuid}".into()).unwrap();
        let (first, second) = text.split_once(' ').unwrap();
        assert_eq!(first.len(), 36);
        assert_ne!(first, second);
    }

    #[test]
    fn a_pod_name_must_be_known() {
        let error = Identity::default().apply("consumerID", "{podName}".into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to parse metadata: property consumerID refers to {podName} but podName is not set"
        );
    }
}
