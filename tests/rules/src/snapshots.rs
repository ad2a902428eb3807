//! What a follower does with a leader's snapshot (section 7; PITFALLS 6 and 16).

use coracle::message::{AppendOutcome, ChunkOutcome, Message};
use coracle::{EntryId, Epoch, Index, Member, NodeId, RoleName, SnapshotName, Term, Ticks};

use crate::harness::desk::{Desk, Told};
use crate::harness::{
    Bench, ELECTION_MAX, FOUR, Forged, HEARTBEAT, MEMBERS, ONE, Persisting, Sent, Small, THREE,
    append, at, heartbeat, member, timeout_now, vote, voters,
};

/// The size of a chunk here, unless a rule says another.
const CHUNK: u16 = 50;

/// Figure 13 of the dissertation, receiver 8: "reset state machine using snapshot contents (and load
/// lastConfig as cluster configuration)".
pub fn a_snapshot_takes_the_place_of_log_and_state() {
    let mut bench = Bench::follower(&[1, 1]);
    let snapshot = snapshot(&bench, 2, 9);
    let sent = bench_takes(&mut bench, &snapshot, 2, CHUNK);
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
    assert_eq!((bench.raft.base(), bench.raft.last()), (at(2, 9), at(2, 9)));
    assert_eq!((bench.raft.commit(), bench.raft.applied()), (Index(9), Index(9)));
    assert_eq!((bench.applied_count, bench.applied_digest), (7, 77));
    assert_eq!(matched_to(&sent), Some(Index(9)));
    // And the log goes on behind it.
    let run = bench.run(10, &[2]);
    let sent = bench.answers(ONE, append(2, at(2, 9), 10, run.bytes()));
    assert_eq!(matched_to(&sent), Some(Index(10)));
    assert!(bench.has_applied(at(2, 10)));
}

/// Each chunk is acknowledged with what is there and what is missing.
pub fn an_answer_says_which_chunks_are_there() {
    let mut bench = Bench::follower(&[1]);
    let snapshot = snapshot(&bench, 2, 9);
    assert!(snapshot.count(CHUNK) >= 5);
    for (chunk, expected) in [(0, (1, 0)), (2, (1, 0b10)), (4, (1, 0b1010)), (1, (3, 0b10))] {
        bench.answers_chunk(&snapshot, chunk, expected);
    }
}

/// PITFALLS 23: datagrams overtake, and come twice.
pub fn chunks_may_come_late_doubled_and_in_any_order() {
    let mut bench = Bench::follower(&[1]);
    let snapshot = snapshot(&bench, 2, 9);
    let count = snapshot.count(CHUNK);
    for chunk in (0..count).rev() {
        assert_eq!(bench.shelf.installed, None);
        for _time in 0..2 {
            bench.answers(ONE, snapshot.chunk(2, CHUNK, chunk));
        }
    }
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
    assert_eq!(bench.raft.counters().chunks_taken, count, "each was kept once");
    // What comes later still is answered like any other acknowledgement.
    let sent = bench.answers(ONE, snapshot.chunk(2, CHUNK, 1));
    assert_eq!(matched_to(&sent), Some(Index(9)));
    assert_eq!(bench.raft.counters().snapshots_installed, 1);
}

/// PITFALLS 16: "chunks of different transfers never mix (the transfer is named by leader term,
/// index, length and checksum)".
pub fn chunks_of_two_transfers_never_mix() {
    let whole = |bench: &Bench| bench.shelf.installed.is_some();
    for which in 0..5 {
        let mut bench = Bench::follower(&[1]);
        let first = snapshot(&bench, 2, 9);
        let (mut other, mut term, mut size) = (first.clone(), 2, CHUNK);
        match which {
            0 => term = 3,
            1 => other.name.last.index = Index(10),
            2 => other.name.checksum ^= 1,
            3 => size = CHUNK + 1,
            _ => {
                other.bytes.push(0).expect("room for a byte more");
                other.name.length += 1;
            }
        }
        for chunk in 0..first.count(CHUNK) - 1 {
            bench.answers(ONE, first.chunk(2, CHUNK, chunk));
        }
        let last = other.count(size) - 1;
        let sent = bench.answers(ONE, other.chunk(term, size, last));
        assert!(!whole(&bench), "transfers {which} were mixed");
        let reply = sent.chunk_reply_to(ONE).expect("an answer");
        let taken = 1 << last;
        assert_eq!(reply.outcome, ChunkOutcome::Taken { upto: 0, taken });
        assert_eq!(bench.violation, None);
    }
}

/// PITFALLS 16: "a new leader half-way": what was gathered belonged to another transfer.
pub fn a_new_leader_begins_a_transfer_anew() {
    let mut bench = Bench::follower(&[1]);
    let snapshot = snapshot(&bench, 2, 9);
    for chunk in 0..snapshot.count(CHUNK) - 1 {
        bench.answers(ONE, snapshot.chunk(2, CHUNK, chunk));
    }
    let sent = bench.answers(THREE, snapshot.chunk(3, CHUNK, 0));
    let reply = sent.chunk_reply_to(THREE).expect("an answer");
    assert_eq!(reply.outcome, ChunkOutcome::Taken { upto: 1, taken: 0 });
    // The old one is told that it is over.
    let sent = bench.answers(ONE, snapshot.chunk(2, CHUNK, snapshot.count(CHUNK) - 1));
    let reply = sent.append_reply_to(ONE).expect("an answer");
    assert_eq!((reply.term, reply.outcome), (Term(3), AppendOutcome::Stale));
    assert_eq!(bench.shelf.installed, None);
    for chunk in 1..snapshot.count(CHUNK) {
        bench.answers(THREE, snapshot.chunk(3, CHUNK, chunk));
    }
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
}

/// PITFALLS 16: "a crash half-way": nothing of what was gathered counts, and nothing else is lost.
pub fn a_restart_half_way_begins_the_transfer_anew() {
    let mut bench = Bench::follower(&[1, 1]);
    let snapshot = snapshot(&bench, 2, 9);
    for chunk in 0..snapshot.count(CHUNK) - 1 {
        bench.answers(ONE, snapshot.chunk(2, CHUNK, chunk));
    }
    bench.restart();
    assert_eq!((bench.raft.last(), bench.raft.term()), (at(1, 2), Term(2)));
    bench.answers_chunk(&snapshot, snapshot.count(CHUNK) - 1, (0, 1 << 4));
    assert_eq!(bench.shelf.installed, None);
    bench_takes(&mut bench, &snapshot, 2, CHUNK);
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
}

/// PITFALLS 16: the contents are checked against their name: what is damaged is gathered anew.
pub fn damaged_contents_are_gathered_anew() {
    let mut bench = Bench::follower(&[1, 1]);
    let good = snapshot(&bench, 2, 9);
    let mut damaged = good.clone();
    damaged.bytes[120] ^= 1;
    bench_takes(&mut bench, &damaged, 2, CHUNK);
    assert_eq!(bench.raft.counters().snapshots_damaged, 1);
    assert_eq!((bench.raft.last(), bench.raft.commit()), (at(1, 2), Index(0)));
    assert_eq!((bench.shelf.installed, bench.violation), (None, None));
    bench.answers_chunk(&good, 0, (1, 0));
    bench_takes(&mut bench, &good, 2, CHUNK);
    assert_eq!(bench.shelf.installed, Some(good.name));
}

/// PITFALLS 16: "a different term at the last included index drops the whole log".
pub fn another_term_at_the_last_entry_drops_the_whole_log() {
    let mut bench = Bench::follower(&[1, 1, 1, 1, 1]);
    let snapshot = snapshot(&bench, 2, 3);
    let sent = bench_takes(&mut bench, &snapshot, 2, CHUNK);
    assert_eq!(bench.raft.last(), at(2, 3), "nothing of an earlier term is left");
    assert_eq!(matched_to(&sent), Some(Index(3)));
    bench.restart();
    assert_eq!((bench.raft.base(), bench.raft.last()), (at(2, 3), at(2, 3)));
}

/// Section 7: "if instead the follower receives a snapshot that describes a prefix of its log ...
/// entries following the snapshot are still valid and must be retained".
pub fn an_entry_that_is_there_keeps_what_follows_it() {
    let mut bench = Bench::follower(&[1, 1, 2, 2]);
    let snapshot = snapshot(&bench, 2, 3);
    let sent = bench.answers(ONE, snapshot.chunk(2, CHUNK, 0));
    assert_eq!(matched_to(&sent), Some(Index(3)), "it need not be sent the rest");
    assert_eq!((bench.raft.last(), bench.raft.commit()), (at(2, 4), Index(3)));
    assert_eq!(bench.shelf.installed, None);
}

/// PITFALLS 16: "a stale snapshot" changes nothing and is acknowledged.
pub fn a_stale_snapshot_changes_nothing() {
    let mut bench = Bench::follower(&[1, 1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 4), 4));
    let before = bench.state();
    for last in [at(1, 2), at(1, 4)] {
        let snapshot = snapshot(&bench, last.term.0, last.index.0);
        let sent = bench.answers(ONE, snapshot.chunk(1, CHUNK, 0));
        assert_eq!(matched_to(&sent), Some(Index(4)));
    }
    assert_eq!(bench.state(), before);
    assert_eq!(bench.raft.counters().chunks_taken, 0);
}

/// A snapshot that was gathered while the log caught up is of no use any more: what is applied never
/// falls (invariant 7).
pub fn a_snapshot_that_the_log_has_overtaken_is_not_installed() {
    for commit in [3, 5, 6] {
        let mut bench = Bench::follower(&[1, 1]);
        let snapshot = snapshot(&bench, 1, 5);
        // All that arrives before the node is polled.
        for chunk in 0..snapshot.count(CHUNK) {
            bench.hears(ONE, snapshot.chunk(1, CHUNK, chunk));
        }
        let run = bench.run(3, &[1, 1, 1, 1]);
        bench.hears(ONE, append(1, at(1, 2), commit, run.bytes()));
        bench.drive();
        assert_eq!((bench.violation, bench.shelf.installed), (None, None));
        assert_eq!((bench.raft.last(), bench.raft.commit()), (at(1, 6), Index(commit)));
        let sent = bench.answers(ONE, snapshot.chunk(1, CHUNK, 0));
        assert_eq!(matched_to(&sent), Some(Index(6)));
    }
}

/// PITFALLS 16: "never install while candidate or leader".
pub fn a_candidate_installs_nothing() {
    let mut bench = Bench::follower(&[1, 1]);
    let snapshot = snapshot(&bench, 1, 9);
    bench.persisting = Persisting::Never;
    for chunk in 0..snapshot.count(CHUNK) {
        bench.hears(ONE, snapshot.chunk(1, CHUNK, chunk));
    }
    bench.raft.tick(Ticks(ELECTION_MAX.0 + 1));
    assert_eq!(bench.raft.role(), RoleName::PreCandidate);
    bench.persisting = Persisting::AtOnce;
    bench.drive();
    assert_eq!(bench.shelf.installed, None);
    // It follows again, in the same term, and has it all.
    bench.answers(ONE, heartbeat(1, at(1, 1), 0));
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
}

/// The same of a leader, which nobody else leads in its term.
pub fn a_leader_takes_no_chunk() {
    let mut bench = Bench::leader(&[1]);
    let before = bench.state();
    let snapshot = snapshot(&bench, 2, 9);
    for chunk in 0..snapshot.count(CHUNK) {
        assert!(bench.reacts(ONE, snapshot.chunk(2, CHUNK, chunk)).is_empty());
    }
    assert_eq!((bench.state(), bench.raft.role()), (before, RoleName::Leader));
    assert_eq!(bench.raft.counters().chunks_taken, 0);
}

/// What was gathered in a term that is over is not installed in the next.
pub fn a_snapshot_of_a_term_that_is_over_is_not_installed() {
    let mut bench = Bench::follower(&[1, 1]);
    let snapshot = snapshot(&bench, 1, 9);
    for chunk in 0..snapshot.count(CHUNK) {
        bench.hears(ONE, snapshot.chunk(1, CHUNK, chunk));
    }
    bench.hears(ONE, timeout_now(1));
    bench.drive();
    assert_eq!((bench.raft.role(), bench.shelf.installed), (RoleName::Candidate, None));
    bench.answers(THREE, heartbeat(2, at(1, 2), 0));
    assert_eq!(bench.shelf.installed, None);
}

/// A snapshot for which there is no room is a counted failure of this member only.
pub fn a_snapshot_without_room_is_refused_counted_and_taken_later() {
    let mut bench = Bench::follower(&[1, 1]);
    let before = bench.state();
    let snapshot = snapshot(&bench, 1, 9);
    bench.shelf.has_room = false;
    for time in 1..=2 {
        let sent = bench.answers(ONE, snapshot.chunk(1, CHUNK, 0));
        let reply = sent.chunk_reply_to(ONE).expect("an answer");
        assert_eq!((reply.last, reply.outcome), (Index(9), ChunkOutcome::TooLarge));
        assert_eq!(bench.raft.counters().snapshots_too_large, time);
    }
    assert_eq!(bench.state(), before);
    bench.shelf.has_room = true;
    bench_takes(&mut bench, &snapshot, 1, CHUNK);
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
}

/// A snapshot that names more members than there is room for is refused when its front is there, and
/// no more of it is gathered. That is a counted failure of this member only: it follows on, and takes
/// the next one that it can.
pub fn a_snapshot_with_too_many_members_is_refused_before_the_rest_comes() {
    let mut bench = Bench::follower(&[1, 1]);
    let before = bench.state();
    let snapshot = crowded(bench.epoch, at(1, 9));
    let mut refused = 0;
    for chunk in 0..snapshot.count(CHUNK) {
        let sent = bench.answers(ONE, snapshot.chunk(1, CHUNK, chunk));
        let reply = sent.chunk_reply_to(ONE).expect("an answer");
        assert_eq!(reply.last, Index(9));
        let is_refused = reply.outcome == ChunkOutcome::TooLarge;
        assert!(is_refused || refused == 0, "chunk {chunk} is taken although it was refused");
        refused += u32::from(is_refused);
    }
    assert!(refused > 1, "all of it was gathered");
    for chunk in 0..3 {
        let sent = bench.answers(ONE, snapshot.chunk(1, CHUNK, chunk));
        let reply = sent.chunk_reply_to(ONE).expect("an answer");
        assert_eq!((reply.last, reply.outcome), (Index(9), ChunkOutcome::TooLarge));
    }
    let counters = bench.raft.counters();
    assert_eq!(counters.snapshots_too_large, refused + 3);
    assert_eq!(counters.chunks_taken, snapshot.count(CHUNK) - refused + 1);
    assert_eq!((counters.snapshots_damaged, bench.shelf.installed), (0, None));
    assert_eq!((bench.state(), bench.violation), (before, None));
    // It hears its leader, and says that it lacks the entries.
    let sent = bench.answers(ONE, heartbeat(1, at(1, 9), 9));
    let reply = sent.append_reply_to(ONE).expect("an answer");
    assert!(matches!(reply.outcome, AppendOutcome::Mismatch(_)), "{reply:?}");
    let next = Forged::new(bench.epoch, at(1, 12), Index(11), &voters(5), [7, 77], 130);
    bench_takes(&mut bench, &next, 1, CHUNK);
    assert_eq!(bench.shelf.installed, Some(next.name));
}

/// The same of a whole member, which reads the front from its medium.
pub fn a_member_refuses_a_snapshot_with_too_many_members_and_serves_on() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let session = desk.open(7);
    let leader = desk.leader().expect("somebody leads");
    let place = (leader + 1) % 3;
    let term = desk.nodes[leader].raft().term().0;
    let snapshot = crowded(desk.epoch, at(term, 99));
    for chunk in 0..snapshot.count(CHUNK) {
        desk.hears(place, leader, snapshot.chunk(term, CHUNK, chunk));
    }
    let counters = *desk.nodes[place].raft().counters();
    let taken = snapshot.count(CHUNK) - counters.snapshots_too_large + 1;
    assert!(counters.snapshots_too_large > 1, "all of it was gathered");
    assert_eq!((counters.chunks_taken, counters.snapshots_installed), (taken, 0));
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    desk.pass(HEARTBEAT);
    assert_eq!((desk.leader(), desk.sum(place)), (Some(leader), 5));
}

/// A snapshot may be larger than the log: it goes to the medium, never through the node's memory.
pub fn a_snapshot_larger_than_the_log_is_taken() {
    let mut bench = Bench::stored(Small::limited(352, 16), voters(3), 1, None, &[1]);
    let (last, named_at) = (at(1, 200), Index(1));
    let snapshot = Forged::new(bench.epoch, last, named_at, &bench.voters, [7, 77], 300);
    assert!(snapshot.bytes.len() > 352);
    for chunk in 0..snapshot.count(CHUNK) {
        bench.hears(ONE, snapshot.chunk(1, CHUNK, chunk));
        bench.drive();
    }
    assert_eq!(bench.shelf.installed, Some(snapshot.name));
}

/// The border of what an answer can speak of: 64 chunks from the first that is missing.
pub fn a_chunk_too_far_ahead_is_not_kept() {
    let mut bench = Bench::follower(&[1]);
    let snapshot = snapshot(&bench, 2, 9);
    let size = 2;
    assert!(snapshot.count(size) > 66);
    let sent = bench.answers(ONE, snapshot.chunk(2, size, 64));
    let reply = sent.chunk_reply_to(ONE).expect("an answer");
    assert_eq!(reply.outcome, ChunkOutcome::Taken { upto: 0, taken: 0 });
    assert_eq!(bench.raft.counters().chunks_taken, 0);
    let sent = bench.answers(ONE, snapshot.chunk(2, size, 63));
    let reply = sent.chunk_reply_to(ONE).expect("an answer");
    assert_eq!(reply.outcome, ChunkOutcome::Taken { upto: 0, taken: 1 << 63 });
    for chunk in 0..63 {
        bench.answers(ONE, snapshot.chunk(2, size, chunk));
    }
    let sent = bench.answers(ONE, snapshot.chunk(2, size, 0));
    let reply = sent.chunk_reply_to(ONE).expect("an answer");
    assert_eq!(reply.outcome, ChunkOutcome::Taken { upto: 64, taken: 0 });
}

/// The borders of a chunk's size: one byte, all but one byte, all, and one byte more.
pub fn a_snapshot_may_come_in_chunks_of_any_size() {
    let length = snapshot(&Bench::follower(&[1]), 2, 9).bytes.len();
    let length = u16::try_from(length).expect("a small snapshot");
    for size in [1, 7, length / 2, length - 1, length, length + 1, u16::MAX] {
        let mut bench = Bench::follower(&[1]);
        let snapshot = snapshot(&bench, 2, 9);
        bench_takes(&mut bench, &snapshot, 2, size);
        assert_eq!(bench.shelf.installed, Some(snapshot.name), "chunks of {size} bytes");
    }
}

/// A newer snapshot takes the place of the one that is being gathered, and not the other way round.
pub fn a_newer_snapshot_takes_the_place_of_an_older() {
    let mut bench = Bench::follower(&[1]);
    let (older, newer) = (snapshot(&bench, 2, 9), snapshot(&bench, 2, 12));
    bench.answers_chunk(&older, 0, (1, 0));
    bench.answers_chunk(&newer, 1, (0, 0b10));
    let stale = bench.raft.counters().stale;
    assert!(bench.answers(ONE, older.chunk(2, CHUNK, 1)).is_empty());
    assert_eq!(bench.raft.counters().stale, stale + 1);
    bench.answers_chunk(&newer, 0, (2, 0));
}

/// Section 7: the snapshot "also includes the latest configuration": the members that it names count,
/// also after a restart.
pub fn the_members_of_a_snapshot_count_and_survive_a_restart() {
    let mut bench = Bench::follower(&[1]);
    let mut members = voters(4);
    members[0].part = coracle::Part::Learner;
    let snapshot = Forged::new(bench.epoch, at(2, 9), Index(7), &members, [7, 77], 100);
    bench_takes(&mut bench, &snapshot, 2, CHUNK);
    for _start in 0..2 {
        let configuration = bench.raft.configuration();
        assert_eq!((configuration.index, configuration.members.len()), (Index(7), 4));
        let sent = bench.campaign();
        assert!(sent.pre_vote_to(FOUR).is_some() && sent.pre_vote_to(THREE).is_some());
        assert!(sent.pre_vote_to(ONE).is_none(), "a learner is not asked");
        bench.restart();
    }
}

/// PITFALLS 7: behind a snapshot, too, a configuration that is truncated counts no more: the one of
/// the snapshot counts again.
pub fn the_members_of_a_snapshot_count_again_after_a_truncation() {
    let mut bench = Bench::follower(&[1]);
    let snapshot = snapshot(&bench, 2, 9);
    bench_takes(&mut bench, &snapshot, 2, CHUNK);
    let mut run = crate::harness::Run::new();
    let data = crate::harness::configuration(&voters(5));
    run.push(2, coracle::EntryKind::Configuration, &data);
    bench.answers(ONE, append(2, at(2, 9), 9, run.bytes()));
    assert_eq!(bench.raft.configuration().index, Index(10));
    let other = bench.run(10, &[3]);
    bench.answers(THREE, append(3, at(2, 9), 9, other.bytes()));
    assert_eq!(bench.raft.configuration().index, Index(1));
    assert_eq!(bench.raft.configuration().members.len(), 3);
}

/// A snapshot of another epoch is none of ours, whatever its sum.
pub fn a_snapshot_of_another_epoch_is_not_installed() {
    let mut bench = Bench::follower(&[1]);
    let own: &[Member] = &bench.voters.clone();
    let foreign = Forged::new(Epoch(77), at(2, 9), Index(1), own, [7, 77], 100);
    bench_takes(&mut bench, &foreign, 2, CHUNK);
    // Nor is one that ends elsewhere than its name says.
    let mut renamed = snapshot(&bench, 2, 9);
    renamed.name.last = at(2, 11);
    bench_takes(&mut bench, &renamed, 2, CHUNK);
    assert_eq!(bench.shelf.installed, None);
    assert_eq!(bench.raft.counters().snapshots_damaged, 2);
    assert_eq!((bench.raft.last(), bench.violation), (at(1, 1), None));
}

/// Formation: only an append or a vote request takes a blank node into an epoch.
pub fn a_blank_node_takes_no_chunk() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let snapshot = snapshot(&bench, 2, 9);
    assert!(bench.reacts(ONE, snapshot.chunk(2, CHUNK, 0)).is_empty());
    assert_eq!(bench.raft.role(), RoleName::Blank);
    assert_eq!(bench.raft.counters().misdirected, 1);
}

/// PITFALLS 17 and 23: names and numbers at their limits harm nobody.
pub fn impossible_chunks_harm_nobody() {
    let mut bench = Bench::follower(&[1, 1]);
    let name = |index, length| SnapshotName { last: at(1, index), length, checksum: 1 };
    for (name, number, chunk_bytes) in [
        (name(9, u64::MAX), u32::MAX, 1),
        (name(9, u64::MAX), 0, 1),
        (name(u64::MAX, u64::from(u32::MAX) + 1), u32::MAX, 1),
        (name(u64::MAX, 1), 0, 1),
        (name(9, 64), 63, 1),
    ] {
        let (term, bytes) = (Term(1), &[7][..]);
        let chunk = coracle::message::Chunk { term, name, chunk_bytes, number, bytes };
        bench.reacts(ONE, Message::Chunk(chunk));
        assert_eq!((bench.violation, bench.shelf.installed), (None, None));
    }
    // And it serves as before.
    let sent = bench.pass(Ticks(ELECTION_MAX.0 + HEARTBEAT.0));
    assert!(sent.pre_vote_to(ONE).is_some());
    let sent = bench.answers(THREE, vote(2, at(1, 2)));
    assert_eq!(sent.verdict_to(THREE), Some(true));
}

/// A snapshot that names one member more than there is room for.
fn crowded(epoch: Epoch, last: EntryId) -> Forged {
    let mut all: heapless::Vec<Member, { MEMBERS + 1 }> = voters(5).into_iter().collect();
    all.push(Member::voter(member(NodeId(6)), 256)).expect("one more");
    Forged::new(epoch, last, Index(7), &all, [7, 77], 130)
}

/// A snapshot of the node's own cluster up to this entry, of 280 bytes or so.
fn snapshot(bench: &Bench, term: u64, index: u64) -> Forged {
    Forged::new(bench.epoch, at(term, index), Index(1), &bench.voters, [7, 77], 130)
}

/// The node gets all chunks in order; gives what it sends at the last one.
fn bench_takes(bench: &mut Bench, snapshot: &Forged, term: u64, size: u16) -> Sent {
    let mut sent = Sent::new();
    for chunk in 0..snapshot.count(size) {
        sent = bench.answers(ONE, snapshot.chunk(term, size, chunk));
    }
    sent
}

/// Up to where node 1 is told that the logs agree.
fn matched_to(sent: &Sent) -> Option<Index> {
    match sent.append_reply_to(ONE)?.outcome {
        AppendOutcome::Matched(index) => Some(index),
        AppendOutcome::Mismatch(_) | AppendOutcome::Stale => None,
    }
}

impl Bench {
    /// The leader of term 2 sends a chunk, and is told this of what is there.
    fn answers_chunk(&mut self, snapshot: &Forged, chunk: u32, (upto, taken): (u32, u64)) {
        let sent = self.answers(ONE, snapshot.chunk(2, CHUNK, chunk));
        let reply = sent.chunk_reply_to(ONE).expect("an answer");
        assert_eq!(reply.last, snapshot.name.last.index);
        assert_eq!(reply.outcome, ChunkOutcome::Taken { upto, taken });
    }
}
