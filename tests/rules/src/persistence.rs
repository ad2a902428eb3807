//! Persist before send (figure 2, "updated on stable storage before responding to RPCs"; persist before send).

use coracle::message::AppendOutcome;
use coracle::{EntryId, Index, NodeId, Output, Term, Ticks};

use crate::harness::{
    Bench, DATAGRAM, ELECTION_MIN, HEARTBEAT, ONE, Persisting, Random, Run, Sent, THREE, append,
    at, heartbeat, member, pre_vote, terms, vote,
};

/// Persist before send: a guard that is dropped is offered again, so that forgetting one costs progress only.
pub fn a_write_that_is_forgotten_is_offered_again() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Never;
    let run = bench.run(2, &[1]);
    assert!(bench.answers(ONE, append(1, at(1, 1), 0, run.bytes())).is_empty());
    assert!(bench.drive().is_empty());
    bench.persisting = Persisting::AtOnce;
    assert_eq!(acknowledged(&bench.drive()), Some(2));
    assert_eq!(terms(&bench.disk.log), [1, 1]);
}

/// Persist before send: the same for a datagram.
pub fn a_datagram_that_is_forgotten_is_offered_again() {
    let mut bench = Bench::follower(&[1]);
    bench.hears(ONE, heartbeat(1, at(1, 1), 0));
    for _time in 0..3 {
        let Some(Output::Transmit(transmit)) = bench.raft.poll() else {
            panic!("the answer is not offered")
        };
        assert_eq!(transmit.to(), ONE);
    }
    assert_eq!(acknowledged(&bench.drive()), Some(1));
}

/// Persist before send: the same for a datagram whose buffer is too small.
pub fn a_datagram_that_does_not_fit_the_buffer_is_offered_again() {
    let mut bench = Bench::follower(&[1]);
    bench.hears(ONE, heartbeat(1, at(1, 1), 0));
    let Some(Output::Transmit(transmit)) = bench.raft.poll() else {
        panic!("the answer is not offered")
    };
    let error = transmit.write(&mut [0; DATAGRAM - 1]).expect_err("the buffer is too small");
    assert_eq!(error.needed, DATAGRAM);
    assert_eq!(acknowledged(&bench.drive()), Some(1));
}

/// Persist before send: the same for a command to be applied.
pub fn a_command_that_is_not_applied_is_offered_again() {
    let mut bench = Bench::follower(&[1, 1]);
    bench.hears(ONE, heartbeat(1, at(1, 2), 2));
    let mut offered = 0;
    for _output in 0..10 {
        match bench.raft.poll() {
            Some(Output::Apply(apply)) => {
                assert_eq!(apply.entry().map(|entry| entry.id), Some(at(1, 2)));
                offered += 1;
            }
            Some(Output::Transmit(transmit)) => {
                transmit.write(&mut [0; DATAGRAM]).expect("the buffer is large enough");
            }
            Some(_) | None => {}
        }
    }
    assert!(offered > 1);
    bench.drive();
    assert_eq!(bench.applied_count, 1);
}

/// Persist before send: nothing at all leaves while the hard state is not durable, whatever arrives meanwhile.
pub fn nothing_leaves_while_the_hard_state_is_not_durable() {
    let mut bench = Bench::follower(&[1, 2]);
    bench.persisting = Persisting::Submitted;
    assert!(bench.answers(ONE, heartbeat(5, at(2, 2), 0)).is_empty(), "term 5 is not durable");
    assert!(bench.answers(THREE, pre_vote(9, at(2, 2))).is_empty());
    assert!(bench.answers(THREE, vote(5, at(2, 2))).is_empty());
    assert!(bench.pass(HEARTBEAT).is_empty());
    bench.finish(0);
    assert_eq!(bench.disk.hard.term, Term(5));
    let sent = bench.drive();
    assert!(sent.has_to(ONE) && sent.has_to(THREE));
}

/// Persist before send: while a write is under way elsewhere, the node goes on.
pub fn a_leader_goes_on_while_its_disk_writes() {
    let mut bench = Bench::leader(&[1]);
    bench.persisting = Persisting::Submitted;
    let first = bench.propose(b"first");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.accepts(&sent, THREE);
    bench.propose(b"second");
    let sent = bench.drive();
    assert!(sent.append_to(ONE).is_some_and(|append| !append.run.is_empty()));
    assert!(bench.has_applied(first));
    bench.accepts(&sent, ONE);
    bench.accepts(&sent, THREE);
    assert!(bench.beats().append_to(ONE).is_some(), "it beats");
}

/// Persist before send: what has been submitted is not offered a second time.
pub fn a_submitted_write_is_not_offered_again() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    bench.drive();
    assert_eq!(bench.writing.len(), 1);
}

/// Persist before send: receipts come back in the order of submission; a later one speaks for those before.
pub fn a_later_receipt_speaks_for_the_earlier_ones() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let run = bench.run(3, &[1]);
    bench.answers(ONE, append(1, at(1, 2), 0, run.bytes()));
    let receipt = bench.writing[1].receipt;
    bench.raft.durable(receipt);
    assert_eq!(acknowledged(&bench.drive()), Some(3));
    let receipt = bench.writing[0].receipt;
    bench.raft.durable(receipt);
    bench.raft.durable(receipt);
    assert_eq!(bench.raft.durable_index(), Index(3), "an old receipt takes nothing back");
}

/// Persist before send: each write is acknowledged when it is durable; it does not wait for those behind it, or
/// a busy disk would never let an answer out.
pub fn an_acknowledgement_does_not_wait_for_later_writes() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let run = bench.run(3, &[1]);
    bench.answers(ONE, append(1, at(1, 2), 0, run.bytes()));
    bench.finish(0);
    assert_eq!(acknowledged(&bench.drive()), Some(2), "entry 2 is durable and the leader waits");
    bench.finish(0);
    assert_eq!(acknowledged(&bench.drive()), Some(3));
}

/// PITFALLS 22: a write that finishes after its entries were overwritten acknowledges nothing of
/// what stands there now.
pub fn a_late_write_does_not_acknowledge_what_replaced_it() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1, 1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let run = bench.run(2, &[2]);
    bench.answers(THREE, append(2, at(1, 1), 0, run.bytes()));
    assert_eq!(bench.raft.last(), at(2, 2));
    bench.finish(0);
    assert!(bench.drive().is_empty());
    assert!(bench.raft.durable_index() <= Index(1), "the disk has another entry 2");
    bench.finish(0);
    let sent = bench.drive();
    assert_eq!(acknowledged_to(THREE, &sent), Some(2));
    assert_eq!(terms(&bench.disk.log), [1, 2]);
}

/// PITFALLS 22: after a truncation the receipts from before say nothing, so what they stood for is
/// written again; else it would wait for them for ever.
pub fn what_was_unconfirmed_is_written_again_after_a_truncation() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1, 1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let run = bench.run(3, &[2]);
    bench.answers(THREE, append(2, at(1, 2), 0, run.bytes()));
    assert_eq!(bench.raft.last(), at(2, 3));
    let again = bench.writing.last().expect("the new entry is written");
    assert_eq!(again.first, Index(2), "entry 2 was submitted, and nobody will hear of it");
}

/// PITFALLS 22, for a leader that was deposed: its own late write does not count for its successor's
/// entry.
pub fn a_deposed_leaders_late_write_does_not_acknowledge_its_successors_entry() {
    let mut bench = Bench::leader(&[1]);
    bench.persisting = Persisting::Submitted;
    bench.propose(b"lost");
    bench.drive();
    let run = bench.run(3, &[3]);
    bench.answers(THREE, append(3, at(2, 2), 0, run.bytes()));
    bench.finish(0);
    bench.drive();
    assert!(bench.raft.durable_index() <= Index(2));
    bench.finish(0);
    assert_eq!(acknowledged_to(THREE, &bench.drive()), Some(3));
}

/// Persist before send: everything that has arrived is written in one go: group commit without code for it.
pub fn one_write_covers_all_that_has_arrived() {
    let mut bench = Bench::follower(&[1]);
    let writes = bench.disk.writes;
    for index in 2..6 {
        let run = bench.run(index, &[1]);
        bench.hears(ONE, append(1, at(1, index - 1), 0, run.bytes()));
    }
    let sent = bench.drive();
    assert_eq!(bench.disk.writes, writes + 1);
    assert_eq!(acknowledged(&sent), Some(5));
    assert_eq!(sent.count(), 1, "and one answer for all");
}

/// Figure 2: the hard state is written when it changes, and only then.
pub fn the_hard_state_is_written_only_when_it_changes() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1]);
    bench.hears(ONE, append(1, at(1, 1), 0, run.bytes()));
    let Some(Output::Persist(persist)) = bench.raft.poll() else { panic!("nothing to write") };
    let write = persist.write();
    assert_eq!(write.hard, None);
    assert_eq!((write.first, write.last), (Index(2), at(1, 2)));
    assert_eq!(write.runs.concat_len(), run.bytes().len());
    persist.done();
    bench.drive();
    bench.hears(THREE, heartbeat(3, at(1, 2), 0));
    let Some(Output::Persist(persist)) = bench.raft.poll() else { panic!("nothing to write") };
    let write = persist.write();
    assert_eq!(write.hard.map(|hard| hard.term), Some(Term(3)));
    assert!(!write.has_entries());
    persist.done();
}

/// Figure 2, persistent state: term, vote and log are there after a crash.
pub fn a_restarted_node_has_its_term_its_vote_and_its_log() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[2, 2]);
    bench.answers(ONE, append(2, at(1, 1), 2, run.bytes()));
    bench.pass_unseen(ELECTION_MIN);
    bench.answers(THREE, vote(4, at(2, 3)));
    bench.restart();
    let hard = bench.raft.hard_state();
    assert_eq!((hard.term, hard.vote), (Term(4), Some(member(THREE))));
    assert_eq!(hard.incarnation, bench.member(crate::harness::TWO).incarnation);
    let sent = bench.answers(THREE, heartbeat(4, at(2, 3), 3));
    assert_eq!(acknowledged_to(THREE, &sent), Some(3));
    assert_eq!(bench.applied_count, 2, "it applies from the start again");
}

/// Figure 2, volatile state: the commit index is not known after a crash, and is learned again.
pub fn a_restarted_node_does_not_guess_what_is_committed() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 3), 3));
    assert_eq!(bench.applied_count, 2);
    bench.restart();
    bench.drive();
    assert_eq!(bench.applied_count, 0);
    bench.answers(ONE, heartbeat(1, at(1, 3), 2));
    assert_eq!(bench.applied_count, 1);
}

/// Formation: the epoch that a blank node joins is durable before anybody hears from inside it.
pub fn a_node_has_joined_on_disk_before_it_answers_from_inside() {
    let mut bench = Bench::blank(3);
    bench.drive();
    bench.persisting = Persisting::Submitted;
    let run = bench.run(1, &[1]);
    let sent = bench.answers(ONE, append(1, EntryId::default(), 0, run.bytes()));
    assert!(sent.append_reply_to(ONE).is_none());
    bench.finish(0);
    assert_eq!(bench.disk.hard.epoch, bench.epoch);
    assert_eq!(bench.disk.hard.incarnation, bench.raft.member().incarnation);
    assert_eq!(acknowledged(&bench.drive()), Some(1));
}

/// Figure 2, persist before send, PITFALLS 22, all together: whatever the order of appends, leaders, votes and
/// finished writes, what a node has said is on its disk.
pub fn what_a_node_has_said_is_on_its_disk() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut bench = Bench::follower(&[1]);
        bench.persisting = Persisting::Submitted;
        let mut leader = Leader { id: ONE, term: 1, log: heapless::Vec::from_slice(&[1]).unwrap() };
        for _step in 0..60 {
            match random.next() % 8 {
                0..=3 => leader.append(&mut bench, &mut random),
                4..=5 if !bench.writing.is_empty() => bench.finish(0),
                6 if random.happens(30) => leader.give_way(&mut random),
                7 => {
                    bench.raft.tick(Ticks(20));
                    bench.may_hear(THREE, vote(leader.term + 1, at(leader.term, 60)));
                }
                _ => {}
            }
            while bench.writing.is_full() {
                bench.finish(0);
            }
            let sent = bench.drive();
            for peer in [ONE, THREE] {
                if let Some(reply) = sent.vote_reply_to(peer).filter(|reply| reply.granted) {
                    assert!(bench.disk.hard.term >= reply.asked, "seed {seed}");
                    leader.term = leader.term.max(reply.asked.0);
                }
                if let Some(index) = acknowledged_to(peer, &sent)
                    && peer == leader.id
                    && bench.raft.term() == Term(leader.term)
                {
                    let index = usize::try_from(index).expect("a short log");
                    let stored = terms(&bench.disk.log);
                    assert_eq!(stored.get(..index), leader.log.get(..index), "seed {seed}");
                }
            }
            if bench.raft.term() > Term(leader.term) {
                leader.term = bench.raft.term().0;
            }
        }
    }
}

/// Somebody who leads, as far as the node can tell.
struct Leader {
    id: NodeId,
    term: u64,
    log: heapless::Vec<u64, 24>,
}

impl Leader {
    /// Adds an entry, if there is room, and sends the entries from somewhere on.
    fn append(&mut self, bench: &mut Bench, random: &mut Random) {
        // A full log sends what it has.
        let _full = self.log.push(self.term);
        let count = u64::try_from(self.log.len()).expect("a short log");
        let from = 2 + random.next() % count.saturating_sub(1).max(1);
        let from = from.min(count).max(count.saturating_sub(8)).max(2);
        let place = usize::try_from(from).expect("a short log") - 1;
        let run: Run = bench.run(from, &self.log[place..]);
        let prev = at(self.log[place - 1], from - 1);
        bench.may_hear(self.id, append(self.term, prev, 0, run.bytes()));
    }

    /// The other one leads a later term, with a part of this log.
    fn give_way(&mut self, random: &mut Random) {
        self.id = if self.id == ONE { THREE } else { ONE };
        self.term += 1;
        let count = u64::try_from(self.log.len()).expect("a short log");
        let kept = 1 + random.next() % count;
        self.log.truncate(usize::try_from(kept).expect("a short log"));
        // A full log stays as it is.
        let _full = self.log.push(self.term);
    }
}

/// How many bytes two slices have together.
trait ConcatLen {
    fn concat_len(&self) -> usize;
}

impl ConcatLen for [&[u8]; 2] {
    fn concat_len(&self) -> usize {
        self.iter().map(|slice| slice.len()).sum()
    }
}

fn acknowledged(sent: &Sent) -> Option<u64> {
    acknowledged_to(ONE, sent)
}

fn acknowledged_to(peer: NodeId, sent: &Sent) -> Option<u64> {
    match sent.append_reply_to(peer)?.outcome {
        AppendOutcome::Matched(index) => Some(index.0),
        AppendOutcome::Mismatch(_) | AppendOutcome::Stale => None,
    }
}
