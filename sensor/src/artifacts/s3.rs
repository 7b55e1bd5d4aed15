//! An object in a bucket of Amazon S3 or of a server that speaks like it (MinIO, Ceph, R2): one signed GET, with the
//! bucket in the path. It lists nothing and writes nothing.

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, Secrets};

use super::network::{self, Network, Trust};
use super::{LARGEST, cannot_read};
use crate::spec::S3SourceSpec;
use crate::triggers::FireError;

/// Of a bucket that says nothing else.
const REGION: &str = "us-east-1";

/// What signing leaves as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An object in a bucket.
#[derive(Clone)]
pub(crate) struct S3 {
    base: Url,
    bucket: String,
    key: String,
    region: String,
    access_key: KeyRef,
    secret_key: KeyRef,
    roots: Option<KeyRef>,
    /// The spec itself names the host.
    named_host: bool,
}

/// What a request is signed with.
struct Keys {
    access: Secret,
    secret: Secret,
}

impl S3 {
    pub(super) fn new(
        spec: &S3SourceSpec,
        written: Option<&S3SourceSpec>,
    ) -> Result<Self, FireError> {
        let wrong = |key: &str, why: String| FireError::permanent(format!("s3.{key} {why}"));
        let base = endpoint(&spec.endpoint, spec.insecure).map_err(|why| wrong("endpoint", why))?;
        let bucket = spec.bucket.clone().unwrap_or_default();
        check_bucket(&bucket.name).map_err(|why| wrong("bucket.name", why))?;
        check_key(&bucket.key).map_err(|why| wrong("bucket.key", why))?;
        let (Some(access_key), Some(secret_key)) = (&spec.access_key, &spec.secret_key) else {
            return Err(wrong("accessKey", "and secretKey must be set".to_owned()));
        };
        let region = match spec.region.trim() {
            "" => region_of(&base),
            region => region.to_owned(),
        };
        Ok(Self {
            named_host: written.is_none_or(|written| written.endpoint == spec.endpoint),
            base,
            bucket: bucket.name,
            key: bucket.key,
            region,
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
            roots: spec.ca_certificate.clone(),
        })
    }

    pub(super) fn shown(&self) -> String {
        format!(
            "key {:?} of bucket {:?} at {}",
            self.key,
            self.bucket,
            network::shown(&self.base)
        )
    }

    pub(super) async fn read(
        &self,
        network: &Network,
        secrets: &dyn Secrets,
    ) -> Result<Bytes, FireError> {
        let keys = Keys {
            access: trimmed(secrets, &self.access_key).await?,
            secret: trimmed(secrets, &self.secret_key).await?,
        };
        let roots = match &self.roots {
            Some(at) => {
                let pem = secrets.secret(at).await.map_err(FireError::from_secret)?;
                Some(Bytes::copy_from_slice(pem.expose()))
            }
            None => None,
        };
        let trust = Trust {
            roots,
            named_host: self.named_host,
            no_redirect: true,
            any_certificate: false,
        };
        let what = cannot_read(self.shown());
        let mut response = self
            .get(network, &trust, &keys, &self.region, &what)
            .await?;
        // A bucket elsewhere says where, as an answer to the first question.
        if response.status() != StatusCode::OK
            && let Some(region) = elsewhere(&response, &self.region)
        {
            response = self.get(network, &trust, &keys, &region, &what).await?;
        }
        if response.status() == StatusCode::OK {
            return network::body(&what, response, LARGEST).await;
        }
        let status = response.status();
        let why = code(response).await;
        Err(network::refused(format!("{what}{why}"), status))
    }

    async fn get(
        &self,
        network: &Network,
        trust: &Trust,
        keys: &Keys,
        region: &str,
        what: &str,
    ) -> Result<Response, FireError> {
        let url = self.url(region);
        let signed = sign(&url, region, keys, Timestamp::now());
        let mut request = network.client(&url, trust)?.get(url);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let response = request.send().await;
        response.map_err(|error| network::failed(what.to_owned(), error))
    }

    fn url(&self, region: &str) -> Url {
        let mut url = self.base.clone();
        if url.host_str() == Some("s3.amazonaws.com") && region != REGION {
            // Amazon's first endpoint sends everything else elsewhere.
            let regional = self.base.as_str().replace(
                "//s3.amazonaws.com",
                &format!("//s3.{region}.amazonaws.com"),
            );
            url = Url::parse(&regional).unwrap_or(url);
        }
        url.set_path(&path(&self.bucket, &self.key));
        url
    }
}

async fn trimmed(secrets: &dyn Secrets, at: &KeyRef) -> Result<Secret, FireError> {
    let secret = secrets.secret(at).await.map_err(FireError::from_secret)?;
    Ok(Secret::new(Bytes::copy_from_slice(
        secret.expose().trim_ascii(),
    )))
}

/// The server of an endpoint, or what must hold.
pub(crate) fn endpoint(text: &str, insecure: bool) -> Result<Url, String> {
    let must = || "must be host:port, without https:// and without a path".to_owned();
    if text.is_empty() || text.contains(['/', '@', '?', '#', ' ']) {
        return Err(must());
    }
    let scheme = if insecure { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{text}/")).map_err(|_| must())
}

/// A bucket that is one step of a path, or what must hold.
pub(crate) fn check_bucket(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.is_empty() || [".", ".."].contains(&name) || !name.chars().all(plain) {
        return Err("must be the name of a bucket: letters, digits, `-`, `.` and `_`".to_owned());
    }
    Ok(())
}

/// A key that stays in its bucket, or what must hold.
pub(crate) fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("must be set to the object in the bucket".to_owned());
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err("must not have `.` or `..` as a step".to_owned());
    }
    Ok(())
}

fn region_of(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    let region = host
        .strip_prefix("s3.")
        .and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    region.unwrap_or(REGION).to_owned()
}

fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, PATH))
}

fn elsewhere(response: &Response, asked: &str) -> Option<String> {
    let region = response.headers().get("x-amz-bucket-region")?;
    let region = region.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (region != asked && !region.is_empty() && region.chars().all(plain)).then(|| region.to_owned())
}

/// The code of an answer's XML, as `NoSuchKey`.
async fn code(response: Response) -> String {
    let Ok(body) = network::body("", response, 64 * 1024).await else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map(|(code, _)| format!(" ({code})"))
        .unwrap_or_default()
}

/// The headers that make a GET genuine (AWS Signature Version 4).
fn sign(url: &Url, region: &str, keys: &Keys, at: Timestamp) -> [(&'static str, String); 3] {
    let empty = hex(&Sha256::digest(b""));
    let time = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = at.strftime("%Y%m%d").to_string();
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let names = "host;x-amz-content-sha256;x-amz-date";
    let request = format!(
        "GET\n{}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{time}\n\n{names}\n{empty}",
        url.path()
    );
    let scope = format!("{date}/{region}/s3/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(request.as_bytes()))
    );
    let first = [b"AWS4", keys.secret.expose()].concat();
    let mut key = hmac(&first, date.as_bytes());
    for part in [region, "s3", "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let access = keys.access.expose_str().unwrap_or_default();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},Signature={signature}"
    );
    [
        ("x-amz-content-sha256", empty),
        ("x-amz-date", time),
        ("authorization", authorization),
    ]
}

#[expect(
    clippy::expect_used,
    reason = "this algorithm takes a key of any length"
)]
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::BucketSpec;

    fn spec(endpoint: &str) -> S3SourceSpec {
        let at = || {
            Some(KeyRef {
                name: "s".to_owned(),
                key: "k".to_owned(),
                optional: None,
            })
        };
        S3SourceSpec {
            endpoint: endpoint.to_owned(),
            bucket: Some(BucketSpec {
                name: "b".to_owned(),
                key: "dir/ü x+y.yaml".to_owned(),
            }),
            access_key: at(),
            secret_key: at(),
            ..S3SourceSpec::default()
        }
    }

    #[test]
    fn signatures_are_those_of_the_published_examples() {
        let keys = Keys {
            access: Secret::new("AKIDEXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        };
        let key = hmac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20120215");
        let key = hmac(&hmac(&hmac(&key, b"us-east-1"), b"iam"), b"aws4_request");
        let known = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d";
        assert_eq!(hex(&key), known);
        let url = Url::parse("https://host:9000/b/k").unwrap();
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let [_, time, (_, authorization)] = sign(&url, "eu-west-1", &keys, at);
        assert_eq!(time.1, "20260102T030405Z");
        let scope = "Credential=AKIDEXAMPLE/20260102/eu-west-1/s3/aws4_request,";
        assert!(authorization.contains(scope), "{authorization}");
    }

    #[test]
    fn a_path_is_written_as_it_is_signed() {
        let s3 = S3::new(&spec("minio.svc:9000"), None).unwrap();
        let url = s3.url(REGION);
        assert_eq!(url.path(), "/b/dir/%C3%BC%20x%2By.yaml");
        assert_eq!(
            url.as_str(),
            "https://minio.svc:9000/b/dir/%C3%BC%20x%2By.yaml"
        );
    }

    #[test]
    fn amazons_regions_have_their_own_hosts() {
        let amazon = S3::new(&spec("s3.amazonaws.com"), None).unwrap();
        assert_eq!(amazon.region, "us-east-1");
        assert_eq!(amazon.url("us-east-1").host_str(), Some("s3.amazonaws.com"));
        assert_eq!(
            amazon.url("eu-west-1").host_str(),
            Some("s3.eu-west-1.amazonaws.com")
        );
        let regional = S3::new(&spec("s3.eu-central-1.amazonaws.com"), None).unwrap();
        assert_eq!(regional.region, "eu-central-1");
    }

    #[test]
    fn what_leads_out_of_the_bucket_is_refused() {
        for endpoint_text in ["", "https://host", "host/path", "user@host", "a b"] {
            assert!(endpoint(endpoint_text, false).is_err(), "{endpoint_text}");
        }
        for key in ["", "../other/x", "a/../../b", "a/./b", ".."] {
            assert!(check_key(key).is_err(), "{key}");
        }
        for bucket in ["", "..", ".", "a/b", "a?b", "ü"] {
            assert!(check_bucket(bucket).is_err(), "{bucket}");
        }
        assert!(check_key("a/..b/c..yaml").is_ok());
    }

    #[test]
    fn only_an_endpoint_of_the_spec_may_be_private() {
        let written = spec("minio.svc:9000");
        let named = |endpoint: &str| S3::new(&spec(endpoint), Some(&written)).unwrap().named_host;
        assert!(named("minio.svc:9000"));
        assert!(!named("other.svc:9000"));
    }
}
