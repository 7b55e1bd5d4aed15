//! A kubelet in small: runs the containers of pods that a controller has made as processes of this machine, with their
//! environment and their volumes.
//!
//! There are no namespaces: what a container finds at `/` is below a folder of the pod's own, and every process sees the
//! same ports. So texts that name places of a cluster are written anew, as [`Places`] says; nothing else is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, KeyToPath, PodTemplateSpec, Secret, Volume,
};
use kube::{Api, Client};
use tempfile::TempDir;

use crate::process::{Process, tail};
use crate::temp_dir;

/// What stands for places of a cluster: each text and what it becomes.
#[derive(Debug, Clone, Default)]
pub struct Places(pub Vec<(String, String)>);

impl Places {
    fn here(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (there, here)| {
            text.replace(there, here)
        })
    }
}

/// One container as a process.
#[derive(Debug)]
pub struct Pod {
    // Dropped before its folder.
    process: Process,
    folder: TempDir,
}

impl Pod {
    /// Everything that it has said, or the end of it.
    pub fn said(&self) -> String {
        tail(&self.folder.path().join("log"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }
}

/// How a container is run.
pub struct Run<'a> {
    /// The API server that has what the pod refers to.
    pub client: &'a Client,
    /// Its namespace.
    pub namespace: &'a str,
    /// The name that the pod would have.
    pub pod: &'a str,
    /// The program of the container's image.
    pub program: PathBuf,
    /// Further arguments.
    pub args: Vec<String>,
    /// Further variables.
    pub env: Vec<(String, String)>,
    /// What stands for places of the cluster.
    pub places: Places,
}

impl Run<'_> {
    /// Starts the container `main` of a pod.
    ///
    /// # Panics
    ///
    /// When something that the pod needs is not there, as a kubelet would wait for it.
    pub async fn start(self, template: &PodTemplateSpec) -> Pod {
        let folder = temp_dir();
        let root = folder.path().join("root");
        let pod = template.spec.as_ref().expect("a pod has a spec");
        let container = pod
            .containers
            .iter()
            .find(|container| container.name == "main")
            .expect("a pod of ours has the container main");
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let mut places = self.places.clone();
        for mount in mounts {
            let volume = pod
                .volumes
                .iter()
                .flatten()
                .find(|volume| volume.name == mount.name);
            let place = root.join(mount.mount_path.trim_start_matches('/'));
            fs::create_dir_all(&place).expect("the pod's folder can be written");
            places
                .0
                .push((mount.mount_path.clone(), place.display().to_string()));
            // A claim of a StatefulSet is no volume of the pod's own: its folder is empty at first.
            if let Some(volume) = volume {
                self.fill(volume, &place).await;
            }
        }
        for mount in mounts {
            rewrite(
                &root.join(mount.mount_path.trim_start_matches('/')),
                &places,
            );
        }
        let mut command = self.command(container, &places);
        command.current_dir(folder.path());
        command.env("TIPHYS_MOUNTS", &root);
        for (name, value) in self.environment(container, &places).await {
            command.env(name, value);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let log = folder.path().join("log");
        Pod {
            process: Process::start_logged(self.pod, &mut command, &log),
            folder,
        }
    }

    fn command(&self, container: &Container, places: &Places) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", "/nonexistent");
        // The first word of a command is the program, which the image has elsewhere.
        let words = container.command.iter().flatten().skip(1);
        let words = words.chain(container.args.iter().flatten());
        command.args(words.map(|word| places.here(word)));
        command.args(&self.args);
        command
    }

    async fn fill(&self, volume: &Volume, place: &Path) {
        if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            let data = self.secret(name).await;
            self.write(data, source.items.as_deref(), source.optional, place, name);
        }
        if let Some(source) = &volume.config_map {
            let data = self.config_map(&source.name).await;
            self.write(
                data,
                source.items.as_deref(),
                source.optional,
                place,
                &source.name,
            );
        }
        let sources = volume
            .projected
            .iter()
            .flat_map(|projected| projected.sources.iter().flatten());
        for source in sources {
            if let Some(secret) = &source.secret {
                let data = self.secret(&secret.name).await;
                self.write(
                    data,
                    secret.items.as_deref(),
                    secret.optional,
                    place,
                    &secret.name,
                );
            }
            if let Some(map) = &source.config_map {
                let data = self.config_map(&map.name).await;
                self.write(data, map.items.as_deref(), map.optional, place, &map.name);
            }
        }
    }

    fn write(
        &self,
        data: Option<BTreeMap<String, Vec<u8>>>,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        place: &Path,
        name: &str,
    ) {
        let Some(data) = data else {
            assert!(
                optional == Some(true),
                "pod {}: {name:?} does not exist",
                self.pod
            );
            return;
        };
        let all: Vec<(String, String)> = match items {
            Some(items) => items
                .iter()
                .map(|item| (item.key.clone(), item.path.clone()))
                .collect(),
            None => data.keys().map(|key| (key.clone(), key.clone())).collect(),
        };
        for (key, path) in all {
            let value = data
                .get(&key)
                .unwrap_or_else(|| panic!("pod {}: {name:?} has no key {key:?}", self.pod));
            fs::write(place.join(path), value).expect("the pod's folder can be written");
        }
    }

    async fn secret(&self, name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let api = Api::<Secret>::namespaced(self.client.clone(), self.namespace);
        let found = api.get_opt(name).await.expect("the API server answers")?;
        let data = found.data.unwrap_or_default().into_iter();
        Some(data.map(|(key, value)| (key, value.0)).collect())
    }

    async fn config_map(&self, name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), self.namespace);
        let found = api.get_opt(name).await.expect("the API server answers")?;
        let data = found.data.unwrap_or_default().into_iter();
        Some(data.map(|(key, text)| (key, text.into_bytes())).collect())
    }

    async fn environment(&self, container: &Container, places: &Places) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        for variable in container.env.iter().flatten() {
            let Some(value) = self.value(variable).await else {
                continue;
            };
            // Earlier variables may be used in later ones.
            let value = all.iter().fold(value, |value, (name, known)| {
                value.replace(&format!("$({name})"), known)
            });
            let value = match variable.name.as_str() {
                "EVENTBUS_CONFIG" => {
                    let bytes = STANDARD.decode(value).expect("the configuration is base64");
                    let text = String::from_utf8(bytes).expect("the configuration is text");
                    STANDARD.encode(places.here(&text))
                }
                // Base64 may look like anything.
                name if name.contains("_OBJECT") => value,
                _ => places.here(&value),
            };
            all.push((variable.name.clone(), value));
        }
        all
    }

    async fn value(&self, variable: &EnvVar) -> Option<String> {
        let Some(from) = &variable.value_from else {
            return Some(variable.value.clone().unwrap_or_default());
        };
        if let Some(field) = &from.field_ref {
            return match field.field_path.as_str() {
                "metadata.name" => Some(self.pod.to_owned()),
                "metadata.namespace" => Some(self.namespace.to_owned()),
                other => panic!("no test needs the field {other}"),
            };
        }
        let (data, key) = if let Some(secret) = &from.secret_key_ref {
            (self.secret(&secret.name).await, &secret.key)
        } else {
            let map = from.config_map_key_ref.as_ref()?;
            (self.config_map(&map.name).await, &map.key)
        };
        let value = data?.remove(key)?;
        Some(String::from_utf8(value).expect("a variable is text"))
    }
}

/// Writes texts anew that name places of a cluster.
fn rewrite(folder: &Path, places: &Places) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if let Ok(text) = fs::read_to_string(&path) {
            let here = places.here(&text);
            if here != text {
                fs::write(&path, here).expect("the pod's folder can be written");
            }
        }
    }
}
