//! The one connection: made in the background, tried for ever, and reported once per change of state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{
    AuthError, Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr,
};
use bytes::Bytes;
use futures::StreamExt as _;
use tiphys_core::backoff::Backoff;
use tiphys_core::tasks::chain;
use tiphys_core::{Secrets, Tasks};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::credentials::{Credentials, made_by_argo, unverified, with_tls};
use super::stream;
use crate::bus::{Durability, Health};
use crate::resource::{JetStreamConfig, NatsAuth, server_list};

const CONNECT_WAIT: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(5);

/// Shared by everything that uses the connection.
pub(crate) struct Link {
    pub(crate) config: JetStreamConfig,
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) tasks: Tasks,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) context: watch::Sender<Option<Context>>,
    /// Asks for another look at the stream.
    pub(crate) look: Notify,
    /// Grows each time that the bus is there again.
    pub(crate) connections: watch::Sender<u64>,
    /// Says that the stream refused an event because it is full.
    pub(crate) full: Notify,
    /// How many events the stream's limits took from consumers.
    pub(crate) lost: AtomicU64,
    durability: AtomicU8,
    /// Whether it is for a short look: it leaves the stream alone then, and the log.
    visiting: bool,
}

impl Link {
    pub(crate) fn new(
        config: JetStreamConfig,
        servers: Vec<ServerAddr>,
        secrets: Arc<dyn Secrets>,
        tasks: Tasks,
    ) -> Self {
        Self {
            config,
            servers,
            secrets,
            tasks,
            health: watch::Sender::new(Health::Unavailable {
                reason: "it is being connected to".to_owned(),
            }),
            context: watch::Sender::new(None),
            look: Notify::new(),
            connections: watch::Sender::new(0),
            full: Notify::new(),
            lost: AtomicU64::new(0),
            durability: AtomicU8::new(0),
            visiting: false,
        }
    }

    /// The same for a short look.
    pub(crate) fn visiting(self) -> Self {
        Self {
            visiting: true,
            ..self
        }
    }

    /// Takes down how many events were lost so far, and wakes whoever watches the bus when there are more.
    pub(crate) fn losses(&self, total: u64) -> u64 {
        if self.lost.swap(total, Ordering::Relaxed) != total {
            self.health.send_modify(|_| {});
        }
        total
    }

    pub(crate) fn durability(&self) -> Durability {
        match self.durability.load(Ordering::Relaxed) {
            2 => Durability::Quorum,
            1 => Durability::Disk,
            _ => Durability::Memory,
        }
    }

    /// Whether the connection stands, or why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &*self.health.borrow() {
            Health::Unavailable { reason } => Err(reason.clone()),
            Health::Connected => Ok(()),
        }
    }

    /// The connection if it stands, or why not.
    pub(crate) fn ready(&self) -> Result<Context, String> {
        self.check()?;
        self.context
            .borrow()
            .clone()
            .ok_or_else(|| "it is being connected to".to_owned())
    }

    /// Waits until the bus can be reached.
    pub(crate) async fn connected(&self) {
        let mut health = self.health.subscribe();
        // The sender lives as long as `self`.
        drop(
            health
                .wait_for(|health| *health == Health::Connected)
                .await
                .map(|_| ()),
        );
    }

    fn report(&self, health: Health) {
        self.health.send_if_modified(|old| {
            if *old == health {
                return false;
            }
            match (&*old, &health) {
                _ if self.visiting => {}
                (_, Health::Connected) => {
                    tracing::info!(
                        durability = self.durability().as_str(),
                        "the event bus is connected"
                    );
                }
                (Health::Connected, Health::Unavailable { reason }) => {
                    tracing::warn!(
                        reason,
                        "the event bus cannot be reached; trying again and again"
                    );
                }
                (Health::Unavailable { .. }, Health::Unavailable { reason }) => {
                    tracing::warn!(reason, "the event bus still cannot be reached");
                }
            }
            *old = health;
            true
        });
    }

    fn unavailable(&self, reason: impl Into<String>) {
        self.report(Health::Unavailable {
            reason: reason.into(),
        });
    }

    /// Connects, and looks after the connection and the stream until the tasks stop.
    pub(crate) async fn run(self: Arc<Self>) -> Result<(), std::convert::Infallible> {
        let stop = self.tasks.stop_token();
        let kept = async {
            let (events, mut happened) = mpsc::unbounded_channel();
            let client = self.connect(events).await;
            let context = ContextBuilder::new()
                .timeout(CONNECT_WAIT)
                .ack_timeout(CONNECT_WAIT)
                .max_ack_inflight(100_000)
                .backpressure_on_inflight(false)
                .build(client.clone());
            self.context.send_replace(Some(context.clone()));
            let mut told = false;
            loop {
                self.stream(&client, &context, &mut happened, &mut told)
                    .await;
                self.mishap(&mut happened).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = kept => {}
        }
        // Whoever closed it knows: that is no mishap to report.
        self.health.send_replace(Health::Unavailable {
            reason: "the bus is closed".to_owned(),
        });
        Ok(())
    }

    /// Tries until the first connection stands; after that the client reconnects by itself.
    async fn connect(&self, events: mpsc::UnboundedSender<Event>) -> Client {
        let backoff = Backoff::reconnect();
        let mut attempt = 0_u32;
        loop {
            let reason = match self.options(events.clone()).await {
                Ok(options) => match options.connect(&self.servers[..]).await {
                    Ok(client) => return client,
                    Err(error) => explain(&error),
                },
                Err(reason) => reason,
            };
            self.unavailable(reason);
            attempt = attempt.saturating_add(1);
            tokio::time::sleep(backoff.wait_after(attempt).unwrap_or(CONNECT_WAIT)).await;
        }
    }

    async fn options(
        &self,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<ConnectOptions, String> {
        let mut options = ConnectOptions::new();
        if let Some(at) = self
            .config
            .access_secret
            .clone()
            .filter(|_| self.config.auth != NatsAuth::None)
        {
            // Read here for a clear reason, and again at each connection, so that a changed one works.
            Credentials::read(&*self.secrets, &at).await?;
            let (secrets, tasks) = (self.secrets.clone(), self.tasks.clone());
            options = ConnectOptions::with_auth_callback(move |_nonce| {
                let (reply, answer) = oneshot::channel();
                let (secrets, at) = (secrets.clone(), at.clone());
                tasks.spawn_job("credentials of the event bus", async move {
                    // The connection attempt may be over already.
                    drop(reply.send(Credentials::read(&*secrets, &at).await));
                });
                async move {
                    let read = answer
                        .await
                        .map_err(|_| AuthError::new("the bus is closing"))?;
                    let credentials = read.map_err(AuthError::new)?;
                    let mut auth = async_nats::Auth::new();
                    auth.token = credentials.token;
                    auth.username = credentials.username;
                    auth.password = credentials.password;
                    Ok(auth)
                }
            });
        }
        let tls = self.config.tls.as_ref();
        let options = match tls {
            None if made_by_argo(&self.config.url) => unverified(options)?,
            tls => with_tls(options, tls, &*self.secrets).await?,
        };
        let backoff = Backoff::reconnect();
        Ok(options
            .name("tiphys")
            .connection_timeout(CONNECT_WAIT)
            .request_timeout(Some(CONNECT_WAIT))
            .ping_interval(PING)
            .max_reconnects(None)
            .reconnect_delay_callback(move |attempt| {
                let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
                backoff.wait_after(attempt.max(1)).unwrap_or(CONNECT_WAIT)
            })
            .event_callback(move |event| {
                drop(events.send(event));
                std::future::ready(())
            }))
    }

    /// Makes sure of the stream; returns when it is there.
    async fn stream(
        &self,
        client: &Client,
        context: &Context,
        happened: &mut mpsc::UnboundedReceiver<Event>,
        told: &mut bool,
    ) {
        let backoff = Backoff::reconnect();
        let mut attempt = 0_u32;
        loop {
            while happened.try_recv().is_ok() {}
            let connected = client.connection_state() == async_nats::connection::State::Connected;
            if connected && self.visiting {
                self.report(Health::Connected);
                return;
            }
            let found = if connected {
                let found = stream::ensure(context, &self.config).await;
                let found = found.and_then(|info| stream::check(&info).map(|()| info));
                // Without JetStream nobody answers, which tells less than the server's greeting.
                match found {
                    Err(_) if !client.server_info().jetstream => {
                        Err(stream::NO_JETSTREAM.to_owned())
                    }
                    found => found,
                }
            } else {
                Err("the connection is lost".to_owned())
            };
            match found {
                Ok(info) => {
                    let durability = stream::durability(&info, &self.config);
                    self.durability.store(
                        match durability {
                            Durability::Memory => 0,
                            Durability::Disk => 1,
                            Durability::Quorum => 2,
                        },
                        Ordering::Relaxed,
                    );
                    if !std::mem::replace(told, true) {
                        stream::report(&info, &self.config);
                        if durability == Durability::Memory {
                            tracing::warn!(
                                "the server acknowledges events before they are on its disk, so a power cut may lose the last ones: set sync_interval: always in its jetstream block and annotate the EventBus with tiphys.dev/bus-durability: disk, or use 3 replicas"
                            );
                        }
                    }
                    self.report(Health::Connected);
                    self.connections.send_modify(|count| *count += 1);
                    return;
                }
                Err(reason) => self.unavailable(reason),
            }
            attempt = attempt.saturating_add(1);
            let wait = backoff.wait_after(attempt).unwrap_or(CONNECT_WAIT);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                event = happened.recv() => {
                    if matches!(event, Some(Event::Connected)) {
                        attempt = 0;
                    }
                }
            }
        }
    }

    /// Waits for a reason to look at the stream again.
    async fn mishap(&self, happened: &mut mpsc::UnboundedReceiver<Event>) {
        loop {
            tokio::select! {
                () = self.look.notified() => return,
                event = happened.recv() => match event {
                    Some(Event::Disconnected) => {
                        self.unavailable("the connection is lost");
                        return;
                    }
                    Some(Event::Connected) => return,
                    Some(event) => tracing::debug!(%event, "event bus client"),
                    None => std::future::pending().await,
                },
            }
        }
    }
}

/// Ends when the server has carried out all that was sent over this connection before: it answers in order. The client's
/// own flush ends when the socket has taken the bytes, and other connections may not see their effect yet.
pub(crate) async fn round_trip(client: &Client) -> Result<(), String> {
    let inbox = client.new_inbox();
    let subscribed = client.subscribe(inbox.clone()).await;
    let mut back = subscribed.map_err(|error| error.to_string())?;
    let sent = client.publish(inbox, Bytes::new()).await;
    sent.map_err(|error| error.to_string())?;
    let came = back.next().await;
    came.map(drop)
        .ok_or_else(|| "the connection is lost".to_owned())
}

fn explain(error: &ConnectError) -> String {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => {
            "the server refuses the credentials: check accessSecret and the server's users"
                .to_owned()
        }
        ConnectErrorKind::Authentication => {
            format!("the credentials cannot be read: {}", chain(error))
        }
        ConnectErrorKind::Tls => format!(
            "TLS fails: {}; check spec.tls and the server's certificate",
            chain(error)
        ),
        ConnectErrorKind::TimedOut => {
            "the server does not answer: check the url and the network".to_owned()
        }
        _ => chain(error),
    }
}

/// The servers of a url list.
pub(crate) fn addresses(url: &str) -> Result<Vec<ServerAddr>, String> {
    let parsed: Result<Vec<ServerAddr>, String> = server_list(url)
        .map(|server| {
            server.parse().map_err(|error| {
                format!("{server:?} is not a server, as nats://host:4222: {error}")
            })
        })
        .collect();
    match parsed {
        Ok(list) if list.is_empty() => Err("url must be set, as nats://host:4222".to_owned()),
        other => other,
    }
}
