//! Which route answers a request: a table that is built once for each change and read by every request. It holds no state.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::pattern::Pattern;
use super::route::Route;

/// The routes of one port.
#[derive(Default)]
pub(crate) struct Table {
    exact: HashMap<String, Vec<Served>>,
    templates: Vec<(Pattern, Served)>,
}

/// One route under its path.
struct Served {
    method: Option<Method>,
    route: Arc<Route>,
}

impl Served {
    fn takes(&self, method: &Method) -> bool {
        self.method.as_ref().is_none_or(|ours| ours == method)
    }
}

/// What a table says about a request.
pub(crate) enum Found<'a> {
    /// It is for this route.
    Route(&'a Arc<Route>),
    /// It is the health check.
    Health,
    /// The path is served, but for these methods.
    OtherMethod(String),
    /// Nobody serves the path.
    Nothing,
}

impl Table {
    /// Adds a route; of two that take the same request the first wins.
    pub(crate) fn add(&mut self, pattern: &Pattern, method: Option<Method>, route: Arc<Route>) {
        let served = Served { method, route };
        if pattern.is_template() {
            self.templates.push((pattern.clone(), served));
        } else {
            let path = pattern.as_str().to_owned();
            self.exact.entry(path).or_default().push(served);
        }
    }

    /// Finds the route of a request by its decoded path. Paths without parameters go first.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let exact = self.exact.get(path).map(Vec::as_slice).unwrap_or_default();
        if let Some(served) = exact.iter().find(|served| served.takes(method)) {
            return Found::Route(&served.route);
        }
        let mut others: Vec<&Served> = exact.iter().collect();
        for (pattern, served) in &self.templates {
            if pattern.matches(path) {
                if served.takes(method) {
                    return Found::Route(&served.route);
                }
                others.push(served);
            }
        }
        if path == "/health" && exact.is_empty() {
            return Found::Health;
        }
        if others.is_empty() {
            return Found::Nothing;
        }
        let mut methods: Vec<&str> = others
            .iter()
            .filter_map(|served| served.method.as_ref().map(Method::as_str))
            .collect();
        methods.sort_unstable();
        methods.dedup();
        Found::OtherMethod(methods.join(", "))
    }
}
