//! A file on a web server. It follows redirects, and none to a place that it might not have been told itself.

use bytes::Bytes;

use super::network::{self, Network, Trust};
use super::{LARGEST, cannot_read};
use crate::spec::UrlSourceSpec;
use crate::triggers::FireError;

/// A file on a web server.
#[derive(Clone)]
pub(crate) struct Url {
    url: reqwest::Url,
    trust: Trust,
}

impl Url {
    pub(super) fn new(spec: &UrlSourceSpec) -> Result<Self, FireError> {
        let url =
            check(&spec.path).map_err(|why| FireError::permanent(format!("url.path {why}")))?;
        Ok(Self {
            url,
            trust: Trust {
                any_certificate: spec.verify_cert == Some(false),
                ..Trust::default()
            },
        })
    }

    pub(super) fn shown(&self) -> String {
        network::shown(&self.url)
    }

    pub(super) async fn read(&self, network: &Network) -> Result<Bytes, FireError> {
        let what = cannot_read(self.shown());
        let client = network.client(&self.url, &self.trust)?;
        let response = client.get(self.url.clone()).send().await;
        let response = response.map_err(|error| network::failed(what.clone(), error))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(network::refused(what, response.status()));
        }
        network::body(&what, response, LARGEST).await
    }
}

/// A URL that can be asked, or what must hold.
pub(crate) fn check(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text);
    match url {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(url),
        _ => Err("must be a whole URL, as https://host/file.yaml".to_owned()),
    }
}
