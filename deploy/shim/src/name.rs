//! What a container's function is called, and whose it is.

use sha2::{Digest, Sha256};

use crate::cri::{self, Annotations};

/// Names a function.
const NAME: &str = "ottavo.dev/name";

/// Bytes of a name. A container's id has as many.
const LONGEST: usize = 64;

/// The name that the annotation gives, else one made of the names of container and pod, else of the container's id.
pub fn function(annotations: &Annotations, id: &str) -> String {
    let given = annotations.get(NAME).map(|name| name.trim()).filter(|name| !name.is_empty());
    match (given, cri::names(annotations)) {
        (Some(given), _) => valid(given),
        (None, Some((container, pod))) => valid(&format!("{container}-{pod}")),
        (None, None) => valid(id),
    }
}

/// Whose the function is, for the gateway: `GROUP/ID`. Those of one group may put theirs in each other's place, which
/// lets the new pod of an update take over.
pub fn owner(annotations: &Annotations, namespace: &str, id: &str) -> String {
    match cri::namespace(annotations) {
        Some(of_pod) => format!("{namespace}/{of_pod}/{id}"),
        None => format!("{namespace}/{id}"),
    }
}

/// Letters, digits, `-`, `_` and `.`, and not too many of them. A name that is cut ends in a part of its digest: two
/// that differ do not become one.
fn valid(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    let name: String = text.chars().map(plain).collect();
    let name = name.trim_matches(['-', '.']);
    if name.len() <= LONGEST && !name.is_empty() {
        return name.to_owned();
    }
    let digest = hex::encode(&Sha256::digest(text.as_bytes())[..4]);
    // All of it is ASCII by now.
    let kept = name.get(..LONGEST - digest.len() - 1).unwrap_or("function");
    format!("{kept}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const POD: [(&str, &str); 3] = [
        ("io.kubernetes.cri.container-name", "main"),
        ("io.kubernetes.cri.sandbox-name", "greeter-7d9f"),
        ("io.kubernetes.cri.sandbox-namespace", "shop"),
    ];

    #[test]
    fn the_annotation_comes_before_the_pods_names_before_the_id() {
        let mut all = annotations(&POD);
        assert_eq!(function(&all, "abc"), "main-greeter-7d9f");
        all.insert(NAME.into(), " greeter ".into());
        assert_eq!(function(&all, "abc"), "greeter");
        assert_eq!(function(&Annotations::new(), "abc"), "abc");
    }

    #[test]
    fn names_are_made_valid_and_stay_different() {
        assert_eq!(valid("a b/../c?d"), "a-b-..-c-d");
        assert_eq!(valid("--a."), "a");
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(valid(&id), id);
        let (first, second) = (valid(&format!("{id}-1")), valid(&format!("{id}-2")));
        assert_ne!(first, second);
        assert_eq!(first.len(), LONGEST);
        assert_ne!(valid("/"), valid("é"));
    }

    #[test]
    fn the_group_of_an_owner_is_the_pods_namespace_where_there_is_one() {
        assert_eq!(owner(&annotations(&POD), "k8s.io", "abc"), "k8s.io/shop/abc");
        assert_eq!(owner(&Annotations::new(), "default", "abc"), "default/abc");
    }
}
