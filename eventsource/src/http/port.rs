//! One port as its connections see it: the routes of the moment, and the way of a request up to its route.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;

use super::body::{self, BodyError, Memory};
use super::limits::Limits;
use super::reply::{self, Reply};
use super::table::{Found, Table};
use super::tls::{Tls, TlsAt};

/// What all connections of a port share.
pub(crate) struct Port {
    pub(crate) limits: Limits,
    pub(crate) connections: Arc<Semaphore>,
    memory: Memory,
    table: RwLock<Arc<Table>>,
    tls: RwLock<Option<Arc<Tls>>>,
}

impl Port {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.connections)),
            memory: Memory::new(limits.body_memory),
            table: RwLock::default(),
            tls: RwLock::default(),
            limits,
        }
    }

    /// Replaces all routes at once; requests in hand keep the route they have.
    pub(crate) fn set_table(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn table(&self) -> Arc<Table> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Serves new connections with this certificate, or without any.
    pub(crate) fn set_tls(&self, tls: Option<Arc<Tls>>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// The certificate for new connections.
    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where the certificate comes from.
    pub(crate) fn tls_at(&self) -> Option<TlsAt> {
        self.tls().map(|tls| tls.at.clone())
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let table = self.table();
        let path = request.uri().path();
        let path = if path.contains('%') {
            percent_decode_str(path).decode_utf8_lossy()
        } else {
            Cow::Borrowed(path)
        };
        let route = match table.find(request.method(), &path) {
            Found::Route(route) => route,
            Found::Health => return reply::health(),
            Found::OtherMethod(allow) => return reply::other_method(&allow),
            Found::Nothing => {
                return reply::error(StatusCode::NOT_FOUND, "no event source serves this path");
            }
        };
        if let Some(denied) = route.denies(request.headers()).await {
            return denied;
        }
        let (head, incoming) = request.into_parts();
        let limit = route.max_payload;
        // Argo ignores the body of a GET; it is not read here either.
        let read = if head.method == Method::GET {
            None
        } else {
            match body::read(incoming, limit, self.limits.body_read, &self.memory).await {
                Ok(read) => Some(read),
                Err(error) => {
                    let (status, message) = describe(error, limit);
                    route.reject(&message);
                    return reply::closing(status, &message);
                }
            }
        };
        let bytes = read
            .as_ref()
            .map(|read| read.bytes.clone())
            .unwrap_or_default();
        let request = Request::from_parts(head, bytes);
        route.take(&request, self.limits.publish).await
    }
}

fn describe(error: BodyError, limit: u64) -> (StatusCode, String) {
    match error {
        BodyError::TooLong => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {limit} bytes: raise maxPayloadSize, or send less"),
        ),
        BodyError::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time".to_owned(),
        ),
        BodyError::Broken => (
            StatusCode::BAD_REQUEST,
            "the body cannot be read".to_owned(),
        ),
    }
}
