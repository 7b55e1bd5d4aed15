//! Whose decisions and dead events a command is about: those of the run of a data folder, or of an EventBus of a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;
use tiphys_controller::Kind;
use tiphys_controller::control::{self, Redriven, Reply, Request};
use tiphys_controller::given::Given;
use tiphys_controller::secrets::{ApiSecrets, FileSecrets};
use tiphys_core::manifest;
use tiphys_core::tasks::chain;
use tiphys_core::{Secrets, Tasks};
use tiphys_eventbus::{
    AskError, Bus, BusConfig, EventBusSpec, EventBusStatus, Health, JetStreamConfig,
};
use tiphys_sensor::{DeadLetter, DeadLetters, Look, Tail};

use super::object::pod;
use crate::{connect, files};

/// How long a bus is waited for.
const CONNECT: Duration = Duration::from_secs(10);
/// The namespace where neither the command line nor a kubeconfig says one.
const NAMESPACE: &str = "default";

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The folder of a local run. Without one there the EventBus "default" of the cluster is read.
    #[arg(
        long,
        global = true,
        default_value = ".tiphys",
        value_name = "DIR",
        env = "TIPHYS_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// The namespace.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The EventBus of a cluster that its Sensors record on.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "file")]
    pub bus: Option<String>,
    /// A file with that EventBus, and with the Secrets that it refers to.
    #[arg(long, global = true, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Its servers as they are reached from here, as nats://127.0.0.1:4222 of a forwarded port.
    #[arg(long, global = true, value_name = "URL")]
    pub bus_url: Option<String>,
    /// The folder that stands for / where a pod has the credentials of its bus mounted.
    #[arg(
        long,
        global = true,
        default_value = "/",
        value_name = "DIR",
        env = "TIPHYS_MOUNTS",
        hide = true
    )]
    pub mounts: PathBuf,
}

/// Where things are.
pub(crate) enum Found {
    /// In a data folder.
    Folder(PathBuf),
    /// On a bus.
    Bus(OnBus),
}

/// A bus that is connected.
pub(crate) struct OnBus {
    pub bus: Bus,
    /// The namespace that is meant where none is given.
    pub namespace: String,
}

impl Place {
    /// Finds the data folder, or connects to the bus.
    pub(crate) async fn find(&self) -> anyhow::Result<Found> {
        let named = self.bus.is_some() || self.file.is_some() || self.bus_url.is_some();
        if !named && self.data_dir.exists() {
            return Ok(Found::Folder(self.data_dir.clone()));
        }
        let (config, secrets, namespace) = match (&self.file, &self.bus, &self.bus_url) {
            (Some(file), ..) => self.of_file(file)?,
            (None, None, Some(_)) => {
                let nothing = FileSecrets::new([], PathBuf::from("/"));
                (
                    JetStreamConfig::default(),
                    Arc::new(nothing) as _,
                    self.or_default(),
                )
            }
            (None, Some(name), _) => self.of_cluster(name, named).await?,
            (None, None, None) => match pod::given(Kind::Sensor)? {
                Some(given) => self.of_pod(&given)?,
                None => self.of_cluster("default", named).await?,
            },
        };
        let url = self.bus_url.clone();
        let config = JetStreamConfig {
            url: url.unwrap_or(config.url),
            ..config
        };
        let bus = connect(config, secrets).await?;
        Ok(Found::Bus(OnBus { bus, namespace }))
    }

    fn or_default(&self) -> String {
        let namespace = self.namespace.clone();
        namespace.unwrap_or_else(|| NAMESPACE.to_owned())
    }

    fn of_file(&self, file: &PathBuf) -> anyhow::Result<Reached> {
        let loaded = files::load(std::slice::from_ref(file))?;
        let documents = loaded
            .iter()
            .filter_map(|file| file.documents.as_ref().ok());
        let documents: Vec<_> = documents.flatten().collect();
        let bus = documents.iter().find(|one| one.kind() == "EventBus");
        let bus = bus.with_context(|| format!("{} has no EventBus", file.display()))?;
        let namespace = bus
            .object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let namespace = namespace.map_or_else(|| self.or_default(), str::to_owned);
        let config = config_of(&bus.object, &namespace, bus.name())?;
        let secrets = FileSecrets::new(documents, PathBuf::from("/"));
        Ok((config, Arc::new(secrets), namespace))
    }

    /// What a Sensor's pod has in its environment.
    fn of_pod(&self, given: &Given) -> anyhow::Result<Reached> {
        let BusConfig::JetStream(config) = given.bus()? else {
            bail!("the event bus of this pod keeps no decisions");
        };
        let secrets = FileSecrets::new([], self.mounts.clone()).with_access(given.access.clone());
        Ok((config, Arc::new(secrets), given.namespace.clone()))
    }

    async fn of_cluster(&self, name: &str, named: bool) -> anyhow::Result<Reached> {
        let folder = self.data_dir.display();
        let config = connect::cluster().await.with_context(|| {
            if named {
                format!("no cluster is known to read EventBus {name:?} from: set KUBECONFIG, or give it with --file")
            } else {
                format!("no local run in {folder} and no cluster: start `tiphys run PATH`, name its folder with --data-dir, or set KUBECONFIG")
            }
        })?;
        let namespace = self.namespace.as_ref().unwrap_or(&config.default_namespace);
        let namespace = namespace.clone();
        let client = Client::try_from(config)?;
        let resource = Kind::EventBus.resource();
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource);
        let found = api
            .get_opt(name)
            .await
            .with_context(|| format!("cannot read EventBus {name:?} of namespace {namespace:?}"))?;
        let Some(object) = found else {
            let local = if named {
                String::new()
            } else {
                format!(", and there is no local run in {folder}")
            };
            bail!(
                "namespace {namespace:?} has no EventBus {name:?}{local}: choose another with --namespace and --bus"
            );
        };
        let object = serde_json::to_value(&object)?;
        let config = config_of(&object, &namespace, name)?;
        let secrets = ApiSecrets::new(client, &namespace);
        Ok((config, Arc::new(secrets), namespace))
    }
}

/// How a bus is reached, with which secrets, in which namespace.
type Reached = (JetStreamConfig, Arc<dyn Secrets>, String);

/// What the status of an EventBus says, else its spec.
fn config_of(object: &Value, namespace: &str, name: &str) -> anyhow::Result<JetStreamConfig> {
    let part = |key: &str| object.get(key).unwrap_or(&Value::Null);
    let status: EventBusStatus = manifest::read(part("status")).unwrap_or_default();
    let config = match &status.config {
        Some(config) => BusConfig::from_status(config),
        None => {
            let spec: EventBusSpec = manifest::read(part("spec"))
                .with_context(|| format!("EventBus {name:?} cannot be read"))?;
            BusConfig::local(&spec, namespace, name, &PathBuf::new())
        }
    };
    match config {
        Ok(BusConfig::JetStream(config)) => Ok(config),
        Ok(BusConfig::Embedded(_)) => bail!(
            "EventBus {namespace}/{name} names no servers: the controller has not made them yet, or its Sensors run with `tiphys run` (name its folder with --data-dir)"
        ),
        Err(problems) => bail!("EventBus {namespace}/{name}: {}", problems.errors()),
    }
}

async fn connect(config: JetStreamConfig, secrets: Arc<dyn Secrets>) -> anyhow::Result<Bus> {
    let url = config.url.clone();
    // The bus ends with the command.
    let bus = Bus::jetstream(config, secrets, &Tasks::new())?;
    let mut health = bus.health();
    let connected = health.wait_for(|health| *health == Health::Connected);
    if tokio::time::timeout(CONNECT, connected).await.is_ok() {
        return Ok(bus);
    }
    let reason = match &*bus.health().borrow() {
        Health::Unavailable { reason } => reason.clone(),
        Health::Connected => return Ok(bus),
    };
    bail!(
        "cannot reach the event bus at {url}: {reason}; from outside the cluster forward its port (kubectl port-forward service/eventbus-default-js-svc 4222) and add --bus-url nats://127.0.0.1:4222"
    )
}

impl Found {
    /// Asks whoever runs the sensors. Dead events of a bus are read from it, whether a sensor runs or not.
    pub(crate) async fn ask(&self, request: &Request) -> anyhow::Result<Vec<Reply>> {
        match self {
            Self::Folder(folder) => Ok(control::ask(folder, request).await?),
            Self::Bus(on) => on.ask(request).await,
        }
    }

    /// Reads the decisions.
    pub(crate) fn tail(&self, look: Look) -> anyhow::Result<Tail> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.join("decisions");
                ensure!(
                    folder.is_dir(),
                    "no decisions in {}; start `tiphys run PATH`, or name its folder with --data-dir",
                    folder.display()
                );
                Ok(Tail::in_folder(&folder, look))
            }
            Self::Bus(on) => {
                Tail::on_bus(&on.bus, look).context("this kind of event bus keeps no decisions")
            }
        }
    }
}

impl OnBus {
    async fn ask(&self, request: &Request) -> anyhow::Result<Vec<Reply>> {
        match request {
            Request::Dead { sensor, id } => {
                let mut letters = self.letters(sensor.as_deref(), id.as_slice()).await?;
                if id.is_none() {
                    let events = letters.iter_mut().flat_map(|letter| &mut letter.events);
                    events.for_each(|event| event.envelope = None);
                }
                Ok(vec![Reply::Dead(letters)])
            }
            Request::Redrive { ids, sensor } => self.redrive(ids, sensor.as_deref()).await,
            Request::Replay {
                namespace, sensor, ..
            } => match control::ask_on_bus(&self.bus, namespace, sensor, request).await {
                Ok(reply) => Ok(vec![reply]),
                Err(AskError::Nobody) => Ok(vec![Reply::NotHere]),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The dead events of a sensor, or of all; of no ids all are meant.
    async fn letters(
        &self,
        sensor: Option<&str>,
        ids: &[String],
    ) -> anyhow::Result<Vec<DeadLetter>> {
        let mut letters = DeadLetters::new(self.bus.clone()).list().await?;
        letters.retain(|letter| {
            sensor.is_none_or(|sensor| sensor == letter.sensor)
                && (ids.is_empty() || ids.contains(&letter.id))
        });
        Ok(letters)
    }

    /// Asks each sensor for its own.
    async fn redrive(&self, ids: &[String], sensor: Option<&str>) -> anyhow::Result<Vec<Reply>> {
        let mut of_sensors: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for letter in self.letters(sensor, ids).await? {
            let of_sensor = of_sensors.entry((letter.namespace, letter.sensor));
            of_sensor.or_default().push(letter.id);
        }
        let mut replies = Vec::new();
        for ((namespace, sensor), ids) in of_sensors {
            let request = Request::Redrive {
                ids: ids.clone(),
                sensor: Some(sensor.clone()),
            };
            let asked = control::ask_on_bus(&self.bus, &namespace, &sensor, &request).await;
            replies.push(asked.unwrap_or_else(|error| {
                let why = match error {
                    AskError::Nobody => format!("sensor {namespace}/{sensor} does not run"),
                    error => chain(&error),
                };
                let still_dead = |id| Redriven {
                    id,
                    error: Some(why.clone()),
                };
                Reply::Redriven(ids.into_iter().map(still_dead).collect())
            }));
        }
        Ok(replies)
    }
}
