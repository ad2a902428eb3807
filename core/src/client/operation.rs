//! Starts operations, gives them up and takes them up again.

use rand_core::Rng;

use super::request::{self, Wish};
use super::{Active, Client, Ending, Fate, Finish, Kind, Phase, RetryError, StartError};
use crate::message::Admin;
use crate::seal::Seal;
use crate::wire::MAX_NUMBER;

impl<A: Copy + PartialEq, S: Seal, R: Rng, const SERVERS: usize, const BYTES: usize>
    Client<A, S, R, SERVERS, BYTES>
{
    /// Starts a command, given as its postcard bytes.
    ///
    /// # Errors
    /// `StartError`: nothing has changed.
    pub fn command(&mut self, command: &[u8]) -> Result<(), StartError> {
        let limit = self.limit(request::command_bytes(S::BYTES));
        self.start_copy(Kind::Command, limit, command)
    }

    /// Starts a command that `write` puts into the slice it is given, which is as long as a
    /// command may be. It gives the command's length, or `None` if the slice is too short.
    ///
    /// # Errors
    /// `StartError`: nothing was started. A command that was abandoned can no longer be retried,
    /// unless the error is `Busy` or `Exhausted`.
    pub fn command_with(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), StartError> {
        let limit = self.limit(request::command_bytes(S::BYTES));
        self.start(Kind::Command, limit, write)
    }

    /// Starts a linearizable read, given as the postcard bytes of the query.
    ///
    /// # Errors
    /// `StartError`: nothing has changed.
    pub fn query(&mut self, query: &[u8]) -> Result<(), StartError> {
        let limit = self.limit(request::query_bytes(S::BYTES));
        self.start_copy(Kind::Query, limit, query)
    }

    /// Starts a linearizable read with a query that `write` puts into the slice it is given.
    ///
    /// # Errors
    /// As for [`Client::command_with`].
    pub fn query_with(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), StartError> {
        let limit = self.limit(request::query_bytes(S::BYTES));
        self.start(Kind::Query, limit, write)
    }

    /// Asks a server how it is: the one at this place in the list given to `new`, and only that
    /// one, or else whoever answers.
    ///
    /// # Errors
    /// `StartError`: nothing has changed.
    pub fn status(&mut self, server: Option<usize>) -> Result<(), StartError> {
        self.check_server(server)?;
        self.start(Kind::Status(server), 0, |_| Some(0))
    }

    /// Asks a server, as [`Client::status`] does, how it sees the others. The answer is a page: as
    /// many of them as fit it, by ascending id, behind the `first` ones.
    ///
    /// # Errors
    /// `StartError`: nothing has changed.
    pub fn peers(&mut self, server: Option<usize>, first: u8) -> Result<(), StartError> {
        self.check_server(server)?;
        self.start(Kind::Peers(server, first), 0, |_| Some(0))
    }

    /// Wants something about the cluster itself, of the leader or of the server at this place in the
    /// list given to `new`. A change that was sent twice may be answered as one that is done already.
    ///
    /// # Errors
    /// `StartError`: nothing has changed.
    pub fn admin(&mut self, server: Option<usize>, admin: Admin) -> Result<(), StartError> {
        if server.is_some_and(|at| at >= self.servers.len()) {
            return Err(StartError::NoSuchServer);
        }
        self.start(Kind::Admin(server, admin), 0, |_| Some(0))
    }

    /// Gives up the operation under way; its answer is dropped, even one that waits to be polled.
    ///
    /// A command that was sent may still take effect. Its sequence number is spent by the next
    /// start; until then [`Client::retry`] asks what became of it.
    pub const fn cancel(&mut self) -> Fate {
        let (fate, next) = match &self.phase {
            Phase::Idle => (Fate::NothingHappened, Phase::Idle),
            Phase::Abandoned { .. } => return Fate::Unknown,
            Phase::Active(active) => match self.wish(active.kind) {
                Wish::Command(_) if self.number >= active.first => {
                    (Fate::Unknown, Phase::Abandoned { first: active.first })
                }
                // A change that was sent may be made, but no session knows of it.
                Wish::Admin(_) if self.number >= active.first => (Fate::Unknown, Phase::Idle),
                Wish::Command(_)
                | Wish::Open
                | Wish::Query
                | Wish::Status
                | Wish::Peers(_)
                | Wish::Admin(_) => (Fate::NothingHappened, Phase::Idle),
            },
            Phase::Finished(finish) => (finish.fate(), Phase::Idle),
        };
        self.phase = next;
        fate
    }

    /// Takes up again the command that was cancelled last, with the same bytes and the same
    /// sequence number: it takes effect once, whether or not it already has.
    ///
    /// # Errors
    /// `RetryError`: nothing has changed.
    pub fn retry(&mut self) -> Result<(), RetryError> {
        match self.phase {
            Phase::Abandoned { first } => {
                self.phase = Phase::Active(Active::new(Kind::Command, first));
                Ok(())
            }
            Phase::Idle => Err(RetryError::NothingToRetry),
            Phase::Active(_) | Phase::Finished(_) => Err(RetryError::Busy),
        }
    }

    fn check_server(&self, server: Option<usize>) -> Result<(), StartError> {
        let is_there = server.is_none_or(|at| at < self.servers.len());
        is_there.then_some(()).ok_or(StartError::NoSuchServer)
    }

    pub(super) fn limit(&self, overhead: usize) -> usize {
        usize::from(self.options.datagram).saturating_sub(overhead).min(BYTES)
    }

    fn start_copy(&mut self, kind: Kind, limit: usize, bytes: &[u8]) -> Result<(), StartError> {
        self.check_start()?;
        if bytes.len() > limit {
            return Err(StartError::TooLarge { limit });
        }
        self.start(kind, limit, |room| {
            room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Some(bytes.len())
        })
    }

    fn start(
        &mut self,
        kind: Kind,
        limit: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), StartError> {
        self.check_start()?;
        self.forget_abandoned();
        let length = self.bytes.get_mut(..limit).and_then(write);
        self.length =
            (length.filter(|length| *length <= limit)).ok_or(StartError::TooLarge { limit })?;
        self.phase = Phase::Active(Active::new(kind, self.number.saturating_add(1)));
        Ok(())
    }

    pub(super) const fn check_start(&self) -> Result<(), StartError> {
        if !self.is_idle() {
            return Err(StartError::Busy);
        }
        if self.number >= MAX_NUMBER {
            return Err(StartError::Exhausted);
        }
        Ok(())
    }

    /// The bytes of an abandoned command are about to go, and with them its sequence number:
    /// another command under the same number might be taken for it.
    const fn forget_abandoned(&mut self) {
        if matches!(self.phase, Phase::Abandoned { .. }) {
            self.spend_sequence();
            self.phase = Phase::Idle;
        }
    }
}

impl Finish {
    const fn fate(&self) -> Fate {
        match (self.kind, self.ending) {
            (_, Ending::Refused { fate, .. }) => fate,
            (Kind::Command, _) => Fate::Unknown,
            (Kind::Query | Kind::Status(_) | Kind::Peers(..) | Kind::Admin(..), _) => {
                Fate::NothingHappened
            }
        }
    }
}
