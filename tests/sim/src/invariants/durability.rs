//! Invariants 6 and 14: what a datagram says, and what a disk holds.

use coracle::message::{AppendOutcome, AppendReply, Message, TimeoutNow};
use coracle::{EntryId, HardState, Index, MemberId, Term};

use super::{Chronicle, Life, Scene, Verdict, View, ensure};
use crate::disk::Durable;
use crate::entries::Known;

/// A datagram that is about to leave a node.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The node, as it was seen last.
    pub view: &'a View,
    /// The life of the node that it goes to, as the sender counts it.
    pub to: Option<MemberId>,
    /// What it says.
    pub message: &'a Message<'a>,
    /// What would survive a crash of the sender at this moment.
    pub durable: &'a Durable,
}

/// What a node was after it was started from its disk.
#[derive(Clone, Copy, Debug)]
pub struct Recovered<'a> {
    /// The node.
    pub view: &'a View,
    /// Its disk.
    pub durable: &'a Durable,
}

impl Chronicle {
    /// Invariant 6: nothing leaves before what it says is durable.
    ///
    /// # Errors
    /// What a crash would undo.
    pub fn sent(&mut self, node: usize, sent: &Sent<'_>) -> Verdict {
        let epoch = sent.view.hard.epoch;
        let me = sent.view.member;
        match sent.message {
            Message::Hello(_) | Message::HelloReply(_) | Message::Boot(_) => Ok(()),
            Message::PreVote(_) | Message::PreVoteReply(_) => Ok(()),
            Message::Request(_) | Message::Reply(_) => Ok(()),
            Message::BootReply(reply) => {
                ensure(6, !reply.accepted || sent.hard().incarnation == me.incarnation, || {
                    format!("{} accepts an epoch for an incarnation that a crash forgets", me.id)
                })
            }
            Message::Vote(request) => {
                sent.has_term(request.term)?;
                sent.has_vote(request.term, me)?;
                self.vote(epoch, request.term, me, me)
            }
            Message::VoteReply(reply) if reply.granted => {
                let to = sent.to.unwrap_or_default();
                sent.has_term(reply.term)?;
                sent.has_vote(reply.asked, to)?;
                self.vote(epoch, reply.asked, me, to)
            }
            Message::VoteReply(reply) => sent.has_term(reply.term),
            Message::Append(append) => {
                sent.has_term(append.term)?;
                ensure(1, self.leader(epoch, append.term) == Some(me), || {
                    format!("{} appends in term {}, which it does not lead", me.id, append.term)
                })
            }
            Message::Chunk(coracle::message::Chunk { term, .. })
            | Message::TimeoutNow(TimeoutNow { term }) => {
                sent.has_term(*term)?;
                ensure(1, self.leader(epoch, *term) == Some(me), || {
                    format!("{} speaks for term {term}, which it does not lead", me.id)
                })
            }
            Message::ChunkReply(reply) => sent.has_term(reply.term),
            Message::AppendReply(reply) => {
                sent.has_term(reply.term)?;
                self.acknowledged(node, sent, reply)
            }
            Message::ReadRequest(request) => sent.has_term(request.term),
            Message::ReadReply(reply) => sent.has_term(reply.term),
        }
    }

    /// An acknowledged entry is on the disk, and the one that the leader has.
    fn acknowledged(&self, node: usize, sent: &Sent<'_>, reply: &AppendReply) -> Verdict {
        let AppendOutcome::Matched(index) = reply.outcome else { return Ok(()) };
        let (me, epoch) = (sent.view.member, sent.view.hard.epoch);
        if index == Index::ZERO {
            return Ok(());
        }
        let known = self.lives[node].known(index);
        let held = known.filter(|known| sent.durable.holds(*known));
        ensure(6, held.is_some(), || {
            format!("{} acknowledges entry {index}, but its disk holds no {known:?}", me.id)
        })?;
        let leader = self.leader(epoch, reply.term);
        let mut leading = self.lives.iter().filter(|life| {
            let same = life.view.hard.epoch == epoch && life.view.hard.term == reply.term;
            same && Some(life.view.member) == leader && life.view.is_leader()
        });
        ensure(4, leading.all(|life| life.known(index) == known), || {
            format!("{} acknowledges an entry {index} that its leader has not", me.id)
        })
    }

    /// A node was started: what it knows is what its disk held (invariant 14), and from here on it
    /// is watched as a new life.
    ///
    /// # Errors
    /// What it knows too much or too little.
    pub fn start(&mut self, node: usize, recovered: &Recovered<'_>, scene: &impl Scene) -> Verdict {
        let Recovered { view, durable } = *recovered;
        let id = view.member.id;
        let base = durable.base();
        let mut log: Vec<(Term, u64)> = Vec::new();
        if let Some(hard) = durable.hard {
            let last = durable.last();
            let expected = HardState { term: hard.term.max(last.term), ..hard };
            let same_term = view.hard.term == hard.term;
            ensure(
                14,
                view.hard == hard || (!same_term && view.hard.term == expected.term),
                || format!("{id} was started with {:?} from {hard:?}", view.hard),
            )?;
            ensure(14, view.base == base && view.last == last, || {
                format!(
                    "{id} was started with a log from {:?} to {:?}, not from {base:?} to {last:?}",
                    view.base, view.last
                )
            })?;
            log = self.covered(hard, base)?;
            for known in durable.entries() {
                ensure(14, scene.entry(known.id.index) == Some(*known), || {
                    format!("{id} was started with another entry than {:?}", known.id)
                })?;
                log.push((known.id.term, known.hash));
            }
            let applied = durable.applied().index;
            ensure(14, view.applied == applied && view.commit == applied, || {
                format!("{id} was started with {} applied, not {applied}", view.applied)
            })?;
        } else {
            ensure(14, view.last == EntryId::default() && view.hard.epoch.0 == 0, || {
                format!("{id} was started with a log from an empty disk")
            })?;
        }
        self.lives[node] = Life {
            view: *view,
            digest: scene.digest(),
            halves: scene.halves(),
            log,
            ..Life::default()
        };
        if view.applied == Index::ZERO {
            return Ok(());
        }
        super::annals(&mut self.epochs, view.hard.epoch).on_applied(view, scene.digest())
    }

    /// The entries that a snapshot covers: all of them were committed.
    fn covered(
        &self,
        hard: HardState,
        base: EntryId,
    ) -> Result<Vec<(Term, u64)>, super::Violation> {
        if base.index == Index::ZERO {
            return Ok(Vec::new());
        }
        let annals = self.epochs.iter().find(|(epoch, _)| *epoch == hard.epoch);
        let committed = annals.map_or(&[][..], |(_, annals)| &annals.committed[..]);
        let last = committed.get((base.index.0 - 1) as usize).map(|committed| committed.known.id);
        ensure(14, last == Some(base), || format!("a snapshot ends with {base:?}, not {last:?}"))?;
        let entry = |known: Known| (known.id.term, known.hash);
        let covered = committed.iter().take(base.index.0 as usize);
        Ok(covered.map(|committed| entry(committed.known)).collect())
    }
}

impl Sent<'_> {
    fn hard(&self) -> HardState {
        self.durable.hard.unwrap_or_default()
    }

    /// What is said in a term is said by somebody who will not forget that term.
    fn has_term(&self, term: Term) -> Verdict {
        let (hard, view) = (self.hard(), self.view);
        let remembers =
            hard.epoch == view.hard.epoch && hard.incarnation == view.member.incarnation;
        ensure(6, remembers && hard.term >= term, || {
            let what = self.message;
            format!("{} says {what:?}, but its disk holds {hard:?}", view.member.id)
        })
    }

    fn has_vote(&self, term: Term, candidate: MemberId) -> Verdict {
        let hard = self.hard();
        ensure(6, hard.term == term && hard.vote == Some(candidate), || {
            format!(
                "{} votes for {} in term {term}, but its disk holds {hard:?}",
                self.view.member.id, candidate.id
            )
        })
    }
}
