//! Who serves what on a port: pure bookkeeping of wishes in the order of their objects. It opens nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::EventError;
use crate::http::route::Route;
use crate::http::table::Table;
use crate::http::tls::Tls;
use crate::source::HookAt;

/// One event that wants to be served.
pub(crate) struct Claim {
    pub(crate) at: HookAt,
    pub(crate) route: Arc<Route>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// What a port serves once all wishes are weighed.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) table: Table,
    pub(crate) tls: Option<Arc<Tls>>,
    /// The events that lost, by namespace, name and event.
    pub(crate) lost: Vec<(Arc<Route>, EventError)>,
    /// The events that are served.
    pub(crate) won: Vec<Arc<Route>>,
}

/// Weighs the wishes for one port: of two that clash, the one of the earlier object wins.
pub(crate) fn weigh<'a>(port: u16, claims: impl Iterator<Item = &'a Claim>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut first: Option<&Claim> = None;
    let mut taken: HashMap<&str, Vec<&Claim>> = HashMap::new();
    for claim in claims {
        let owner = *first.get_or_insert(claim);
        let (ours, theirs) = (claim.tls.as_ref(), owner.tls.as_ref());
        if ours.map(|tls| &tls.at) != theirs.map(|tls| &tls.at) {
            let error = EventError::OtherTls {
                port,
                namespace: owner.route.owner.0.clone(),
                name: owner.route.owner.1.clone(),
                theirs: if theirs.is_some() {
                    "another certificate"
                } else {
                    "HTTP"
                },
            };
            verdict.lost.push((claim.route.clone(), error));
            continue;
        }
        let neighbours = taken.entry(claim.at.pattern.as_str()).or_default();
        let clash = neighbours
            .iter()
            .find(|other| other.at.takes_the_same(&claim.at));
        if let Some(other) = clash {
            let method = claim.at.method.as_ref().map_or("any", http::Method::as_str);
            let error = EventError::Taken {
                what: format!("{method} {}", claim.at.pattern.as_str()),
                port,
                namespace: other.route.owner.0.clone(),
                name: other.route.owner.1.clone(),
                event: other.route.event.clone(),
            };
            verdict.lost.push((claim.route.clone(), error));
            continue;
        }
        neighbours.push(claim);
        let method = claim.at.method.clone();
        verdict
            .table
            .add(&claim.at.pattern, method, claim.route.clone());
        verdict.won.push(claim.route.clone());
    }
    verdict.tls = first.and_then(|claim| claim.tls.clone());
    verdict
}
