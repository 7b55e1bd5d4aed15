//! A server for tests of running sensors: it keeps what it was asked, and answers as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, StatusCode};
use tiphys_core::Tasks;

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    /// The member `id` of its body.
    pub(super) fn id(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["id"].as_str().unwrap().to_owned()
    }
}

/// The server; it ends with the test.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Sink {
    /// Starts it. `answer` sees all requests, the one that is answered last.
    pub(super) async fn start(
        answer: impl Fn(&[Asked]) -> StatusCode + Clone + Send + Sync + 'static,
    ) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let seen = Arc::clone(&asked);
        let handler = move |headers: HeaderMap, body: String| async move {
            let mut seen = seen.lock().unwrap();
            seen.push(Asked { headers, body });
            answer(&seen)
        };
        let router = axum::Router::new().fallback(handler);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Tasks::new().spawn_job("sink", async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, asked }
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The ids of that.
    pub(super) fn ids(&self) -> Vec<String> {
        self.asked().iter().map(Asked::id).collect()
    }
}
