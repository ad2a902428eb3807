//! A node that ends on purpose and goes on in another process: after a watchdog's reset or an update
//! of the firmware, in memory that a reset leaves alone, or under a new executable.
//!
//! A life that forgot what it has said would be a danger to the others, so an image is made by the
//! last thing that a node does, is void once it was looked at, and is believed only where nothing at
//! all is wrong with it. Else the node is what it would have been without one: blank.

use core::sync::atomic::{Ordering, compiler_fence};

use super::{Node, Platform};
use crate::bytes::copy;
use crate::machine::{BadSnapshot, Full, Sink, StateMachine};
use crate::raft::{ResumeError, Retained};
use crate::storage::Storage;
use crate::wire::hash::Hash;

/// Why no image was made. The node goes on as if nothing had been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RetireError {
    /// The image does not fit. What the bytes held is gone.
    TooSmall {
        /// How many bytes it takes now.
        needed: usize,
    },
    /// The storage is durable: it has everything, and a node is recovered from it.
    Durable,
    /// The node has failed or has retired already. The bytes were not touched.
    Dead,
    /// The state machine wrote more than `usize::MAX` bytes, or refused. What the bytes held is gone.
    State,
}

impl core::fmt::Display for RetireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooSmall { needed } => write!(f, "the image takes {needed} bytes"),
            Self::Durable => f.write_str("a node with a durable storage is recovered from that"),
            Self::Dead => f.write_str("the node has died before"),
            Self::State => f.write_str("the state machine does not write its state"),
        }
    }
}

impl core::error::Error for RetireError {}

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// Ends the node and leaves an image of it in `image`: identity, hard state, log, sessions and
    /// state. Gives its length in bytes. Nothing leaves this node any more:
    /// [`poll`](Self::poll) says that it is dead. Requests that wait are not answered; their clients
    /// ask again.
    ///
    /// The image is for memory that the next process finds, such as a section that a reset leaves
    /// alone; where the processor has a data cache, clean it before the reset.
    ///
    /// **An image stands for one node: never use two copies of it, nor one that is older than the
    /// last.** [`resume`](Self::resume) makes the one that it was given void.
    ///
    /// ```
    /// # use coracle::*;
    /// # struct Sum(u64); struct Entropy(u64);
    /// # impl StateMachine for Sum {
    /// #     type Command<'a> = u64; type Response = u64; type Query = (); type Answer<'a> = u64;
    /// #     fn apply(&mut self, number: u64) -> u64 { self.0 += number; self.0 }
    /// #     fn query(&self, _: &()) -> u64 { self.0 }
    /// #     fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
    /// #         sink.write(&self.0.to_le_bytes())
    /// #     }
    /// #     fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
    /// #         let mut bytes = [0; 8];
    /// #         self.0 = 0;
    /// #         source.read(&mut bytes)?;
    /// #         self.0 = u64::from_le_bytes(bytes);
    /// #         Ok(())
    /// #     }
    /// # }
    /// # impl rand_core::TryRng for Entropy {
    /// #     type Error = core::convert::Infallible;
    /// #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(4) }
    /// #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { self.0 += 1; Ok(self.0) }
    /// #     fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> { Ok(()) }
    /// # }
    /// # struct Board;
    /// # impl Platform for Board {
    /// #     type Memory = Array<1024, 16>; type Random = Entropy; type Seal = Checksum;
    /// #     type Storage = Volatile; type Machine = Sum; type Address = u8;
    /// # }
    /// # type Member = Node<Board, 2, 2, 2>;
    /// /// At every start: with what the last process left, or blank.
    /// fn start(seed: u64, kept: &mut [u8]) -> Member {
    ///     let options = Options::new(ClusterId(7), NodeId(1), Timing::from_heartbeat(Ticks(50)));
    ///     let raft = Raft::new(&options, &[], Array::zeroed(), Entropy(seed), Checksum).unwrap();
    ///     let mut node = Member::new(raft, Volatile, Sum(0));
    ///     match node.resume(kept) {
    ///         Ok(()) => {} // the life from before goes on
    ///         Err(_why) => {} // a new life, which the others put in the place of the old one
    ///     }
    ///     node
    /// }
    ///
    /// let mut kept = [0; 600];
    /// let mut node = start(1, &mut kept);
    /// # let mut buffer = [0; 1200];
    /// # for _ in 0..3 { node.tick(Ticks(1)); while let Some(_) = node.poll(&mut buffer).unwrap() {} }
    /// node.propose(&5).unwrap();
    /// # while let Some(_) = node.poll(&mut buffer).unwrap() {}
    /// let life = node.raft().member();
    /// node.retire(&mut kept).unwrap();
    ///
    /// let next = start(2, &mut kept);
    /// assert_eq!((next.raft().member(), next.machine().0), (life, 5));
    /// assert_ne!(start(3, &mut kept).raft().member(), life);
    /// ```
    ///
    /// # Errors
    /// [`RetireError`]: there is no image, and the node goes on if it was alive.
    pub fn retire(&mut self, image: &mut [u8]) -> Result<usize, RetireError> {
        if self.is_dead || self.failure.is_some() || self.raft.violation().is_some() {
            return Err(RetireError::Dead);
        }
        if self.storage.is_durable() {
            return Err(RetireError::Durable);
        }
        void(image);
        let body = image.get_mut(Head::BYTES..).unwrap_or_default();
        let mut writing = Writing { rest: body, length: 0 };
        let written = self.write_body(&mut writing);
        let length = writing.length;
        written.map_err(|Full| RetireError::State)?;
        let needed = length.saturating_add(Head::BYTES);
        let Some((head, body)) = image.split_at_mut_checked(Head::BYTES) else {
            return Err(RetireError::TooSmall { needed });
        };
        let Some(body) = body.get(..length) else { return Err(RetireError::TooSmall { needed }) };
        // Whoever finds a part of an image finds no head: it is written last.
        compiler_fence(Ordering::SeqCst);
        Head::of(body).write(head);
        compiler_fence(Ordering::SeqCst);
        self.is_dead = true;
        Ok(needed)
    }

    fn write_body(&self, writing: &mut Writing<'_>) -> Result<(), Full> {
        self.raft.retain(writing)?;
        self.sessions.snapshot(writing)?;
        self.machine.snapshot(writing)
    }

    /// Goes on as the life that [`retire`](Self::retire) left in `image`, if that is beyond doubt.
    /// The node must be as [`new`](Self::new) gave it, of a raft that holds nothing; `image` may be
    /// longer than what was written. It is void afterwards, whatever comes of it, so that no later
    /// process can take this one's past for the present.
    ///
    /// Whom the life before had heard is not known any more, so a node with
    /// [leases](crate::Options::lease) votes for nobody for an election timeout.
    ///
    /// # Errors
    /// [`ResumeError`]: the node is blank, in the new life that it has drawn, and may be used; but for
    /// [`ResumeError::State`], after which it is dead, since its state machine may have been touched.
    pub fn resume(&mut self, image: &mut [u8]) -> Result<(), ResumeError> {
        let resumed = self.try_resume(image);
        // Nothing has left the node yet. Until here a crash finds the image as it was.
        compiler_fence(Ordering::SeqCst);
        void(image);
        compiler_fence(Ordering::SeqCst);
        resumed
    }

    fn try_resume(&mut self, image: &[u8]) -> Result<(), ResumeError> {
        let Opened { retained, members, run, mut contents } = Opened::read(image)?;
        if self.storage.is_durable() {
            return Err(ResumeError::Durable);
        }
        let configuration = self.raft.take_retained(&retained, members, run)?;
        let restored = self.sessions.restore(&mut contents).and_then(|()| {
            self.machine.restore(&mut contents)?;
            if contents.is_empty() { Ok(()) } else { Err(BadSnapshot) }
        });
        if restored.is_err() {
            // Nothing of it may be left: the state machine may have read a part.
            self.is_dead = true;
            return Err(ResumeError::State);
        }
        self.raft.resume(&retained, configuration);
        Ok(())
    }
}

/// What an image begins with.
struct Head {
    /// How many bytes follow it.
    length: u64,
    /// Their hash, and that of the length. It is one of 64 bits: memory that was without power for
    /// too long is wrong in many places, of which a CRC-32 would take one in 2^32 for right. A change
    /// within eight bytes never leaves it the same.
    sum: u64,
}

impl Head {
    const BYTES: usize = MARK.len() + 1 + 8 + 8;

    fn of(body: &[u8]) -> Self {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut hash = Hash::new(length);
        hash.add_bytes(body);
        Self { length, sum: hash.value() }
    }

    fn write(&self, into: &mut [u8]) {
        let bytes = MARK.into_iter().chain([VERSION]);
        let bytes = bytes.chain(self.length.to_le_bytes()).chain(self.sum.to_le_bytes());
        into.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    }
}

/// Makes an image none.
fn void(image: &mut [u8]) {
    image.iter_mut().take(Head::BYTES).for_each(|byte| *byte = 0);
}

/// An image taken apart.
struct Opened<'i> {
    retained: Retained,
    members: &'i [u8],
    run: &'i [u8],
    /// Sessions and state.
    contents: &'i [u8],
}

impl<'i> Opened<'i> {
    fn read(image: &'i [u8]) -> Result<Self, ResumeError> {
        let rest = image.strip_prefix(&MARK).ok_or(ResumeError::NoImage)?;
        let ([version], rest) = rest.split_first_chunk().ok_or(ResumeError::NoImage)?;
        if *version != VERSION {
            return Err(ResumeError::Version);
        }
        Self::read_whole(rest).ok_or(ResumeError::Damaged)
    }

    fn read_whole(bytes: &'i [u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (length, sum) = (u64::from_le_bytes(*length), u64::from_le_bytes(*sum));
        let body = rest.get(..usize::try_from(length).ok()?)?;
        if Head::of(body).sum != sum {
            return None;
        }
        let (words, rest) = body.split_at_checked(Retained::BYTES)?;
        let retained = Retained::read(words)?;
        let (members, rest) =
            rest.split_at_checked(usize::try_from(retained.members_bytes).ok()?)?;
        let (run, contents) = rest.split_at_checked(usize::try_from(retained.log_bytes).ok()?)?;
        Some(Self { retained, members, run, contents })
    }
}

/// Takes what fits, and counts all of it.
struct Writing<'i> {
    rest: &'i mut [u8],
    length: usize,
}

impl Sink for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.length = self.length.checked_add(bytes.len()).ok_or(Full)?;
        let rest = core::mem::take(&mut self.rest);
        if let Some((to, rest)) = rest.split_at_mut_checked(bytes.len()) {
            copy(to, bytes);
            self.rest = rest;
        }
        Ok(())
    }
}

/// What no memory holds by itself.
const MARK: [u8; 7] = *b"coracle";

/// The form of an image.
const VERSION: u8 = 1;
