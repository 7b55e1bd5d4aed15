//! Repositories behind ssh where no ssh server is: whoever answers instead costs a bounded time. What real servers do is
//! tested with the whole program.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tiphys_core::tasks::chain;

use super::tests::{artifacts, nobodys_port, read};

/// Made for this test; it opens nothing.
const KEY: &str = include_str!("git/ssh/plain.test.key");

fn source(url: &str, more: &Value) -> Value {
    // The secrets of these tests hold their key's own name.
    let mut git = json!({"url": url, "filePath": "x", "sshKeySecret": {"name": "s", "key": KEY}});
    for (key, value) in more.as_object().unwrap() {
        git[key] = value.clone();
    }
    json!({"git": git})
}

/// Takes one connection, says this again and again until nobody listens, and is silent where it is nothing.
fn server(said: &'static [u8], times: usize) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "ssh://localhost:{}/r",
        listener.local_addr().unwrap().port()
    );
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        for _ in 0..times {
            if socket.write_all(said).is_err() {
                return;
            }
        }
        // Until the other side has gone.
        drop(std::io::copy(&mut socket, &mut std::io::sink()));
    });
    (url, thread)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_for_now() {
    for said in [&b""[..], b"SSH-2.0-x\r\n"] {
        let (url, thread) = server(said, 1);
        let source = source(&url, &json!({}));
        let error = read(&artifacts("true"), source).await.unwrap_err();
        assert!(error.is_transient(), "{}", chain(&error));
        // Nobody holds the connection any more.
        while !thread.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_is_no_ssh_is_an_error_and_never_worse() {
    for (said, times) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], 1_000_000),
        (b"x", 1_000_000_000),
        (b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff", 1_000_000_000),
        (b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14 0123456789", 1),
        (b"SSH-1.5-old\r\n", 1_000_000),
    ] {
        let (url, thread) = server(said, times);
        let source = source(&url, &json!({}));
        let error = read(&artifacts("localhost"), source).await.unwrap_err();
        assert!(chain(&error).contains("ssh"), "{}", chain(&error));
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_name_is_judged_by_the_address_that_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"] {
        let source = source(&format!("ssh://{host}:{port}/r"), &json!({}));
        let error = read(&artifacts("other"), source).await.unwrap_err();
        assert!(!error.is_transient(), "{host}: {}", chain(&error));
        assert!(
            chain(&error).contains("private address"),
            "{host}: {}",
            chain(&error)
        );
    }
    assert!(listener.accept().is_err(), "nobody has connected");
}

#[tokio::test]
async fn a_key_that_is_none_is_told_before_anybody_is_asked() {
    for (more, said) in [
        (
            json!({"sshKeySecret": null}),
            "git.sshKeySecret must be set",
        ),
        (
            json!({"sshKeySecret": {"name": "s", "key": "hunter2"}}),
            "it is no private key",
        ),
    ] {
        let source = source("git@host.invalid:r", &more);
        let error = read(&artifacts("true"), source).await.unwrap_err();
        assert!(chain(&error).contains(said), "{}", chain(&error));
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn nobody_there_is_for_later() {
    let (_held, port) = nobodys_port();
    let source = source(&format!("ssh://127.0.0.1:{port}/r"), &json!({}));
    let error = read(&artifacts("true"), source).await.unwrap_err();
    assert!(error.is_transient(), "{}", chain(&error));
}
