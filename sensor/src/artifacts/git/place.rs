//! Where a repository is: a URL of HTTP, one of ssh, or ssh's short form `git@host:path`. It connects to nothing.

use std::fmt;

use reqwest::Url;

use crate::artifacts::network;

/// Who ssh is spoken to as where the URL does not say.
const USER: &str = "git";

const PORT: u16 = 22;

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a web server.
    Http(Url),
    /// On an ssh server.
    Ssh(SshPlace),
}

/// A repository on an ssh server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshPlace {
    pub(super) user: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// As the server gets it: from its root, from a user's home with `~`, or from where the user is put.
    pub(super) path: String,
}

/// What a repository's place must be.
const MUST: &str =
    "must be a whole URL, as https://host/repository.git or ssh://git@host/repository.git";

impl Place {
    /// Reads a place, or says what must hold.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(char::is_control) {
            return Err(MUST);
        }
        if !text.contains("://") {
            return short_form(text).map(Self::Ssh).ok_or(MUST);
        }
        let url = Url::parse(text).map_err(|_| MUST)?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self::Http(url)),
            "ssh" | "git+ssh" | "ssh+git" => of_url(&url).map(Self::Ssh).ok_or(MUST),
            _ => Err(MUST),
        }
    }

    /// Whether ssh leads there.
    pub(crate) const fn is_ssh(&self) -> bool {
        matches!(self, Self::Ssh(_))
    }

    /// The place for people: no credentials, no query.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Http(url) => network::shown(url),
            Self::Ssh(place) => place.to_string(),
        }
    }
}

impl fmt::Display for SshPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            host,
            port,
            path,
        } = self;
        let host = bracketed(host);
        if !path.starts_with(['/', '~']) {
            return write!(f, "{user}@{host}:{path}");
        }
        let slash = if path.starts_with('~') { "/" } else { "" };
        match *port {
            PORT => write!(f, "ssh://{user}@{host}{slash}{path}"),
            port => write!(f, "ssh://{user}@{host}:{port}{slash}{path}"),
        }
    }
}

/// An address of version 6 as URLs write it.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        return format!("[{host}]");
    }
    host.to_owned()
}

/// `ssh://[user@]host[:port]/path`.
fn of_url(url: &Url) -> Option<SshPlace> {
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let path = decoded(url.path())?;
    let path = match path.strip_prefix("/~") {
        Some(_) => path.strip_prefix('/')?.to_owned(),
        None => path,
    };
    checked(
        decoded(url.username())?,
        url.host_str()?,
        url.port().unwrap_or(PORT),
        path,
    )
}

/// `[user@]host:path`, told from other texts by its user or by a host that has a dot.
fn short_form(text: &str) -> Option<SshPlace> {
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) if !user.contains(['/', ':']) => (user, rest),
        _ => ("", text),
    };
    let (host, path) = if rest.starts_with('[') {
        let (host, path) = rest.split_once("]:")?;
        (format!("{host}]"), path)
    } else {
        let (host, path) = rest.split_once(':')?;
        (host.to_owned(), path)
    };
    let plain = user.is_empty() && !host.contains('.');
    if plain || path.starts_with(':') || path.contains('\\') {
        return None;
    }
    checked(user.to_owned(), &host, PORT, path.to_owned())
}

/// Nothing in it may be taken for an option, or for more than it is.
fn checked(user: String, host: &str, port: u16, path: String) -> Option<SshPlace> {
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => host.to_ascii_lowercase(),
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    let named = literal.is_some() || host.chars().all(letter);
    let bad = |text: &str| {
        text.is_empty() || text.starts_with('-') || text.len() > 4096 || text.contains(control)
    };
    let user = if user.is_empty() {
        USER.to_owned()
    } else {
        user
    };
    if !named || bad(&host) || bad(&user) || bad(&path) || path == "/" || port == 0 {
        return None;
    }
    Some(SshPlace {
        user,
        host,
        port,
        path,
    })
}

fn control(c: char) -> bool {
    c.is_control()
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_git_writes_them() {
        for (text, shown) in [
            ("https://github.com/o/r.git", "https://github.com/o/r.git"),
            ("https://us:pw@host/r?x=1", "https://host/r"),
            ("http://host:3000/o/r", "http://host:3000/o/r"),
            ("git@github.com:o/r.git", "git@github.com:o/r.git"),
            ("github.com:o/r.git", "git@github.com:o/r.git"),
            ("deploy@host:r", "deploy@host:r"),
            ("git@host:/srv/r.git", "ssh://git@host/srv/r.git"),
            ("git@[::1]:r.git", "git@[::1]:r.git"),
            (
                "ssh://git@GitHub.com/o/r.git",
                "ssh://git@github.com/o/r.git",
            ),
            ("ssh://host/o/r.git", "ssh://git@host/o/r.git"),
            ("ssh://git:word@host/r", "ssh://git@host/r"),
            ("git+ssh://me@host:2222/r", "ssh://me@host:2222/r"),
            ("ssh://host:22/r", "ssh://git@host/r"),
            ("ssh://git@[::1]:2222/r.git", "ssh://git@[::1]:2222/r.git"),
            ("ssh://host/~me/r.git", "ssh://git@host/~me/r.git"),
            ("ssh://host/a%20b.git", "ssh://git@host/a b.git"),
        ] {
            let place = Place::parse(text);
            assert_eq!(
                place.map(|place| place.shown()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        let Ok(Place::Ssh(home)) = Place::parse("ssh://host/~me/r.git") else {
            panic!("a place");
        };
        assert_eq!(home.path, "~me/r.git");
    }

    #[test]
    fn what_is_no_place_or_might_be_more_is_refused() {
        for text in [
            "",
            "/etc",
            "../r",
            "C:\\r",
            "host:r",
            "file:///etc",
            "git://host/r",
            "ext::sh -c touch% /tmp/x",
            "a.b::sh -c touch% /tmp/x",
            "https://",
            "ssh://",
            "ssh://host",
            "ssh://host/",
            "ssh:///r",
            "ssh://-oProxyCommand=x/r",
            "ssh://ho%20st/r",
            "ssh://host/r?x=1",
            "ssh://host:0/r",
            "ssh://host:99999/r",
            "ssh://host/%00",
            "ssh://host/a%0ab",
            "-x@host:r",
            "git@-x:r",
            "git@host:-x",
            "git@host:",
            "git@ho st:r",
            "git@[::1:r",
            "git@[zz]:r",
            "git@host:a\nb",
        ] {
            assert_eq!(Place::parse(text), Err(MUST), "{text}");
        }
    }
}
