//! Goes on with a command that another client had to give up.

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::request;
use super::{Active, Client, Kind, Phase, Session, StartError};
use crate::bytes::copy;
use crate::encode::encode;
use crate::seal::Seal;
use crate::types::{ClientId, Epoch, SessionId};
use crate::wire::MAX_NUMBER;
use crate::wire::body::derived;

/// A command whose outcome is unknown, with all that it takes to go on with it in its session, from
/// another process too. It takes effect once, however often it is taken up.
///
/// Whoever holds it can speak for the client's session, and reads the command in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket<'a> {
    client: ClientId,
    epoch: Epoch,
    session: SessionId,
    sequence: u64,
    /// The number of the first request with the command. At least 1.
    first: u64,
    /// The number of the client's last request. Not below `first`.
    number: u64,
    #[serde(with = "crate::wire::bytes")]
    command: &'a [u8],
}

impl<'a> Ticket<'a> {
    /// The postcard bytes of the command.
    #[must_use]
    pub const fn command(&self) -> &'a [u8] {
        self.command
    }

    /// Writes the ticket and gives its length, or `None` if the buffer is too short. Some 40 bytes
    /// and those of the command are enough.
    #[must_use]
    pub fn encode(&self, buffer: &mut [u8]) -> Option<usize> {
        encode(self, buffer)
    }

    /// Reads the bytes of a ticket. `None` if they are not the one encoding of one.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let ticket: Self = derived(bytes)?;
        let has_session = ticket.epoch.0 != 0 && ticket.session.0 != 0 && ticket.sequence != 0;
        let has_numbers =
            0 < ticket.first && ticket.first <= ticket.number && ticket.number <= MAX_NUMBER;
        (ticket.client.0 != 0 && has_session && has_numbers).then_some(ticket)
    }
}

impl<A: Copy + PartialEq, S: Seal, R: Rng, const SERVERS: usize, const BYTES: usize>
    Client<A, S, R, SERVERS, BYTES>
{
    /// The command that was cancelled after it was sent, for [`Client::resume`]. `None` if there is
    /// none: then nothing can be taken up.
    #[must_use]
    pub fn ticket(&self) -> Option<Ticket<'_>> {
        let Phase::Abandoned { first } = self.phase else { return None };
        let Session { id, epoch, sequence } = self.session?;
        let command = self.bytes.get(..self.length)?;
        let (client, session, number) = (self.id, id, self.number);
        Some(Ticket { client, epoch, session, sequence, first, number, command })
    }

    /// Goes on with the command of a ticket, as the client that gave it out: under its id, in its
    /// session, which is this client's from now on.
    ///
    /// # Errors
    /// `StartError`: nothing has changed.
    pub fn resume(&mut self, ticket: &Ticket<'_>) -> Result<(), StartError> {
        let Ticket { client, epoch, session: id, sequence, first, number, command } = *ticket;
        self.check_start()?;
        if number >= MAX_NUMBER {
            return Err(StartError::Exhausted);
        }
        let limit = self.limit(request::command_bytes(S::BYTES));
        if command.len() > limit {
            return Err(StartError::TooLarge { limit });
        }
        let room = self.bytes.get_mut(..command.len()).ok_or(StartError::TooLarge { limit })?;
        copy(room, command);
        self.length = command.len();
        self.id = client;
        self.session = Some(Session { id, epoch, sequence });
        self.number = self.number.max(number);
        self.phase = Phase::Active(Active::new(Kind::Command, first));
        Ok(())
    }
}
