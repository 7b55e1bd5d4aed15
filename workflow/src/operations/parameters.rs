//! Parameters and labels as they are written on a command line or in a file. Pure.

use tiphys_core::manifest;

use super::{OperationError, Parameter};

/// `NAME=VALUE`, split at the first `=`.
///
/// # Errors
/// Without `=`.
pub fn parameter(text: &str) -> Result<Parameter, OperationError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Parameter {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err(OperationError::refused(format!(
            "expected parameter of the form: NAME=VALUE. Received: {text}"
        ))),
    }
}

/// `key=value,key=value`, each with exactly one `=`.
///
/// # Errors
/// For anything else.
pub fn label_pairs(text: &str) -> Result<Vec<(String, String)>, OperationError> {
    let pair = |piece: &str| match piece.split('=').collect::<Vec<_>>().as_slice() {
        [key, value] if !key.is_empty() => Ok(((*key).to_owned(), (*value).to_owned())),
        _ => Err(OperationError::refused(format!(
            "expected labels of the form: NAME1=VALUE1,NAME2=VALUE2. Received: {text}"
        ))),
    };
    text.split(',').map(pair).collect()
}

/// Parameters from the text of a YAML or JSON file: an object of names and values. A value that is not text is
/// written as JSON.
///
/// # Errors
/// When the text is not one object.
pub fn parameters_of_file(file: &str, text: &str) -> Result<Vec<Parameter>, OperationError> {
    let broken = |why: &dyn std::fmt::Display| {
        OperationError::refused(format!("cannot read the parameter file {file}: {why}"))
    };
    let documents = manifest::parse(text).map_err(|error| broken(&error))?;
    let [document] = documents.as_slice() else {
        return Err(broken(&"it must hold one object of names and values"));
    };
    let Some(map) = document.object.as_object() else {
        return Err(broken(&"it must hold one object of names and values"));
    };
    let parameters = map.iter().map(|(name, value)| Parameter {
        name: name.clone(),
        value: value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    });
    Ok(parameters.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_split_at_the_first_equals_sign() {
        let split = parameter("a=b=c").unwrap();
        assert_eq!((split.name.as_str(), split.value.as_str()), ("a", "b=c"));
        assert_eq!(parameter("a=").unwrap().value, "");
        assert_eq!(
            parameter("x").unwrap_err().to_string(),
            "expected parameter of the form: NAME=VALUE. Received: x"
        );
    }

    #[test]
    fn labels_have_one_equals_sign_each() {
        assert_eq!(label_pairs("a=1,b=").unwrap().len(), 2);
        assert!(label_pairs("a=1=2").is_err() && label_pairs("a").is_err());
    }

    #[test]
    fn a_file_of_parameters_keeps_what_it_says() {
        let found = parameters_of_file("f", "a: hi\nnum: 81861780812\nl: [1, 2]\n").unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
            .collect();
        assert_eq!(found, [("a", "hi"), ("num", "81861780812"), ("l", "[1,2]")]);
        let error = parameters_of_file("f", "- a\n").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot read the parameter file f"),
            "{error}"
        );
    }
}
