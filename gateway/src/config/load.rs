//! Resources from folders, with the rules of daprd 1.18's disk loader.
//!
//! Every `*.yaml` and `*.yml` directly in a folder, by name; several documents in a file, divided by lines that begin
//! with `---`. A document belongs to a kind when `apiVersion` and `kind` match exactly. What cannot be read is logged
//! and skipped; a missing folder and two resources of one kind and name end the start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::{error, warn};

use super::component::Component;
use super::configuration::os_text;
use super::decode::decode;
use super::document::{self, Document, Head};
use super::environment::Environment;
#[cfg(feature = "wasm")]
use super::function;
use super::http_endpoint::HttpEndpoint;
use super::meta::Resource;
use super::resiliency::Resiliency;
use super::subscription::{Subscription, SubscriptionV1};
use super::unserved::{McpServer, WorkflowAccessPolicy};
use super::yaml;

/// Log scope of daprd's disk loader.
const SCOPE: &str = "dapr.runtime.loader.disk";
/// Log scope of the runtime, which loads resiliency.
pub(crate) const RUNTIME: &str = "dapr.runtime";

/// Why resources could not be loaded. Texts are daprd's: `lifecycle` puts `failed to load components: ` before them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("open {path}: {reason}")]
    Directory { path: String, reason: String },
    /// One line for each second definition, in file order.
    #[error("{}", .0.join("\n"))]
    Duplicates(Vec<String>),
}

/// For whom resources are loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub app_id: String,
    /// `NAMESPACE`; `None` takes resources of every namespace.
    pub namespace: Option<String>,
}

impl Scope {
    pub fn new(app_id: &str, environment: &Environment) -> Self {
        Self { app_id: app_id.to_owned(), namespace: environment.namespace().map(str::to_owned) }
    }
}

/// The YAML files of some folders, read once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    files: Vec<File>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: PathBuf,
    /// `None` for a file whose name does not end like YAML.
    text: Option<Result<String, String>>,
    /// Every kind of resource looks at all of them: they are read once.
    documents: Vec<Result<Document, String>>,
}

impl File {
    fn new(path: PathBuf, text: Option<Result<String, String>>) -> Self {
        let readable = text.as_ref().and_then(|text| text.as_ref().ok());
        let documents = readable.map(|text| document::split(text).map(Document::read).collect()).unwrap_or_default();
        Self { path, text, documents }
    }
}

/// Every resource that concerns one app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    pub components: Vec<Component>,
    pub http_endpoints: Vec<HttpEndpoint>,
    /// Not filtered by scope or name yet: the first declared for a topic wins, and that is the block's to say.
    pub subscriptions: Vec<Subscription>,
    pub resiliencies: Vec<Resiliency>,
    #[cfg(feature = "wasm")]
    pub functions: Functions,
}

/// The functions of some folders.
#[cfg(feature = "wasm")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Functions {
    pub functions: Vec<function::Function>,
    pub aggregations: Vec<function::service::Aggregation>,
    /// File, name, field, and what is wrong.
    pub errors: Vec<String>,
}

impl Folders {
    /// Reads `folders` in the order given.
    pub fn read<P: AsRef<Path>>(folders: &[P]) -> Result<Self, LoadError> {
        let mut files = Vec::new();
        for folder in folders {
            read_folder(folder.as_ref(), &mut files).map_err(|error| LoadError::Directory {
                path: folder.as_ref().display().to_string(),
                reason: os_text(&error),
            })?;
        }
        Ok(Self { files })
    }

    /// Files that were never on a disk, each with its name and its text.
    pub fn of_texts(files: impl IntoIterator<Item = (PathBuf, String)>) -> Self {
        Self { files: files.into_iter().map(|(path, text)| File::new(path, Some(Ok(text)))).collect() }
    }

    /// The resources of kind `T` that concern `scope`: of its namespace or none, in scope, each name once.
    pub fn load<T: Resource>(&self, scope: &Scope) -> Result<Vec<T>, LoadError> {
        filter(self.documents::<T>().into_iter().map(|(_, resource)| resource).collect(), scope)
    }

    /// Subscriptions of both versions, in the order of the documents.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let mut found: Vec<(Position, Subscription)> = self.documents::<Subscription>();
        found.extend(self.documents::<SubscriptionV1>().into_iter().map(|(at, old)| (at, old.into())));
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, subscription)| subscription).collect()
    }

    /// Resiliency resources in scope of `app_id`: the first document of each file, whatever its namespace and version.
    pub fn resiliencies(&self, app_id: &str) -> Vec<Resiliency> {
        let mut found = Vec::new();
        for file in &self.files {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let text = match &file.text {
                None => {
                    warn!(target: RUNTIME, "A non-YAML resiliency file {name} was detected, it will not be loaded");
                    continue;
                }
                Some(Err(reason)) => {
                    error!(target: RUNTIME, "Could not read resiliency file {name}: {reason}");
                    continue;
                }
                Some(Ok(text)) => text,
            };
            let head = yaml::parse(yaml::first_document(text)).map_err(|error| error.to_string()).and_then(|value| {
                let head: Head = decode(value.clone()).map_err(|error| error.to_string())?;
                Ok((head, value))
            });
            let value = match head {
                Err(reason) => {
                    error!(target: RUNTIME, "Could not determine resource type: {reason}");
                    continue;
                }
                Ok((head, _)) if head.kind != Resiliency::KIND => continue,
                Ok((_, value)) => value,
            };
            match decode::<Resiliency>(value) {
                Ok(resiliency) if resiliency.is_scoped_to(app_id) => found.push(resiliency),
                Ok(_) => {}
                Err(reason) => error!(target: RUNTIME, "Could not parse resiliency file {name}: {reason}"),
            }
        }
        found
    }

    /// Everything for `scope`, or the first error that daprd would end with.
    pub fn resources(&self, scope: &Scope) -> Result<Resources, LoadError> {
        let resources = Resources {
            resiliencies: self.resiliencies(&scope.app_id),
            components: self.load(scope)?,
            http_endpoints: self.load(scope).unwrap_or_else(|error| {
                warn!(target: RUNTIME, "failed to load HTTP endpoints: {error}");
                Vec::new()
            }),
            subscriptions: self.subscriptions(),
            #[cfg(feature = "wasm")]
            functions: self.functions(scope),
        };
        self.warn_of_unserved::<WorkflowAccessPolicy>(scope)?;
        self.warn_of_unserved::<McpServer>(scope)?;
        Ok(resources)
    }

    /// The functions that concern `scope`, in the order of the documents; what is wrong with others is told in words.
    #[cfg(feature = "wasm")]
    pub fn functions(&self, scope: &Scope) -> Functions {
        let mut found = Functions::default();
        for file in &self.files {
            for document in file.documents.iter().flatten() {
                if function::service::is_service(&file.path, document.value()) {
                    let service = function::service::read(&file.path, document.value());
                    found.functions.extend(service.functions);
                    found.aggregations.extend(service.aggregations);
                    found.errors.extend(service.errors);
                } else if document.is(function::API_VERSION, function::KIND) {
                    let head: function::Scoped = decode(document.value().clone()).unwrap_or_default();
                    let is_here = head.metadata.namespace.is_empty()
                        || scope.namespace.as_ref().is_none_or(|namespace| *namespace == head.metadata.namespace);
                    if !is_here || !(head.scopes.is_empty() || head.scopes.contains(&scope.app_id)) {
                        continue;
                    }
                    match function::Function::read(&file.path, document.value()) {
                        Ok(function) => found.functions.push(function),
                        Err(error) => found.errors.push(error),
                    }
                }
            }
        }
        let mut names = std::collections::BTreeSet::new();
        found.functions.retain(|function| {
            let is_first = names.insert(function.name.clone());
            if !is_first {
                let file = function.file.display();
                found.errors.push(format!("{file}: Function {}: another one has this name already", function.name));
            }
            is_first
        });
        found
    }

    fn warn_of_unserved<T: Resource>(&self, scope: &Scope) -> Result<(), LoadError> {
        for resource in self.load::<T>(scope)? {
            warn!(target: RUNTIME, "{} {} has no effect: this sidecar does not serve its kind", T::KIND, resource.name());
        }
        Ok(())
    }

    fn documents<T: Resource>(&self) -> Vec<(Position, T)> {
        let mut found = Vec::new();
        for (file_index, file) in self.files.iter().enumerate() {
            let path = file.path.display();
            match &file.text {
                None => {
                    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
                    warn!(target: SCOPE, "A non-YAML {} file {name} was detected, it will not be loaded", T::KIND);
                    continue;
                }
                Some(Err(reason)) => {
                    warn!(target: SCOPE, "daprd load {} error when opening file {path}: {reason}", T::KIND);
                    continue;
                }
                Some(Ok(_)) => {}
            }
            let mut errors = Vec::new();
            for (index, document) in file.documents.iter().enumerate() {
                match document.as_ref().map_err(String::clone).and_then(Document::resource) {
                    Ok(Some(resource)) => found.push((Position { file: file_index, document: index }, resource)),
                    Ok(None) => {}
                    Err(reason) => errors.push(reason),
                }
            }
            if !errors.is_empty() {
                warn!(
                    target: SCOPE,
                    "daprd load {} error when parsing manifests yaml resource in {path}: {}",
                    T::KIND,
                    errors.join("\n")
                );
            }
        }
        found
    }
}

/// Where a document stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    file: usize,
    document: usize,
}

fn read_folder(folder: &Path, files: &mut Vec<File>) -> std::io::Result<()> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // As Go's DirEntry: a link to a folder is not a folder.
        if !entry.file_type()?.is_dir() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    files.extend(paths.into_iter().map(|path| {
        let text = is_yaml(&path).then(|| std::fs::read_to_string(&path).map_err(|error| os_text(&error)));
        File::new(path, text)
    }));
    Ok(())
}

fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}

fn filter<T: Resource>(found: Vec<T>, scope: &Scope) -> Result<Vec<T>, LoadError> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut duplicates = Vec::new();
    let mut kept = Vec::new();
    for resource in found {
        if let Some(namespace) = &scope.namespace
            && !resource.namespace().is_empty()
            && resource.namespace() != namespace
        {
            continue;
        }
        let log_name = resource.log_name();
        if let Some(existing) = names.get(resource.name()) {
            duplicates.push(format!("duplicate definition of {} name {log_name} with existing {existing}", T::KIND));
            continue;
        }
        if !resource.is_scoped_to(&scope.app_id) {
            continue;
        }
        names.insert(resource.name().to_owned(), log_name);
        kept.push(resource);
    }
    if duplicates.is_empty() { Ok(kept) } else { Err(LoadError::Duplicates(duplicates)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Folders) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let read = Folders::read(&[folder.path()]).unwrap();
        (folder, read)
    }

    fn component(name: &str, extra: &str) -> String {
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n{extra}\nspec:\n  type: state.in-memory\n  version: v1\n"
        )
    }

    fn names(resources: &[impl Resource]) -> Vec<&str> {
        resources.iter().map(Resource::name).collect()
    }

    fn app(namespace: Option<&str>) -> Scope {
        Scope { app_id: "shop".into(), namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn files_by_name_and_documents_by_place() {
        let two = format!("{}---\n{}", component("b", ""), component("c", ""));
        let (_keep, folders) =
            folder(&[("2.yaml", &component("d", "")), ("1.YML", &two), ("notes.txt", &component("x", ""))]);
        let found: Vec<Component> = folders.load(&app(None)).unwrap();
        assert_eq!(names(&found), ["b", "c", "d"]);
    }

    #[test]
    fn sub_folders_are_not_read() {
        let (keep, _) = folder(&[("a.yaml", &component("a", ""))]);
        std::fs::create_dir(keep.path().join("inner.yaml")).unwrap();
        let folders = Folders::read(&[keep.path()]).unwrap();
        assert_eq!(folders.load::<Component>(&app(None)).unwrap().len(), 1);
    }

    #[test]
    fn broken_documents_do_not_take_others_along() {
        let text = format!("{}---\nkind: [broken\n---\n{}", component("a", ""), component("b", ""));
        let (_keep, folders) = folder(&[("a.yaml", &text)]);
        assert_eq!(names(&folders.load::<Component>(&app(None)).unwrap()), ["a", "b"]);
    }

    #[test]
    fn other_versions_and_kinds_are_not_ours() {
        let other = component("a", "").replace("dapr.io/v1alpha1", "dapr.io/v1alpha2");
        let kind = component("b", "").replace("kind: Component", "kind: component");
        let (_keep, folders) = folder(&[("a.yaml", &other), ("b.yaml", &kind)]);
        assert!(folders.load::<Component>(&app(None)).unwrap().is_empty());
    }

    #[test]
    fn every_second_definition_is_listed() {
        let twin = component("a", "").replace("state.in-memory", "pubsub.in-memory");
        let text = format!("{}---\n{twin}---\n{}", component("a", ""), component("a", ""));
        let (_keep, folders) = folder(&[("a.yaml", &text)]);
        assert_eq!(
            folders.load::<Component>(&app(None)).unwrap_err().to_string(),
            "duplicate definition of Component name a (pubsub.in-memory/v1) with existing a (state.in-memory/v1)\n\
             duplicate definition of Component name a (state.in-memory/v1) with existing a (state.in-memory/v1)"
        );
    }

    #[test]
    fn namespaces_matter_only_when_one_is_set() {
        let text = format!(
            "{}---\n{}---\n{}",
            component("a", "  namespace: eu"),
            component("b", "  namespace: us"),
            component("c", "")
        );
        let (_keep, folders) = folder(&[("a.yaml", &text)]);
        assert_eq!(names(&folders.load::<Component>(&app(None)).unwrap()), ["a", "b", "c"]);
        assert_eq!(names(&folders.load::<Component>(&app(Some("eu"))).unwrap()), ["a", "c"]);
    }

    #[test]
    fn resources_of_other_apps_are_left_out() {
        let mine = format!("{}scopes: [shop]\n", component("a", ""));
        let other = format!("{}scopes: [bank]\n", component("b", ""));
        let (_keep, folders) = folder(&[("a.yaml", &format!("{mine}---\n{other}"))]);
        assert_eq!(names(&folders.load::<Component>(&app(None)).unwrap()), ["a"]);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let error = Folders::read(&["no/such/folder"]).unwrap_err();
        assert_eq!(error.to_string(), "open no/such/folder: no such file or directory");
    }

    #[test]
    fn endpoints_that_are_there_twice_do_not_end_the_start() {
        let endpoint =
            "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: e}\nspec: {baseUrl: http://x}\n";
        let (_keep, folders) = folder(&[("a.yaml", &format!("{endpoint}---\n{endpoint}---\n{}", component("a", "")))]);
        let resources = folders.resources(&app(None)).unwrap();
        assert_eq!((resources.components.len(), resources.http_endpoints.len()), (1, 0));
    }

    #[test]
    fn subscriptions_keep_their_order_over_versions() {
        let v2 = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {name: two}\nspec: {topic: t, routes: {default: /2}}\n";
        let v1 =
            "apiVersion: dapr.io/v1alpha1\nkind: Subscription\nmetadata: {name: one}\nspec: {topic: t, route: /1}\n";
        let (_keep, folders) = folder(&[("a.yaml", &format!("{v1}---\n{v2}---\n{v1}"))]);
        let subscriptions = folders.subscriptions();
        assert_eq!(names(&subscriptions), ["one", "two", "one"]);
        assert_eq!(subscriptions[0].spec.routes.default, "/1");
    }

    #[test]
    fn resiliency_is_the_first_document_of_its_file() {
        let text = "kind: Resiliency\nmetadata: {name: r}\nspec: {policies: {timeouts: {t: 5s}}}\n---\nkind: Resiliency\nmetadata: {name: s}\n";
        let foreign = "kind: Resiliency\nmetadata: {name: f}\nscopes: [bank]\n";
        let (_keep, folders) = folder(&[("a.yaml", text), ("b.yaml", foreign), ("c.yaml", "kind: [x")]);
        assert_eq!(names(&folders.resiliencies("shop")), ["r"]);
    }
}
