//! Well-formed datagrams that no correct node sends. Nothing authenticates members yet, so these come
//! from somebody who knows the cluster, but cannot name a living pair of members: from strangers, from
//! the receiver itself, from and to lives and epochs that are not there.

use coracle::message::{
    Append, AppendOutcome, AppendReply, Hello, Message, VoteReply, VoteRequest,
};
use coracle::wire::{Header, Introduction, Route, encode};
use coracle::{
    Checksum, ClusterId, EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, Nonce,
    Term,
};

use crate::chance::Chance;

/// Whom a hostile datagram is for, and as what the receiver knows itself.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The cluster.
    pub cluster: ClusterId,
    /// The receiver.
    pub id: NodeId,
    /// Its life and its epoch.
    pub hard: HardState,
    /// Another member.
    pub other: NodeId,
}

/// A hostile datagram.
#[must_use]
pub fn forge(target: &Target, chance: &mut Chance) -> Box<[u8]> {
    let us = MemberId { id: target.id, incarnation: target.hard.incarnation };
    let stranger = MemberId { id: NodeId(0), incarnation: Incarnation(chance.number()) };
    let mut to =
        Introduction { cluster: target.cluster, epoch: target.hard.epoch, from: stranger, to: us };
    // Without seals a stranger of our epoch is believed, so strangers have another one.
    let elsewhere = Epoch(if target.hard.epoch.0 == 0 { 0 } else { chance.number() });
    match chance.below(6) {
        0 => to.epoch = elsewhere,
        1 => {
            to.from.id = NodeId(u32::MAX - 1);
            to.epoch = elsewhere;
        }
        2 => to.from = us,
        3 => to.cluster = ClusterId(chance.number()),
        4 => {
            to.from.id = target.other;
            to.to.incarnation = Incarnation(chance.number());
        }
        // A blank node would join whatever epoch it is told of, so it is spared this one.
        _ => {
            to.from = MemberId { id: target.other, incarnation: Incarnation(0) };
            to.epoch = Epoch(chance.number());
        }
    }
    let route = match chance.below(8) {
        0 => Route::Tagged(chance.number()),
        _ => Route::Full(to),
    };
    let header = Header { number: chance.pick(&[0, 1, (1 << 48) - 1]), route };
    let message = message(chance);
    let mut buffer = [0; 512];
    let length = encode(&header, &message, &Checksum, &mut buffer).unwrap_or(0);
    buffer[..length].into()
}

fn message(chance: &mut Chance) -> Message<'static> {
    let extreme = |chance: &mut Chance| chance.pick(&[0, 1, u64::MAX - 1, u64::MAX]);
    let id = |chance: &mut Chance| EntryId {
        term: Term(extreme(chance)),
        index: Index(extreme(chance)),
    };
    let term = Term(extreme(chance));
    match chance.below(7) {
        0 => Message::PreVote(VoteRequest { term, last: id(chance), is_handover: false }),
        1 => Message::Vote(VoteRequest { term, last: id(chance), is_handover: chance.coin() }),
        2 => Message::VoteReply(VoteReply { term, asked: term, granted: true }),
        3 => {
            let commit = Index(extreme(chance));
            let prev = id(chance);
            Message::Append(Append { term, prev, commit, everywhere: Index(0), run: &[] })
        }
        4 => {
            let outcome = AppendOutcome::Matched(Index(extreme(chance)));
            Message::AppendReply(AppendReply { term, echo: extreme(chance), outcome })
        }
        5 => {
            let run = &[3, 0, 1, 2, 9];
            let prev = id(chance);
            let commit = Index(u64::MAX);
            Message::Append(Append { term, prev, commit, everywhere: commit, run })
        }
        _ => Message::Hello(Hello {
            nonce: Nonce(chance.number()),
            ids: Nonce(chance.number()),
            datagram: u16::MAX,
            padding: [0; 28],
        }),
    }
}
