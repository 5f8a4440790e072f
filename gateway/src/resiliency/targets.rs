//! What policies apply to, and the names by which they are found.

use std::fmt;

/// The kind of a component, as policies and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComponentType {
    Binding,
    Configuration,
    Conversation,
    Crypto,
    Lock,
    Pubsub,
    Secretstore,
    Statestore,
}

impl ComponentType {
    pub const ALL: [Self; 8] = [
        Self::Binding,
        Self::Configuration,
        Self::Conversation,
        Self::Crypto,
        Self::Lock,
        Self::Pubsub,
        Self::Secretstore,
        Self::Statestore,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "Binding",
            Self::Configuration => "Configuration",
            Self::Conversation => "Conversation",
            Self::Crypto => "Crypto",
            Self::Lock => "Lock",
            Self::Pubsub => "Pubsub",
            Self::Secretstore => "Secretstore",
            Self::Statestore => "Statestore",
        }
    }
}

/// Policies that are there without any resource; a resource may give another of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// Calls to other apps' sidecars.
    ServiceRetries,
    ActorRetries,
    ActorReminderRetries,
    /// Cannot be replaced.
    ActorNotFoundRetries,
    InitializationRetries,
}

impl BuiltIn {
    pub const ALL: [Self; 5] = [
        Self::ServiceRetries,
        Self::ActorRetries,
        Self::ActorReminderRetries,
        Self::ActorNotFoundRetries,
        Self::InitializationRetries,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceRetries => "DaprBuiltInServiceRetries",
            Self::ActorRetries => "DaprBuiltInActorRetries",
            Self::ActorReminderRetries => "DaprBuiltInActorReminderRetries",
            Self::ActorNotFoundRetries => "DaprBuiltInActorNotFoundRetries",
            Self::InitializationRetries => "DaprBuiltInInitializationRetries",
        }
    }
}

/// How log lines name what a policy is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Endpoint { app: Box<str>, endpoint: Box<str> },
    Actor { kind: Box<str>, id: Box<str> },
    Outbound(Box<str>),
    Inbound(Box<str>),
    BuiltIn(&'static str),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint { app, endpoint } => write!(f, "endpoint[{app}, {endpoint}]"),
            Self::Actor { kind, id } => write!(f, "actor[{kind}, {id}]"),
            Self::Outbound(name) => write!(f, "component[{name}] output"),
            Self::Inbound(name) => write!(f, "component[{name}] input"),
            Self::BuiltIn(name) => f.write_str(name),
        }
    }
}

/// Names under which a default is looked for, the most specific first: `Default{level}{kind}`.
pub fn default_names(levels: &[String], kind: &str) -> Vec<String> {
    levels.iter().map(String::as_str).chain([""]).map(|level| format!("Default{level}{kind}")).collect()
}

/// The levels of a component's defaults.
pub fn component_levels(kind: ComponentType, direction: &str) -> Vec<String> {
    vec![format!("{}Component{direction}", kind.as_str()), format!("Component{direction}"), "Component".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_go_from_specific_to_general() {
        assert_eq!(
            default_names(&component_levels(ComponentType::Statestore, "Outbound"), "RetryPolicy"),
            [
                "DefaultStatestoreComponentOutboundRetryPolicy",
                "DefaultComponentOutboundRetryPolicy",
                "DefaultComponentRetryPolicy",
                "DefaultRetryPolicy",
            ]
        );
    }
}
