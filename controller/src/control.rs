//! What people ask of the sensors of a running process: their dead events, re-drives, replays. One line of JSON in, one
//! out, on loopback, with a token that only the owner of the data folder can read. It decides nothing by itself.
//!
//! ```text
//! `tiphys dead`, `tiphys replay` ─▶ <data>/control/<pid>.json: address, token ─▶ Request ─▶ RunningSensor ─▶ Reply
//! ```
//!
//! The sensors of a cluster are asked the same over their event bus.

mod on_bus;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiphys_core::tasks::chain;
use tiphys_core::{Secret, Tasks};
use tiphys_sensor::{DeadLetter, Replay, Replayed, RunningSensor};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub use on_bus::ask_on_bus;
pub(crate) use on_bus::spawn as spawn_on_bus;

/// Where processes write down how they are reached.
const FOLDER: &str = "control";
/// No request is longer.
const REQUEST_BYTES: u64 = 1 << 20;
/// How long a request may take to arrive.
const REQUEST_WAIT: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// The events that were given up.
    Dead {
        /// Only those of one sensor.
        sensor: Option<String>,
        /// Only this one, with its envelopes.
        id: Option<String>,
    },
    /// Dead events once more to their trigger.
    Redrive {
        /// Which; all of `sensor` where there are none.
        ids: Vec<String>,
        /// Only those of one sensor.
        sensor: Option<String>,
    },
    /// Stored events once more to one sensor.
    Replay {
        /// The sensor's namespace.
        namespace: String,
        /// The sensor.
        sensor: String,
        /// Which events.
        replay: Replay,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// The dead events.
    Dead(Vec<DeadLetter>),
    /// What became of each dead event.
    Redriven(Vec<Redriven>),
    /// What a replay did.
    Replayed(Replayed),
    /// The sensor does not run in this process.
    NotHere,
    /// It could not be done.
    Failed(String),
}

/// What became of one dead event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// Its name among the dead.
    pub id: String,
    /// Why it is still dead; absent where its effect is there.
    pub error: Option<String>,
}

/// Why a running process could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// None runs there.
    #[error(
        "nothing runs with the data folder {0}; start `tiphys run PATH`, or name its folder with --data-dir"
    )]
    NobodyThere(String),
    /// It does not answer as it should.
    #[error("the process of {path} does not answer")]
    Broken {
        /// Its record.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The sensors that run now. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Running {
    sensors: Arc<Mutex<BTreeMap<(String, String), RunningSensor>>>,
}

impl Running {
    pub(crate) fn add(&self, namespace: &str, name: &str, sensor: RunningSensor) {
        let mut sensors = self.sensors.lock().unwrap_or_else(PoisonError::into_inner);
        sensors.insert((namespace.to_owned(), name.to_owned()), sensor);
    }

    pub(crate) fn remove(&self, namespace: &str, name: &str) {
        let mut sensors = self.sensors.lock().unwrap_or_else(PoisonError::into_inner);
        sensors.remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn get(&self, namespace: &str, name: &str) -> Option<RunningSensor> {
        let sensors = self.sensors.lock().unwrap_or_else(PoisonError::into_inner);
        sensors
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    fn all(&self) -> Vec<RunningSensor> {
        let sensors = self.sensors.lock().unwrap_or_else(PoisonError::into_inner);
        sensors.values().cloned().collect()
    }

    async fn answer(&self, request: Request) -> Reply {
        let answer = match request {
            Request::Dead { sensor, id } => self
                .dead(sensor.as_deref(), id.as_deref())
                .await
                .map(Reply::Dead),
            Request::Redrive { ids, sensor } => self
                .redrive(&ids, sensor.as_deref())
                .await
                .map(Reply::Redriven),
            Request::Replay {
                namespace,
                sensor,
                replay,
            } => match self.get(&namespace, &sensor) {
                None => Ok(Reply::NotHere),
                Some(running) => {
                    let replayed = running.replay(&replay).await;
                    replayed.map(Reply::Replayed).map_err(|error| chain(&error))
                }
            },
        };
        answer.unwrap_or_else(Reply::Failed)
    }

    /// The dead of all buses; sensors of one bus see the same ones.
    async fn letters(&self, sensor: Option<&str>) -> Result<Vec<DeadLetter>, String> {
        let mut letters = BTreeMap::new();
        for running in self.all() {
            let found = running.dead().list().await.map_err(|error| chain(&error))?;
            for letter in found {
                if sensor.is_none_or(|sensor| sensor == letter.sensor) {
                    letters.insert((letter.at, letter.id.clone()), letter);
                }
            }
        }
        Ok(letters.into_values().collect())
    }

    async fn dead(
        &self,
        sensor: Option<&str>,
        id: Option<&str>,
    ) -> Result<Vec<DeadLetter>, String> {
        let mut letters = self.letters(sensor).await?;
        match id {
            Some(id) => letters.retain(|letter| letter.id == id),
            None => {
                let events = letters.iter_mut().flat_map(|letter| &mut letter.events);
                events.for_each(|event| event.envelope = None);
            }
        }
        Ok(letters)
    }

    async fn redrive(&self, ids: &[String], sensor: Option<&str>) -> Result<Vec<Redriven>, String> {
        let mut results = Vec::new();
        for letter in self.letters(sensor).await? {
            if !ids.is_empty() && !ids.contains(&letter.id) {
                continue;
            }
            let (namespace, name) = (&letter.namespace, &letter.sensor);
            let error = match self.get(namespace, name) {
                None => Some(format!("sensor {namespace}/{name} does not run")),
                Some(running) => running
                    .redrive(&letter)
                    .await
                    .err()
                    .map(|error| chain(&error)),
            };
            results.push(Redriven {
                id: letter.id,
                error,
            });
        }
        Ok(results)
    }
}

/// How a process is reached.
#[derive(Serialize, Deserialize)]
struct Record {
    address: SocketAddr,
    token: String,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    token: String,
    request: Request,
}

/// Answers until the signal to stop.
pub(crate) fn spawn(data_dir: &Path, running: Running, tasks: &Tasks) {
    let (folder, stop, connections) = (data_dir.join(FOLDER), tasks.stop_token(), tasks.clone());
    tasks.spawn_job("control", async move {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%error, "cannot listen for `tiphys dead` and `tiphys replay`");
                return;
            }
        };
        let token = format!("{:032x}", rand::random::<u128>());
        let path = folder.join(format!("{}.json", std::process::id()));
        let written = listener.local_addr().and_then(|address| {
            let token = token.clone();
            write(&folder, &path, &Record { address, token })
        });
        if let Err(error) = written {
            tracing::warn!(%error, "cannot write down where `tiphys dead` and `tiphys replay` are answered");
            return;
        }
        let token = Arc::new(Secret::new(token.into_bytes()));
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::debug!(%error, "a connection failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (running, token, stop) = (running.clone(), token.clone(), stop.clone());
            connections.spawn_job("control connection", async move {
                let done = tokio::select! {
                    () = stop.cancelled() => Ok(()),
                    done = serve(stream, &running, &token) => done,
                };
                if let Err(error) = done {
                    tracing::debug!(%error, "a request was not answered");
                }
            });
        }
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::debug!(%error, "the record of this process is gone already");
        }
    });
}

async fn serve(stream: TcpStream, running: &Running, token: &Secret) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(REQUEST_BYTES));
    tokio::time::timeout(REQUEST_WAIT, reader.read_line(&mut line)).await??;
    let asked: Asked = serde_json::from_str(&line)?;
    if !token.matches(asked.token.as_bytes()) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut reply = serde_json::to_vec(&running.answer(asked.request).await)?;
    reply.push(b'\n');
    write.write_all(&reply).await?;
    write.shutdown().await
}

/// Only the owner may read it.
fn write(folder: &Path, path: &Path, record: &Record) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // Whoever reads it finds all of it or nothing.
    let part = path.with_extension("part");
    // A process of that number may have been killed before.
    for before in [path, &part] {
        if let Err(error) = std::fs::remove_file(before)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    std::fs::rename(part, path)
}

/// Asks every process that runs with a data folder.
///
/// # Errors
/// [`AskError`].
pub async fn ask(data_dir: &Path, request: &Request) -> Result<Vec<Reply>, AskError> {
    let mut replies = Vec::new();
    let mut failure = None;
    for path in records(&data_dir.join(FOLDER)) {
        let broken = |source| AskError::Broken {
            path: path.display().to_string(),
            source,
        };
        let record: Record = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| broken(error.into()))?,
            Err(_) => continue,
        };
        // A process that was killed leaves its record behind.
        let Ok(stream) = TcpStream::connect(record.address).await else {
            continue;
        };
        match exchange(stream, record.token, request).await {
            Ok(reply) => replies.push(reply),
            // Somebody else may listen there by now.
            Err(error) => {
                tracing::warn!(%error, record = %path.display(), "a process has not answered");
                failure = Some(broken(error));
            }
        }
    }
    if replies.is_empty() {
        let nobody = || AskError::NobodyThere(data_dir.display().to_string());
        return Err(failure.unwrap_or_else(nobody));
    }
    Ok(replies)
}

async fn exchange(mut stream: TcpStream, token: String, request: &Request) -> io::Result<Reply> {
    let asked = Asked {
        token,
        request: request.clone(),
    };
    let mut line = serde_json::to_vec(&asked)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    Ok(serde_json::from_slice(&reply)?)
}

fn records(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    paths
}
