//! Conformance of a sidecar: cases, real SDKs, real servers.
