//! What a follower that lags behind costs the others: nothing (PITFALLS 16 and 20).

use coracle::message::Message;
use coracle::{Checksum, Index, RoleName, Ticks, wire};

use crate::harness::behind::{
    answer, answer_appends, behind, chunks, commit_by_one, newest, numbers,
};
use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, HEARTBEAT, Network, ONE, THREE, at, chunk_refused,
    chunk_taken, heartbeat, matched, mismatch,
};

/// "Commits need nothing from the slow member": they and the heartbeats go on during a transfer.
pub fn commits_and_heartbeats_go_on_during_a_transfer() {
    let mut bench = behind(17);
    for round in 0..20 {
        let commit = bench.raft.commit();
        bench.propose(b"x");
        let (mut echo, mut prev) = (0, 0);
        bench.drive_into(&mut |to, bytes| {
            if let Ok((header, Message::Append(append))) = wire::decode(bytes, &Checksum)
                && to == ONE
            {
                (echo, prev) = (header.number, append.prev.index.0);
            }
        });
        let last = bench.raft.last().index.0;
        assert!(prev < last, "nothing is sent in round {round}");
        bench.hears(ONE, matched(2, echo, last));
        assert_eq!(bench.raft.commit(), commit.next());
        if bench.raft.needs_compaction() {
            let base = bench.raft.base_behind_snapshot();
            bench.raft.compact(base);
        }
    }
    assert!(bench.raft.is_sending_snapshot());
}

/// PITFALLS 16: "compaction during a transfer": the log may be dropped up to the snapshot, and a new
/// snapshot begins a new transfer.
pub fn a_new_snapshot_begins_a_new_transfer() {
    let mut bench = behind(4);
    let first = chunks(&mut bench)[0].0;
    answer(&mut bench, first, 1, 0);
    chunks(&mut bench);
    let before = bench.raft.kept_snapshot().expect("it keeps one");
    commit_by_one(&mut bench, 3);
    bench.compact();
    let after = bench.raft.kept_snapshot().expect("it keeps one");
    assert!(after.last.index > before.last.index);
    assert_eq!(bench.raft.counters().snapshots_sent, 2);
    assert_eq!(numbers(&mut bench), [0]);
    // An answer that speaks of the old one is late.
    let newest = newest(&mut bench);
    let stale = bench.raft.counters().stale;
    bench.hears(THREE, chunk_taken(2, newest, before.last.index.0, 5, 0));
    assert_eq!(bench.raft.counters().stale, stale + 1);
}

/// A follower without room is counted, and asked again; it harms nobody else.
pub fn a_follower_without_room_is_counted_and_asked_again() {
    let mut bench = behind(4);
    let last = bench.raft.kept_snapshot().expect("it keeps one").last.index.0;
    let mut number = chunks(&mut bench)[0].0;
    for time in 1..=3 {
        bench.hears(THREE, chunk_refused(2, number, last));
        assert_eq!(bench.raft.counters().snapshots_unwanted, time);
        assert_eq!(numbers(&mut bench), [0; 0], "it is asked at once");
        bench.raft.tick(HEARTBEAT);
        let again = chunks(&mut bench);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].1, 0);
        number = again[0].0;
    }
    answer(&mut bench, number, 1, 0);
    assert_eq!(numbers(&mut bench).len(), 4, "there is room now");
}

/// Without room for a snapshot of its own the leader keeps its log, counts that, and tries again
/// after a while.
pub fn a_leader_without_room_for_a_snapshot_keeps_its_log() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    bench.is_compacting = true;
    bench.shelf.has_room = false;
    let mut is_full = false;
    for _command in 0..40 {
        is_full |= bench.raft.propose(&[7; 30]).is_err();
        answer_appends(&mut bench, ONE);
    }
    assert!(is_full, "what node 3 lacks is kept, so the log fills up");
    assert!(bench.raft.base().index < Index(3));
    assert!(bench.raft.counters().snapshots_refused > 0);
    let refused = bench.raft.counters().snapshots_refused;
    bench.drive();
    assert_eq!(bench.raft.counters().snapshots_refused, refused, "it tries all the time");
    // There is room later.
    bench.shelf.has_room = true;
    for _beat in 0..=ELECTION_MAX.0 / HEARTBEAT.0 {
        bench.raft.tick(HEARTBEAT);
        answer_appends(&mut bench, ONE);
    }
    assert_eq!(bench.raft.counters().snapshots_saved, 1);
    assert!(bench.raft.propose(&[7; 30]).is_ok());
}

/// PITFALLS 20: "a follower that is down for ever must not fill the leader's log: snapshot it later".
pub fn a_follower_that_is_down_does_not_fill_the_log() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    bench.is_compacting = true;
    for command in 0..300 {
        let taken = bench.raft.propose(&[7; 30]);
        assert!(taken.is_ok(), "command {command}: {taken:?}");
        answer_appends(&mut bench, ONE);
        if command % 5 == 0 {
            bench.raft.tick(HEARTBEAT);
            answer_appends(&mut bench, ONE);
        }
    }
    assert_eq!(bench.raft.role(), RoleName::Leader);
    assert!(bench.raft.counters().snapshots_saved > 10);
    assert_eq!(bench.raft.counters().log_full, 0);
}

/// A new leader sends its own snapshot, under its own term.
pub fn a_new_leader_sends_its_own_snapshot() {
    let mut bench = behind(4);
    chunks(&mut bench);
    bench.answers(ONE, heartbeat(3, bench.raft.last(), 0));
    assert!(!bench.raft.is_sending_snapshot() && numbers(&mut bench).is_empty());
    bench.pass_unseen(Ticks(ELECTION_MIN.0));
    bench.get_elected();
    let term = bench.raft.term().0;
    let number = newest(&mut bench);
    bench.hears(THREE, mismatch(term, number, at(1, 1)));
    let mut sent = None;
    bench.drive_into(&mut |_, bytes| {
        if let Ok((_, Message::Chunk(chunk))) = wire::decode(bytes, &Checksum) {
            sent = Some((chunk.term.0, chunk.number));
        }
    });
    assert_eq!(sent, Some((term, 0)));
    assert_eq!(bench.raft.counters().too_far_behind, 1, "a probe came too far back");
}

/// A leader that steps down sends no chunk any more.
pub fn a_deposed_leader_sends_no_chunk() {
    let mut bench = behind(4);
    let first = chunks(&mut bench)[0].0;
    answer(&mut bench, first, 1, 0);
    bench.hears(ONE, heartbeat(9, bench.raft.last(), 0));
    assert_eq!(numbers(&mut bench), [0; 0]);
}

/// Section 7 as a whole, on a network that loses, doubles and reorders datagrams: whoever was away
/// comes back, and has the same state as everybody.
pub fn who_was_away_is_brought_back_by_a_snapshot() {
    for seed in 1..=6 {
        let mut network = Network::<3>::new(seed);
        network.form();
        for node in &mut network.nodes {
            (node.is_compacting, node.disk.is_forgetful) = (true, true);
            node.shelf.padding = 300;
        }
        let leader = network.leader().expect("it has formed");
        let away = (leader + 1) % 3;
        network.isolate(away);
        for command in 0..60_u8 {
            network.propose(&[command; 20]);
            network.pass(Ticks(1));
        }
        assert!(network.nodes[leader].raft.base() > network.nodes[away].raft.last());
        network.heal();
        (network.loss_percent, network.double_percent, network.late_percent) = (20, 10, 20);
        network.pass(Ticks(20 * ELECTION_MAX.0));
        (network.loss_percent, network.double_percent, network.late_percent) = (0, 0, 0);
        network.settle();
        assert!(network.nodes[away].raft.counters().snapshots_installed > 0, "seed {seed}");
        for node in &network.nodes {
            assert_eq!(node.violation, None);
            assert_eq!(node.applied_count, 60, "seed {seed}");
            assert_eq!(node.applied_digest, network.nodes[leader].applied_digest);
        }
    }
}
