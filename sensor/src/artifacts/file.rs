//! A file beside the process: in the sensor's pod, usually mounted from a volume. It stays in the folder that the spec
//! names, whatever parameters or symbolic links say, and is never a device, a pipe or the pod's own credentials.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::{LARGEST, cannot_read};
use crate::spec::FileSourceSpec;
use crate::triggers::FireError;

/// What no object is in, and what is nobody's business.
const FORBIDDEN: [&str; 7] = [
    "/proc",
    "/sys",
    "/dev",
    "/var/run/secrets",
    "/run/secrets",
    "/argo-events/secrets",
    "/etc/shadow",
];

/// A file beside the process.
#[derive(Clone)]
pub(crate) struct File {
    path: PathBuf,
    /// The folder of the path as the spec writes it.
    folder: PathBuf,
}

impl File {
    pub(super) fn new(
        spec: &FileSourceSpec,
        written: Option<&FileSourceSpec>,
    ) -> Result<Self, FireError> {
        let checked = |path: &str| {
            check(path).map_err(|why| FireError::permanent(format!("file.path {path:?} {why}")))
        };
        let path = checked(&spec.path)?;
        let written = match written {
            Some(written) if written.path != spec.path => checked(&written.path)?,
            _ => path.clone(),
        };
        let folder = written.parent().unwrap_or(Path::new("/")).to_owned();
        if !path.starts_with(&folder) {
            return Err(FireError::permanent(format!(
                "file.path {:?} must stay in {folder:?}, the folder of the path in the spec",
                spec.path
            )));
        }
        Ok(Self { path, folder })
    }

    pub(super) fn shown(&self) -> String {
        format!("file {:?}", self.path)
    }

    pub(super) async fn read(&self) -> Result<Bytes, FireError> {
        let what = cannot_read(self.shown());
        let (path, folder) = (self.path.clone(), self.folder.clone());
        let failed = |error| FireError::permanent_from(what.clone(), error);
        let read = tokio::task::spawn_blocking(move || confined(&path, &folder)).await;
        read.map_err(|error| FireError::transient(what.clone(), error))?
            .map_err(failed)
    }
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("it leads out of {0:?}")]
    Outside(PathBuf),
    #[error("it must be a regular file")]
    Irregular,
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Links are followed as far as they stay in the folder: a mounted ConfigMap is made of them.
fn confined(path: &Path, folder: &Path) -> Result<Bytes, FileError> {
    let folder = folder.canonicalize()?;
    let path = path.canonicalize()?;
    if !path.starts_with(&folder) || forbidden(&path) {
        return Err(FileError::Outside(folder));
    }
    // Asked before it is opened: to open a pipe is to wait for its other end.
    if !path.symlink_metadata()?.is_file() {
        return Err(FileError::Irregular);
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    std::fs::File::open(&path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST {
        return Err(FileError::TooLarge);
    }
    Ok(bytes.into())
}

fn forbidden(path: &Path) -> bool {
    FORBIDDEN.iter().any(|root| path.starts_with(root))
}

/// A path that can be read, or what must hold.
pub(crate) fn check(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text.contains(['\0', '\\']) || text.contains('~') {
        return Err("must not contain `~` or backslashes".to_owned());
    }
    if !path.is_absolute() {
        return Err("must begin with /, as it is looked for in the sensor's pod".to_owned());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("must not contain `..`".to_owned());
    }
    if text.ends_with('/') || path.parent().is_none() {
        return Err("must name a file, not a folder".to_owned());
    }
    if forbidden(&path) {
        return Err(format!("must not be in one of {}", FORBIDDEN.join(", ")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(path: &Path) -> FileSourceSpec {
        FileSourceSpec {
            path: path.to_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn paths_that_escape_or_are_nobodys_business_are_refused() {
        for (path, said) in [
            ("relative.yaml", "must begin with /"),
            ("/a/../etc/x", "must not contain `..`"),
            ("~/x", "must not contain `~`"),
            ("/a\\b", "must not contain"),
            ("/a/", "must name a file"),
            ("/", "must name a file"),
            ("/proc/self/environ", "must not be in one of"),
            (
                "/var/run/secrets/kubernetes.io/serviceaccount/token",
                "must not be in one of",
            ),
            ("/dev/zero", "must not be in one of"),
        ] {
            let error = check(path).unwrap_err();
            assert!(error.contains(said), "{path}: {error}");
        }
        assert!(check("/etc/templates/a..b.yaml").is_ok());
    }

    #[tokio::test]
    async fn a_file_is_read_through_links_that_stay_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        // As the kubelet mounts a ConfigMap.
        let data = folder.path().join("..2026");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("wf.yaml"), "kind: X").unwrap();
        std::os::unix::fs::symlink("..2026", folder.path().join("..data")).unwrap();
        let link = folder.path().join("wf.yaml");
        std::os::unix::fs::symlink("..data/wf.yaml", &link).unwrap();
        let file = File::new(&spec(&link), None).unwrap();
        assert_eq!(file.read().await.unwrap(), "kind: X");
    }

    #[tokio::test]
    async fn links_out_folders_and_large_files_are_refused() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(&secret, at("file-link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), at("folder-link")).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", at("proc-link")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("large"), vec![b' '; LARGEST + 1]).unwrap();
        for (name, said) in [
            ("file-link", "leads out of"),
            ("proc-link", "leads out of"),
            ("folder", "regular file"),
            ("large", "larger than"),
            ("absent", "No such file"),
        ] {
            let file = File::new(&spec(&at(name)), None).unwrap();
            let error = file.read().await.unwrap_err();
            assert!(!error.is_transient());
            let said_now = tiphys_core::tasks::chain(&error);
            assert!(said_now.contains(said), "{name}: {said_now}");
        }
        // A folder in the way is judged by the folder that the spec names.
        let through = spec(&at("folder-link").join("secret"));
        let file = File::new(&through, Some(&spec(&at("default.yaml")))).unwrap();
        let error = tiphys_core::tasks::chain(&file.read().await.unwrap_err());
        assert!(error.contains("leads out of"), "{error}");
    }

    #[test]
    fn a_parameter_chooses_inside_of_the_folder_of_the_spec_only() {
        let written = spec(Path::new("/templates/default.yaml"));
        let new = |path: &str| File::new(&spec(Path::new(path)), Some(&written));
        assert!(new("/templates/other.yaml").is_ok());
        assert!(new("/templates/team/other.yaml").is_ok());
        for path in [
            "/etc/passwd",
            "/templates2/x.yaml",
            "/templates/../etc/passwd",
        ] {
            assert!(new(path).is_err(), "{path}");
        }
    }
}
