//! Where a process serves metrics and health, as `--admin` says. What is served is the controller's crate's.

use anyhow::Context as _;
use tokio::net::TcpListener;

/// The listener; none for `off`.
pub(crate) async fn listener(address: &str) -> anyhow::Result<Option<TcpListener>> {
    if address == "off" {
        return Ok(None);
    }
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot serve metrics on {address}; choose another address with --admin, or --admin off"
        )
    })?;
    tracing::info!(address = %listener.local_addr()?, "metrics and health");
    Ok(Some(listener))
}
