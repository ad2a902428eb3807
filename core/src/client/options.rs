//! How a client is set up, and why it may refuse.

use crate::types::{ClusterId, NodeId, Ticks};

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientOptions {
    /// The cluster to speak to; answers from others are dropped.
    pub cluster: ClusterId,
    /// The shortest wait before a request is repeated, in ticks: longer than an answer usually
    /// takes, or each is asked for twice.
    pub retry_min: Ticks,
    /// The longest such wait, in ticks; the waits double up to it.
    pub retry_max: Ticks,
    /// The longest request and the longest answer, in bytes.
    pub datagram: u16,
}

/// One server of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Server<A> {
    /// Where it is.
    pub address: A,
    /// Which node is there, if it is known; answers tell.
    pub id: Option<NodeId>,
}

/// Why there is no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientSetupError {
    /// There is nobody to ask.
    NoServers,
    /// There are more servers than the client has room for.
    TooManyServers {
        /// How many there may be.
        limit: usize,
    },
    /// Two servers have one address or one id.
    Servers,
    /// `retry_min` is zero or above `retry_max`.
    Retry,
    /// The datagram has no room for the smallest answers.
    DatagramTooSmall {
        /// What it must have, in bytes.
        minimum: usize,
    },
}

/// Why an operation is not started. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StartError {
    /// Another operation is under way, or its outcome has not been polled.
    Busy,
    /// The command or query fits neither the client nor a datagram.
    TooLarge {
        /// What fits, in bytes.
        limit: usize,
    },
    /// No server stands at this place of the list.
    NoSuchServer,
    /// The client has used up its datagram numbers; a new client has new ones.
    Exhausted,
}

/// Why a command is not taken up again. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RetryError {
    /// An operation is under way, or its outcome has not been polled.
    Busy,
    /// No command that was sent has been cancelled since the last start.
    NothingToRetry,
}

impl ClientOptions {
    pub(super) fn check(&self, minimum: usize) -> Result<(), ClientSetupError> {
        if self.retry_min == Ticks(0) || self.retry_min > self.retry_max {
            return Err(ClientSetupError::Retry);
        }
        if usize::from(self.datagram) < minimum {
            return Err(ClientSetupError::DatagramTooSmall { minimum });
        }
        Ok(())
    }
}

pub(super) fn check_servers<A: PartialEq>(servers: &[Server<A>]) -> Result<(), ClientSetupError> {
    if servers.is_empty() {
        return Err(ClientSetupError::NoServers);
    }
    let is_sound = servers.iter().enumerate().all(|(at, server)| {
        let has_id = server.id.is_some();
        let mut before = servers.iter().take(at);
        before.all(|other| other.address != server.address && !(has_id && other.id == server.id))
    });
    is_sound.then_some(()).ok_or(ClientSetupError::Servers)
}
