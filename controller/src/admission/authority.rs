//! A certificate authority that signs one serving certificate and is forgotten: its key is kept nowhere,
//! so nobody can sign a second one in its name. Renewing makes a new authority. The webhook and the servers of an
//! EventBus are certified here.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use crate::admission::serving::CertificateError;

/// Clocks of a cluster differ by so much at most.
const CLOCKS: i64 = 300;

/// A new certificate with everything that belongs to it, in PEM.
pub(crate) struct Made {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// When it ends to be valid.
    pub(crate) not_after: Timestamp,
    /// When the next one should be made: after two thirds of its time.
    pub(crate) renew_after: Timestamp,
}

/// What a certificate says.
pub(crate) struct Request<'a> {
    /// The authority's name; two that stand side by side must differ.
    pub(crate) authority: String,
    /// Whom it is for.
    pub(crate) subject: &'a str,
    /// The names and addresses that it is good for.
    pub(crate) hosts: &'a [String],
    /// What it may be used for.
    pub(crate) uses: &'a [ExtendedKeyUsagePurpose],
    /// From when on.
    pub(crate) from: Timestamp,
    /// Until when.
    pub(crate) until: Timestamp,
}

/// A certificate with its key and its authority, in PEM.
pub(crate) struct Issued {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Makes an authority, a certificate under it, and forgets the authority's key.
pub(crate) fn issue(request: Request<'_>) -> Result<Issued, CertificateError> {
    let Request {
        authority,
        subject,
        hosts,
        uses,
        from,
        until,
    } = request;
    // Clocks differ, so it is valid a little before it is made.
    let (from, until) = (
        moment(from.as_second().saturating_sub(CLOCKS)),
        moment(until.as_second()),
    );
    let issuer = {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, authority);
        (params.not_before, params.not_after) = (from, until);
        CertifiedIssuer::self_signed(params, key()?).map_err(CertificateError::Unmade)?
    };
    let key = key()?;
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(CertificateError::Unmade)?;
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = uses.to_vec();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, subject);
    (params.not_before, params.not_after) = (from, until);
    let certificate = params
        .signed_by(&key, &issuer)
        .map_err(CertificateError::Unmade)?;
    Ok(Issued {
        authority: issuer.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes a certificate for the hosts, names or addresses, that is valid from now on.
pub(crate) fn make(
    hosts: &[String],
    now: Timestamp,
    validity: Duration,
) -> Result<Made, CertificateError> {
    let not_after = later(now, validity);
    let renew_after = later(now, validity.mul_f64(2.0 / 3.0));
    let issued = issue(Request {
        // Two authorities stand side by side while one follows the other, so their names differ.
        authority: format!("tiphys webhook authority {now}"),
        subject: "tiphys webhook",
        hosts,
        uses: &[ExtendedKeyUsagePurpose::ServerAuth],
        from: now,
        until: not_after,
    })?;
    Ok(Made {
        authority: issued.authority,
        certificate: issued.certificate,
        key: issued.key,
        not_after,
        renew_after,
    })
}

fn key() -> Result<KeyPair, CertificateError> {
    KeyPair::generate().map_err(CertificateError::Unmade)
}

/// The moment that is so much later, or the last one.
pub(crate) fn later(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn moment(second: i64) -> OffsetDateTime {
    // Past year 9999 a certificate cannot say so anyway.
    OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The first certificate of a bundle, which is the authority that the bundle was written for.
pub(crate) fn first(bundle: &str) -> Option<&str> {
    const END: &str = "-----END CERTIFICATE-----";
    let (text, _) = bundle.split_once(END)?;
    bundle.get(..text.len() + END.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::serving::parse;

    #[test]
    fn a_made_certificate_can_be_served_and_is_renewed_before_it_ends() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let hosts = [
            "tiphys-webhook.argo-events.svc".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        let made = make(&hosts, now, Duration::from_secs(30 * 86_400)).unwrap();
        assert_eq!(made.not_after.to_string(), "2026-03-31T00:00:00Z");
        assert_eq!(made.renew_after.to_string(), "2026-03-21T00:00:00Z");
        parse(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
        let other = make(&hosts, now, Duration::from_secs(60)).unwrap();
        parse(made.certificate.as_bytes(), other.key.as_bytes()).unwrap_err();
        let bundle = format!("{}{}", made.authority, other.authority);
        assert_eq!(first(&bundle).unwrap().trim(), made.authority.trim());
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_an_error() {
        assert!(make(&["ä".to_owned()], Timestamp::now(), Duration::from_secs(60)).is_err());
        assert_eq!(first("no certificate"), None);
    }
}
