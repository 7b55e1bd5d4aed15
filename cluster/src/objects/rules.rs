//! What names, labels and metadata must look like.
//!
//! Pure: finds everything wrong with an object's metadata and says where.

use serde_json::{Map, Value};

use crate::kinds::{Names, Resource};
use crate::status::{ApiError, Cause};

/// How deep an object may nest, so that whatever is stored can be read back and wrapped.
const MAX_DEPTH: usize = 110;
/// Bytes of all annotations together.
const MAX_ANNOTATIONS: usize = 256 << 10;

const SUBDOMAIN: &str = "must consist of lower case alphanumeric characters, '-' or '.', and \
                         must start and end with an alphanumeric character";
const LABEL: &str = "must consist of lower case alphanumeric characters or '-', and must start \
                     and end with an alphanumeric character";

fn dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// The rule for names of this kind; the error completes "the name …".
fn object_name(rule: Names, name: &str) -> Result<(), String> {
    let (fits, longest, words) = match rule {
        Names::Subdomain => (name.split('.').all(dns_label), 253, SUBDOMAIN),
        Names::Label => (dns_label(name), 63, LABEL),
        Names::PathSegment => (
            !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%']),
            1024,
            "must not be '.' or '..' and must not contain '/' or '%'",
        ),
    };
    if name.len() > longest {
        Err(format!("must be no more than {longest} characters"))
    } else if fits {
        Ok(())
    } else {
        Err(words.to_owned())
    }
}

/// The rule for names of namespaces.
pub(crate) fn namespace_name(name: &str) -> Result<(), String> {
    object_name(Names::Label, name)
}

/// The rule for keys of labels and annotations, and for finalizers.
pub(crate) fn qualified_name(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            object_name(Names::Subdomain, prefix).map_err(|why| format!("prefix {why}"))?;
            name
        }
        None => key,
    };
    if name.is_empty() || name.len() > 63 || !spelled(name) {
        return Err(
            "must be 1 to 63 alphanumeric characters, '-', '_' or '.', and must start \
                    and end with an alphanumeric character, with an optional DNS prefix and '/'"
                .into(),
        );
    }
    Ok(())
}

/// The rule for values of labels.
pub(crate) fn label_value(value: &str) -> Result<(), String> {
    if value.is_empty() || (value.len() <= 63 && spelled(value)) {
        return Ok(());
    }
    Err(
        "must be at most 63 alphanumeric characters, '-', '_' or '.', and must start and end \
         with an alphanumeric character"
            .into(),
    )
}

fn spelled(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars()
        .all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
        && text.starts_with(edge)
        && text.ends_with(edge)
}

/// Refuses what nests too deep.
pub(crate) fn check_depth(value: &Value) -> Result<(), ApiError> {
    if fits_depth(value, MAX_DEPTH) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the object nests deeper than {MAX_DEPTH} levels"
    )))
}

/// Whether a value nests no deeper than that; visits no more levels than it has to.
pub(crate) fn fits_depth(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits_depth(item, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|item| fits_depth(item, levels - 1)),
        _ => true,
    }
}

/// Finds everything wrong with an object whose name is settled.
pub(crate) fn check(resource: &Resource, name: &str, object: &Value) -> Result<(), ApiError> {
    check_depth(object)?;
    let mut causes = Vec::new();
    if let Err(why) = object_name(resource.names, name) {
        causes.push(Cause::value("metadata.name", format!("{name:?} {why}")));
    }
    if let Some(Value::Object(meta)) = object.get("metadata") {
        labels(meta, &mut causes);
        annotations(meta, &mut causes);
        finalizers(meta, &mut causes);
        owners(meta, &mut causes);
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(resource, name, &causes))
    }
}

fn present<'a>(meta: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    meta.get(field).filter(|value| !value.is_null())
}

fn labels(meta: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let Some(labels) = present(meta, "labels") else {
        return;
    };
    let Some(labels) = labels.as_object() else {
        return causes.push(Cause::value("metadata.labels", "must be a map of strings"));
    };
    for (key, value) in labels {
        let problem = qualified_name(key).err().or_else(|| match value {
            Value::String(value) => label_value(value).err(),
            _ => Some("must be a string; put it in quotes".into()),
        });
        if let Some(why) = problem {
            causes.push(Cause::value(
                "metadata.labels",
                format!("{key:?}: {value} {why}"),
            ));
        }
    }
}

fn annotations(meta: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let Some(annotations) = present(meta, "annotations") else {
        return;
    };
    let Some(annotations) = annotations.as_object() else {
        return causes.push(Cause::value(
            "metadata.annotations",
            "must be a map of strings",
        ));
    };
    let mut size = 0;
    for (key, value) in annotations {
        size += key.len() + value.as_str().map_or(0, str::len);
        // The prefix may be in any case here, unlike with labels.
        let problem = qualified_name(&key.to_ascii_lowercase()).err().or_else(|| {
            (!value.is_string()).then(|| "must be a string; put it in quotes".to_owned())
        });
        if let Some(why) = problem {
            causes.push(Cause::value(
                "metadata.annotations",
                format!("{key:?} {why}"),
            ));
        }
    }
    if size > MAX_ANNOTATIONS {
        let why = format!("must have at most {MAX_ANNOTATIONS} bytes together");
        causes.push(Cause::value("metadata.annotations", why));
    }
}

fn finalizers(meta: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let Some(finalizers) = present(meta, "finalizers") else {
        return;
    };
    let Some(finalizers) = finalizers.as_array() else {
        return causes.push(Cause::value(
            "metadata.finalizers",
            "must be a list of strings",
        ));
    };
    for finalizer in finalizers {
        let problem = match finalizer.as_str() {
            Some(name) => qualified_name(name).err(),
            None => Some("must be a string".into()),
        };
        if let Some(why) = problem {
            causes.push(Cause::value(
                "metadata.finalizers",
                format!("{finalizer} {why}"),
            ));
        }
    }
}

fn owners(meta: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let Some(owners) = present(meta, "ownerReferences") else {
        return;
    };
    let Some(owners) = owners.as_array() else {
        return causes.push(Cause::value("metadata.ownerReferences", "must be a list"));
    };
    let mut controllers = 0;
    for (index, owner) in owners.iter().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            let text = owner.get(field).and_then(Value::as_str).unwrap_or_default();
            if text.is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::missing(path, "must be a string that is not empty"));
            }
        }
        controllers += usize::from(owner.get("controller") == Some(&Value::Bool(true)));
    }
    if controllers > 1 {
        let why = "must have at most one entry with controller set to true";
        causes.push(Cause::value("metadata.ownerReferences", why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{check, check_depth};
    use crate::kinds::{Kind, Names, Resource};

    fn problems(rule: Names, object: &Value) -> Vec<String> {
        let kind = Kind::namespaced("g.io", "v1", "Thing", "things").named(rule);
        let name = object["metadata"]["name"].as_str().unwrap();
        let Err(error) = check(&Resource::from(&kind), name, object) else {
            return vec![];
        };
        let status = error.status();
        assert_eq!(
            (&status["code"], &status["reason"]),
            (&json!(422), &json!("Invalid"))
        );
        let causes = status["details"]["causes"].as_array().unwrap();
        causes
            .iter()
            .map(|cause| cause["field"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn names_keep_the_rule_of_their_kind() {
        let table = [
            (Names::Subdomain, "a.b-c.d", true),
            (Names::Subdomain, "A", false),
            (Names::Subdomain, "a_b", false),
            (Names::Subdomain, "-a", false),
            (Names::Subdomain, "a..b", false),
            (Names::Subdomain, "", false),
            (Names::Subdomain, "ä", false),
            (Names::Label, "a.b", false),
            (Names::PathSegment, "system:A", true),
            (Names::PathSegment, "a/b", false),
            (Names::PathSegment, "..", false),
        ];
        for (rule, name, fine) in table {
            let found = problems(rule, &json!({"metadata": {"name": name}}));
            assert_eq!(found.is_empty(), fine, "{rule:?} {name}");
        }
        let long = "a".repeat(254);
        assert_eq!(
            problems(Names::Subdomain, &json!({"metadata": {"name": long}})).len(),
            1
        );
    }

    #[test]
    fn every_problem_of_the_metadata_is_found() {
        let object = json!({"metadata": {
            "name": "a",
            "labels": {"ok": "", "x y": "z", "n": 1, "v": "a b"},
            "annotations": {"Ok.io/x": "any text", "n": true},
            "finalizers": ["a.io/b", 3, ""],
            "ownerReferences": [{"kind": "K", "uid": "u", "name": "n"}],
        }});
        let expected = [
            "metadata.labels",
            "metadata.labels",
            "metadata.labels",
            "metadata.annotations",
            "metadata.finalizers",
            "metadata.finalizers",
            "metadata.ownerReferences[0].apiVersion",
        ];
        assert_eq!(problems(Names::Subdomain, &object), expected);
    }

    #[test]
    fn deep_objects_are_refused() {
        let deep = (0..111).fold(json!(1), |inner, _| json!([inner]));
        assert!(check_depth(&deep).is_err());
        assert!(check_depth(&deep[0]).is_ok());
    }
}
