//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first signal to stop.
pub(crate) async fn stop() {
    wait().await;
    crate::output::note("stopping; once more to stop at once");
}

/// Waits for the second signal.
pub(crate) async fn stop_now() {
    wait().await;
}

async fn wait() {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without signal handlers the system's own reaction ends the process.
        _ => std::future::pending().await,
    }
}
