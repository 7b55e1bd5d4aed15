//! `tiphys webhook`: the validating admission webhook of a cluster.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tiphys_controller::admission::{
    self, Certificate, CertificateFiles, MissingBus, Options, SelfSigned,
};
use tiphys_controller::{admin, counted_client};
use tiphys_core::metrics::Metrics;
use tiphys_core::{Tasks, duration};
use tokio::net::TcpListener;

use crate::args::{MissingBusArg, Webhook};
use crate::connect;
use crate::logging::Reload;
use crate::signals;

/// The API server waits ten seconds where nothing else is configured; an answer must be there before.
const REVIEW: Duration = Duration::from_secs(8);
/// An object has at most 3 MiB, and an update carries it twice.
const MAX_BODY: usize = 8 << 20;
/// Shorter-lived certificates would be renewed all the time.
const SHORTEST: Duration = Duration::from_secs(10);
/// Longer than that an API server may not be told of.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Serves until it is told to stop.
pub(crate) async fn run(args: Webhook, set_log_level: Reload) -> anyhow::Result<ExitCode> {
    let config = connect::cluster().await.context(
        "the webhook needs a cluster, and none is known: run it in a pod, or set KUBECONFIG",
    )?;
    let namespace = args
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let certificate = certificate(&args, &namespace)?;
    let listener = TcpListener::bind(&args.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen",
            args.listen
        )
    })?;
    let address = listener.local_addr()?;
    let tasks = Tasks::new();
    let metrics = Metrics::try_new(env!("CARGO_PKG_VERSION"))?;
    let options = Options {
        client: counted_client(config, &metrics)?,
        certificate,
        missing_bus: match args.missing_bus {
            MissingBusArg::Deny => MissingBus::Deny,
            MissingBusArg::Warn => MissingBus::Warn,
        },
        timeout: REVIEW,
        max_body: MAX_BODY,
        metrics: metrics.clone(),
    };
    let state = admission::spawn(listener, options, &tasks)?;
    if let Some(listener) = crate::admin::listener(&args.admin).await? {
        admin::spawn(
            listener,
            metrics,
            state,
            std::sync::Arc::from(set_log_level),
            &tasks,
        );
    }
    tracing::info!(%address, "the webhook listens");
    let failed = tokio::select! {
        () = signals::stop() => None,
        failed = tasks.failed() => Some(failed),
    };
    tokio::select! {
        stopped = tasks.stop(Duration::from_secs(args.grace)) => stopped?,
        () = signals::stop_now() => anyhow::bail!("stopped before every review was answered"),
    }
    match failed {
        Some(failed) => Err(failed.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn certificate(args: &Webhook, namespace: &str) -> anyhow::Result<Certificate> {
    if let (Some(certificate), Some(key)) = (&args.cert, &args.key) {
        return Ok(Certificate::Files(CertificateFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            authority: args.ca.clone().map(|ca| (ca, args.configuration.clone())),
        }));
    }
    let validity = duration::parse(&args.validity)
        .ok()
        .filter(|validity| (SHORTEST..=LONGEST).contains(validity))
        .with_context(|| {
            format!(
                "--validity {:?} must be a duration between 10s and ten years, as 8760h",
                args.validity
            )
        })?;
    let service = &args.service;
    let mut hosts = vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ];
    hosts.extend(args.host.iter().cloned());
    Ok(Certificate::SelfSigned(SelfSigned {
        namespace: namespace.to_owned(),
        secret: args.secret.clone(),
        configuration: args.configuration.clone(),
        hosts,
        validity,
    }))
}
