//! What an ssh server may do while it is spoken to: show its host key, which is checked, and answer. It may open no
//! channel of its own.

use russh::Channel;
use russh::client::{ChannelOpenHandle, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;

use super::known_hosts::{Expected, HostKeyError};

/// Why a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SshError {
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    #[error("the ssh server opens channels that nobody has asked for")]
    Unasked,
    #[error("the ssh connection failed")]
    Protocol(#[from] russh::Error),
}

/// Looks at what the server does.
pub(super) struct Checker(pub(super) Expected);

type Done = Result<(), SshError>;

impl Handler for Checker {
    type Error = SshError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        self.0.check(&shown.public_key())?;
        Ok(true)
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Err(SshError::Unasked)
    }
}
