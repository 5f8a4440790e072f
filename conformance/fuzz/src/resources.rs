//! The texts of a resource file into what the sidecar is built from.
//!
//! An input is the text of one file: YAML or JSON, with any number of documents.

use std::collections::BTreeMap;

use gateway::blocks::invoke::Endpoint;
use gateway::config::load::{Folders, Scope};
use gateway::config::template::Identity;
use gateway::config::{Configuration, Environment, yaml};
use gateway::inbound::subscription::Subscription;
use gateway::resiliency::Policies;
use gateway::telemetry::Metrics;

/// Decodes it all; errors are fine, crashes are not.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(value) = yaml::parse(text) {
        // An error says that it is no Configuration.
        let _ = Configuration::from_value(value);
    }
    let folders = Folders::of_texts([("fuzz.yaml".into(), text.to_owned())]);
    let scope = Scope { app_id: "app".to_owned(), namespace: None };
    let Ok(resources) = folders.resources(&scope) else { return };
    let (secrets, environment, identity) = (BTreeMap::new(), Environment::default(), Identity::default());
    for component in &resources.components {
        component.init_timeout();
        component.block();
        component.secret_names();
        component.is_namespace_scoped();
        // An error says that a template cannot be filled in.
        let _ = component.properties(&secrets, &environment, &identity);
    }
    for endpoint in &resources.http_endpoints {
        // An error says what is wrong with the endpoint.
        let _ = Endpoint::new(endpoint, &secrets, &environment);
    }
    for subscription in &resources.subscriptions {
        // An error says what is wrong with the subscription.
        let _ = Subscription::try_from(subscription);
    }
    Policies::new(&resources.resiliencies, Metrics::disabled());
}
