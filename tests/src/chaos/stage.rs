//! The servers and processes of a run, and the doing of faults. What must come out of it is not known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::TryStreamExt as _;
use kube::{Client, Config};
use rustix::process::Signal;
use tempfile::TempDir;

use super::disk::Disk;
use super::manifests::{self, NAMESPACE, PORT};
use super::objects;
use super::program::Program;
use super::{Fault, Plan, Shape};
use crate::ends::Ends;
use crate::kubernetes::apply_crds;
use crate::ports::free_port;
use crate::wait::{eventually, until};
use crate::{ApiServer, Nats, NatsCluster, NatsOptions, temp_dir};

/// For a program to be ready at the start.
const READY: Duration = Duration::from_secs(120);

/// For a program to end after SIGTERM: its grace and a little.
const ENDS: Duration = Duration::from_secs(60);

/// Between two looks at whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Between two counts of the objects.
const COUNT: Duration = Duration::from_millis(500);

/// Room for the bus's store beside what the events need, in megabytes.
const DISK: usize = 256;

/// Everything that runs.
pub(super) struct Stage {
    shape: Shape,
    talk: bool,
    begun: Instant,
    // Fields drop in this order: programs before what they stand on, the disk after what is on it.
    programs: Vec<Program>,
    api: Option<ApiServer>,
    buses: Vec<Nats>,
    disk: Option<Disk>,
    folder: TempDir,
    webhook: u16,
    local_api: u16,
    killed: Vec<usize>,
    paused: Vec<usize>,
    /// Programs that were asked to end.
    asked: Vec<usize>,
    counted: (Instant, usize),
    /// What is wrong with how programs ended.
    pub(super) stubborn: Vec<String>,
}

impl Stage {
    pub(super) async fn start(plan: &Plan) -> Self {
        let folder = temp_dir();
        let mut stage = Self {
            shape: plan.shape,
            talk: plan.talk,
            begun: Instant::now(),
            programs: Vec::new(),
            api: None,
            buses: Vec::new(),
            disk: None,
            folder,
            webhook: free_port(),
            local_api: free_port(),
            killed: Vec::new(),
            paused: Vec::new(),
            asked: Vec::new(),
            counted: (Instant::now(), 0),
            stubborn: Vec::new(),
        };
        let disk = plan.faults.contains(&Fault::DiskFull);
        let megabytes = DISK + plan.events / 500;
        match plan.shape {
            Shape::JetStream => stage.buses.push(Nats::start(NatsOptions::default()).await),
            Shape::Cluster => stage.buses = NatsCluster::start(3).await.nodes,
            Shape::Embedded => {
                if disk {
                    stage.disk = Disk::mount(&stage.folder.path().join("data"), megabytes * 2);
                }
            }
        }
        if let Some(server) = stage.buses.first_mut().filter(|_| disk) {
            server.kill();
            stage.disk = Disk::mount(&server.store(), megabytes);
            server.restart().await;
        }
        if disk && stage.disk.is_none() {
            stage.talk("no disk can be mounted here: none gets full");
        }
        if plan.shape != Shape::Embedded {
            let api = ApiServer::start().await;
            apply_crds(&api.client().await).await;
            api.create_namespace(NAMESPACE).await;
            stage.api = Some(api);
        }
        stage.programs = stage.describe();
        for program in &mut stage.programs {
            program.start();
        }
        for program in &stage.programs {
            let what = format!("{} to be ready\n{}", program.name(), program.tail());
            eventually(&what, READY, async || program.ready().await.then_some(())).await;
        }
        stage.talk("everything is ready");
        stage
    }

    fn describe(&self) -> Vec<Program> {
        let folder = self.folder.path();
        let files = folder.join("objects");
        std::fs::create_dir_all(&files).expect("the run's folder can be written");
        let write = |name: &str, text: String| -> String {
            let path = files.join(name);
            std::fs::write(&path, text).expect("the run's folder can be written");
            text_of(&path)
        };
        let urls: Vec<String> = self.buses.iter().map(Nats::url).collect();
        let bus = match self.shape {
            Shape::Embedded => manifests::EMBEDDED_BUS.to_owned(),
            _ => manifests::bus_on(&urls, urls.len()),
        };
        let bus = write("bus.yaml", bus);
        let source = write("source.yaml", manifests::SOURCE.to_owned());
        let sensor = write("sensor.yaml", manifests::sensor(self.api.is_some()));
        let publish = format!("{}:{PORT}", self.webhook);
        let strings = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        if self.shape == Shape::Embedded {
            let (data, files) = (text_of(&folder.join("data")), text_of(&files));
            let api = format!("127.0.0.1:{}", self.local_api);
            let args = strings(&[
                "run",
                &files,
                "--data-dir",
                &data,
                "--publish",
                &publish,
                "--api",
                &api,
                "--no-reload",
            ]);
            return vec![Program::new("run", folder, args, None)];
        }
        let kubeconfig: Option<PathBuf> = self.api.as_ref().map(ApiServer::kubeconfig_path);
        let role = |name: &str, role: &str, file: &str, publish: &str| {
            let args = strings(&[role, "--file", &bus, file, "--publish", publish]);
            Program::new(name, folder, args, kubeconfig.clone())
        };
        vec![
            role("eventsource", "eventsource", &source, &publish),
            role("sensor-1", "sensor", &sensor, "1:1"),
            role("sensor-2", "sensor", &sensor, "2:2"),
        ]
    }

    pub(super) fn talk(&self, text: &str) {
        if self.talk {
            crate::chaos::say(&format!(
                "{:>7.1} s  {text}",
                self.begun.elapsed().as_secs_f64()
            ));
        }
    }

    /// Where the webhook listens, always.
    pub(super) const fn source_port(&self) -> u16 {
        self.webhook
    }

    pub(super) const fn workflows(&self) -> bool {
        self.api.is_some()
    }

    /// A client of the API that holds the objects.
    pub(super) async fn client(&self) -> Client {
        match &self.api {
            Some(api) => api.client().await,
            None => {
                let url = format!("http://127.0.0.1:{}", self.local_api).parse();
                let config = Config::new(url.expect("the address is well formed"));
                Client::try_from(config).expect("a client of a plain address can be made")
            }
        }
    }

    /// How many objects there are by the last count; where counting costs too much, `instead`.
    pub(super) async fn progress(&mut self, instead: usize) -> usize {
        if self.api.is_none() {
            return instead;
        }
        if self.counted.0.elapsed() > COUNT {
            let client = self.client().await;
            let counting = objects::count(client, self.workflows());
            if let Ok(Some(count)) = tokio::time::timeout(COUNT * 4, counting).await {
                self.counted.1 = count;
            }
            self.counted.0 = Instant::now();
        }
        self.counted.1
    }

    /// Starts again what has ended unasked, and says what that was.
    pub(super) fn revive(&mut self) -> Vec<String> {
        let mut all = std::mem::take(&mut self.stubborn);
        for program in &mut self.programs {
            if let Some(how) = program.ended() {
                all.push(how);
                program.start();
            }
        }
        all
    }

    pub(super) async fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::SourceKilled | Fault::LocalKilled => self.program(0, Program::kill),
            Fault::SensorKilled => self.program(1, Program::kill),
            Fault::OtherSensorKilled => self.program(2, Program::kill),
            Fault::SensorsKilled => {
                self.program(1, Program::kill);
                self.program(2, Program::kill);
            }
            Fault::SourceRolled | Fault::LocalRolled => self.ask(0),
            Fault::SensorRolled => self.ask(1),
            Fault::SensorPaused | Fault::SensorPausedLong => self.program(2, Program::pause),
            Fault::LocalPaused => self.program(0, Program::pause),
            Fault::BusKilled | Fault::BusPaused => {
                let leader = self.leader().await;
                if let Some(server) = self.buses.get_mut(leader) {
                    if fault == Fault::BusKilled {
                        server.kill();
                        self.killed.push(leader);
                    } else {
                        server.pause();
                        self.paused.push(leader);
                    }
                }
            }
            Fault::DiskFull => {
                if let Some(disk) = &self.disk {
                    disk.fill();
                }
            }
            Fault::ApiKilled => {
                if let Some(api) = &mut self.api {
                    api.kill();
                }
            }
            Fault::ApiPaused => {
                if let Some(api) = &mut self.api {
                    api.pause();
                }
            }
        }
    }

    pub(super) async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::SourceKilled | Fault::LocalKilled => self.back(0),
            Fault::SensorKilled => self.back(1),
            Fault::OtherSensorKilled => self.back(2),
            Fault::SensorsKilled => {
                self.back(1);
                self.back(2);
            }
            Fault::SourceRolled | Fault::LocalRolled => self.rolled(0).await,
            Fault::SensorRolled => self.rolled(1).await,
            Fault::SensorPaused | Fault::SensorPausedLong => self.program(2, resume),
            Fault::LocalPaused => self.program(0, resume),
            Fault::BusKilled | Fault::BusPaused => {
                for paused in std::mem::take(&mut self.paused) {
                    if let Some(server) = self.buses.get_mut(paused) {
                        server.resume();
                    }
                }
                for killed in std::mem::take(&mut self.killed) {
                    if let Some(server) = self.buses.get_mut(killed) {
                        server.restart().await;
                    }
                }
            }
            Fault::DiskFull => {
                let Some(disk) = &self.disk else { return };
                disk.empty();
                // A NATS server whose disk was full wants to be started again; the embedded bus does not.
                if self.killed.is_empty() {
                    for server in &mut self.buses {
                        server.resume();
                        server.restart().await;
                    }
                }
            }
            Fault::ApiKilled => {
                if let Some(api) = &mut self.api {
                    api.restart().await;
                }
            }
            Fault::ApiPaused => {
                if let Some(api) = &mut self.api {
                    api.resume();
                }
            }
        }
    }

    fn program(&mut self, index: usize, act: fn(&mut Program)) {
        if let Some(program) = self.programs.get_mut(index) {
            act(program);
        }
    }

    fn back(&mut self, index: usize) {
        let Some(program) = self.programs.get_mut(index) else {
            return;
        };
        if program.is_away() {
            program.start();
            self.asked.retain(|asked| *asked != index);
        }
    }

    /// Asks a program to end, where it runs.
    fn ask(&mut self, index: usize) {
        if let Some(program) = self.programs.get_mut(index)
            && !program.is_away()
        {
            program.signal(Signal::TERM);
            self.asked.push(index);
        }
    }

    /// Waits for the end of a program that was asked for it, then starts it again.
    async fn rolled(&mut self, index: usize) {
        let asked = self.asked.contains(&index);
        let Some(program) = self.programs.get_mut(index).filter(|_| asked) else {
            return;
        };
        let end = Instant::now() + ENDS;
        let gone = until(end.into(), LOOK, async || {
            (program.is_away() || program.ended().is_some()).then_some(())
        });
        if gone.await.is_none() {
            self.stubborn.push(format!(
                "{} did not end after SIGTERM\n{}",
                program.name(),
                program.tail()
            ));
            program.kill();
        }
        self.back(index);
    }

    /// Whether there is a disk that can be full.
    pub(super) const fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    async fn stream(&self) -> Option<jetstream::stream::Stream> {
        let urls: Vec<String> = self.buses.iter().map(Nats::url).collect();
        let looking = async {
            let client = async_nats::connect(urls).await.ok()?;
            jetstream::new(client).get_stream("default").await.ok()
        };
        tokio::time::timeout(Duration::from_secs(5), looking)
            .await
            .ok()?
    }

    /// The server that leads the stream.
    async fn leader(&self) -> usize {
        if self.buses.len() < 2 {
            return 0;
        }
        let Some(stream) = self.stream().await else {
            return 0;
        };
        let cluster = stream.cached_info().cluster.as_ref();
        let leader = cluster.and_then(|cluster| cluster.leader.clone());
        leader
            .and_then(|name| name.strip_prefix("node-")?.parse().ok())
            .unwrap_or(0)
    }

    /// How many messages the bus still has to deliver, or waits for the acknowledgement of.
    pub(super) async fn backlog(&self) -> Option<u64> {
        if self.buses.is_empty() {
            return Some(0);
        }
        let stream = self.stream().await?;
        let consumers: Vec<_> = stream.consumers().try_collect().await.ok()?;
        let open = |info: &jetstream::consumer::Info| {
            info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or(0)
        };
        Some(consumers.iter().map(open).sum())
    }

    /// The metrics of every process that has a sensor, by its name.
    pub(super) async fn metrics(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for program in self
            .programs
            .iter()
            .filter(|program| program.name() != "eventsource")
        {
            let text = program.get("metrics").await.unwrap_or_default();
            all.push((program.name().to_owned(), text));
        }
        all
    }

    /// What each process that has a sensor has recorded of a trigger.
    pub(super) fn ends(&self, sensor: &str, trigger: &str) -> BTreeMap<String, Ends> {
        let programs = self.programs.iter();
        let ends = programs.filter_map(|program| {
            Some((program.name().to_owned(), program.ends(sensor, trigger)?))
        });
        ends.collect()
    }

    /// Resident kibibytes by process.
    pub(super) fn memory(&self) -> BTreeMap<String, usize> {
        self.programs
            .iter()
            .map(|program| (program.name().to_owned(), program.memory()))
            .collect()
    }

    /// What the programs said last; with `files`, logs and stores stay where they are.
    pub(super) fn keep(mut self, files: bool) -> String {
        let tails: Vec<String> = self.programs.iter().map(Program::tail).collect();
        let mut text = tails.join("\n\n");
        if files {
            self.folder.disable_cleanup(true);
            text.push_str(&format!("\n\nfiles: {}", self.folder.path().display()));
        }
        text
    }
}

fn resume(program: &mut Program) {
    program.signal(Signal::CONT);
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}
