//! Finds and reads the YAML files that a user names. It reads; it never writes or watches.

use std::path::{Path, PathBuf};

use tiphys_core::manifest::{self, Document, YamlError};

use crate::commands::test::is_cases;

/// Larger files are not manifests.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One file and what is in it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The path as the user would write it.
    pub path: PathBuf,
    /// Its objects, those of lists too, or why it is not YAML.
    pub documents: Result<Vec<Document>, YamlError>,
    /// Whether there is no byte in it, as in one that is just being written.
    pub empty: bool,
}

/// Why files could not be found or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    #[error("{path}: no such file or folder")]
    Missing { path: String },
    #[error("{path}: no YAML files (*.yaml, *.yml, *.json) in this folder")]
    Empty { path: String },
    #[error("cannot read {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: larger than {} MiB, which no manifest is", MAX_BYTES >> 20)]
    TooLarge { path: String },
}

/// Reads the files, and every YAML or JSON file below the folders, in the order of their names.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<Loaded>, FilesError> {
    let mut found = Vec::new();
    for path in paths {
        find(path, &mut found)?;
    }
    let mut loaded: Vec<Loaded> = Vec::with_capacity(found.len());
    for path in found {
        if loaded.iter().all(|known| known.path != path) {
            loaded.push(read(path)?);
        }
    }
    Ok(loaded)
}

fn find(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let shown = || path.display().to_string();
    let meta = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => FilesError::Missing { path: shown() },
        _ => FilesError::Unreadable {
            path: shown(),
            source,
        },
    })?;
    if !meta.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let before = found.len();
    walk(path, found).map_err(|source| FilesError::Unreadable {
        path: shown(),
        source,
    })?;
    if found.len() == before {
        return Err(FilesError::Empty { path: shown() });
    }
    Ok(())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            // Links to folders are left alone, so that no circle is walked.
            if !path.is_symlink() {
                walk(&path, found)?;
            }
        } else if is_manifest(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a file in a folder is taken for a manifest.
pub(crate) fn is_manifest(path: &Path) -> bool {
    // Cases for Sensors are kept beside them and are no objects.
    !is_cases(path)
        && matches!(
            path.extension().and_then(|ext| ext.to_str()),
            Some("yaml" | "yml" | "json")
        )
}

fn read(path: PathBuf) -> Result<Loaded, FilesError> {
    let shown = path.display().to_string();
    let unreadable = |source| FilesError::Unreadable {
        path: shown.clone(),
        source,
    };
    if std::fs::metadata(&path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(FilesError::TooLarge { path: shown });
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    let empty = bytes.is_empty();
    let documents = match String::from_utf8(bytes) {
        Ok(text) => manifest::parse(&text)
            .map(|documents| documents.into_iter().flat_map(Document::objects).collect()),
        Err(error) => Err(YamlError {
            position: None,
            message: format!("is not UTF-8: byte {}", error.utf8_error().valid_up_to()),
        }),
    };
    Ok(Loaded {
        path,
        documents,
        empty,
    })
}
