//! How a leader brings its log to the others (figure 2, "leaders"; section 5.3), and what it makes
//! of lost, late and doubled answers (loss).

use coracle::message::{AppendOutcome, AppendReply, Message};
use coracle::{EntryKind, ProposeError, RoleName, Term, Ticks};

use crate::harness::{
    Bench, FIVE, FOUR, HEARTBEAT, Large, Network, ONE, Persisting, Sent, THREE, at, entries,
    matched, mismatch, voters,
};

/// Figure 2, leaders: "if command received from client: append entry to local log"; "if last log
/// index >= nextIndex for a follower: send AppendEntries RPC with log entries starting at
/// nextIndex".
pub fn a_command_is_sent_to_every_follower_behind_the_entry_before_it() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    assert_eq!(entry, at(2, 3));
    let sent = bench.drive();
    for peer in [ONE, THREE] {
        let append = sent.append_to(peer).expect("the command is sent");
        assert_eq!((append.term, append.prev), (Term(2), at(2, 2)));
        let (term, kind, data, _) = entries(append.run).last().expect("an entry");
        assert_eq!((term, kind, data), (2, EntryKind::Command, &b"command"[..]));
    }
}

/// Section 5.3: commands that wait go out together, in order.
pub fn waiting_commands_share_a_datagram() {
    let mut bench = Bench::leader(&[1]);
    for command in [b"a", b"b", b"c"] {
        bench.propose(command);
    }
    let sent = bench.drive();
    assert_eq!(sent.count(), 2, "one datagram to each follower");
    let append = sent.append_to(ONE).expect("the commands are sent");
    assert!(entries(append.run).map(|(_, _, data, _)| data).eq([b"a", b"b", b"c"]));
}

/// Thesis 10.2.1; persist before send: the followers write while the leader does.
pub fn a_leaders_appends_leave_before_its_own_write() {
    let mut bench = Bench::leader(&[1]);
    bench.persisting = Persisting::Never;
    bench.propose(b"command");
    let sent = bench.drive();
    assert!(sent.append_to(ONE).is_some_and(|append| !append.run.is_empty()));
    assert!(sent.append_to(THREE).is_some_and(|append| !append.run.is_empty()));
}

/// Thesis 10.2.1; persist before send: the leader is one of the majority only once its own disk has the entry.
pub fn a_leader_does_not_count_itself_before_its_disk_has_the_entry() {
    let mut bench = Bench::leader(&[1]);
    bench.persisting = Persisting::Submitted;
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert!(!bench.has_applied(entry), "one follower and no disk is one of three");
    bench.finish(0);
    bench.drive();
    assert!(bench.has_applied(entry));
}

/// The same from the other side: a majority of followers commits without the leader's disk.
pub fn a_majority_of_followers_commits_before_the_leaders_disk() {
    let mut bench = Bench::leader(&[1]);
    bench.persisting = Persisting::Submitted;
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.accepts(&sent, THREE);
    bench.drive();
    assert!(bench.has_applied(entry));
}

/// Figure 2, leaders: "if AppendEntries fails because of log inconsistency: decrement nextIndex and
/// retry", here by the hint at once.
pub fn a_refused_append_is_tried_again_further_back() {
    let (mut bench, sent) = Bench::new_leader(&[1, 1, 2, 2]);
    let number = sent.append_number_to(ONE).expect("the leader speaks");
    let sent = bench.answers(ONE, mismatch(3, number, at(1, 2)));
    let append = sent.append_to(ONE).expect("it tries again");
    assert_eq!(append.prev, at(1, 2));
    assert!(entries(append.run).map(|(term, ..)| term).eq([2, 2, 3]));
}

/// Section 5.3: where the hint names an entry that the leader does not have, it goes behind the
/// whole term.
pub fn a_hint_of_a_foreign_term_skips_that_term() {
    let (mut bench, sent) = Bench::new_leader(&[1, 1, 4, 4]);
    let number = sent.append_number_to(ONE).expect("the leader speaks");
    let sent = bench.answers(ONE, mismatch(5, number, at(3, 4)));
    assert_eq!(sent.append_to(ONE).map(|append| append.prev), Some(at(1, 2)));
}

/// Figure 2, leaders: "if successful: update nextIndex and matchIndex for follower".
pub fn an_acknowledged_entry_is_not_sent_again() {
    let mut bench = Bench::leader(&[1]);
    bench.commit(b"first");
    bench.propose(b"second");
    let append_sent = bench.drive();
    let append = append_sent.append_to(ONE).expect("the command is sent");
    assert_eq!(append.prev, at(2, 3));
    assert_eq!(entries(append.run).count(), 1);
}

/// PITFALLS 5: `matched` never falls. A refusal that comes late, to an append from before, moves
/// nothing back behind what was acknowledged.
pub fn a_late_refusal_does_not_undo_an_acknowledgement() {
    let mut bench = Bench::leader(&[1]);
    let old = bench.beats();
    let number = old.append_number_to(ONE).expect("a heartbeat");
    bench.accepts(&old, ONE);
    bench.accepts(&old, THREE);
    bench.commit(b"first");
    let sent = bench.reacts(ONE, mismatch(2, number, at(1, 1)));
    assert!(sent.append_to(ONE).is_none_or(|append| append.prev.index.0 >= 3));
    bench.propose(b"second");
    let sent = bench.drive();
    assert_eq!(sent.append_to(ONE).map(|append| append.prev.index.0), Some(3));
}

/// PITFALLS 5: a refusal that comes twice, or after a later one, does not have everything sent
/// again: `next` does not thrash.
pub fn a_doubled_refusal_is_answered_once() {
    // One hint names an entry of the leader's own, the other one of a term that it has not got.
    for hint in [at(1, 2), at(3, 4)] {
        let (mut bench, sent) = Bench::new_leader(&[1, 1, 4, 4]);
        let number = sent.append_number_to(ONE).expect("the leader speaks");
        let refusal = mismatch(5, number, hint);
        let sent = bench.answers(ONE, refusal);
        assert_eq!(sent.append_to(ONE).map(|append| append.prev), Some(at(1, 2)));
        for _copy in 0..3 {
            assert!(bench.reacts(ONE, refusal).append_to(ONE).is_none());
        }
        bench.accepts(&sent, ONE);
        bench.drive();
        assert!(bench.reacts(ONE, refusal).append_to(ONE).is_none());
    }
}

/// Loss: what is sent again after a refusal may be lost again. Then it goes once more at once, by
/// itself, and when that too is refused, since there is no room for it, the timer and not its
/// refusals sends it; for that no answer is needed.
pub fn what_is_refused_twice_is_sent_again_without_a_heartbeat_in_between() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"a");
    bench.drive();
    bench.propose(b"b");
    let lost = bench.drive();
    let number = lost.append_number_to(ONE).expect("the command is sent");
    let again = bench.answers(ONE, mismatch(2, number, at(2, 2)));
    assert_eq!(again.append_to(ONE).map(|append| append.prev), Some(at(2, 2)));
    bench.propose(b"c");
    let after = bench.drive();
    let number = after.append_number_to(ONE).expect("commands flow");
    let alone = bench.answers(ONE, mismatch(2, number, at(2, 2)));
    let number = alone.append_number_to(ONE).expect("it is sent at once");
    let (prev, count) = (alone.append_to(ONE))
        .map_or_else(|| panic!("an append"), |append| (append.prev, entries(append.run).count()));
    assert_eq!((prev, count), (at(2, 2), 3));
    let refused = bench.answers(ONE, mismatch(2, number, at(2, 2)));
    assert!(refused.append_to(ONE).is_none(), "it arrived, and was not taken");
    let later = bench.pass(HEARTBEAT);
    assert!(later.appends_to(ONE).any(|(_, append)| !append.run.is_empty()));
}

/// PITFALLS 5: an acknowledgement that was overtaken says less than is known, and takes nothing
/// back.
pub fn an_overtaken_acknowledgement_takes_nothing_back() {
    let mut bench = Bench::leader_of_five(&[1]);
    let first = bench.propose(b"first");
    let sent = bench.drive();
    let number = sent.append_number_to(ONE).expect("the command is sent");
    bench.answers(ONE, matched(2, number, 3));
    bench.answers(ONE, matched(2, number, 2));
    bench.answers(ONE, matched(2, number, 1));
    assert!(!bench.has_applied(first));
    bench.answers(FOUR, matched(2, 1, 3));
    assert!(bench.has_applied(first), "one, four and the leader have it");
}

/// Loss: an acknowledgement counts once, however often it arrives.
pub fn a_doubled_acknowledgement_counts_once() {
    let mut bench = Bench::leader_of_five(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    let number = sent.append_number_to(ONE).expect("the command is sent");
    for _copy in 0..4 {
        bench.answers(ONE, matched(2, number, 3));
    }
    assert!(!bench.has_applied(entry), "two of five have it");
}

/// PITFALLS 5: an acknowledgement of an earlier term proves nothing: the log may have changed since.
pub fn an_acknowledgement_of_an_earlier_term_proves_nothing() {
    let mut bench = Bench::leader(&[1, 2]);
    let entry = bench.propose(b"command");
    bench.drive();
    for peer in [ONE, THREE] {
        bench.reacts(peer, matched(2, 1, entry.index.0));
    }
    assert!(!bench.has_applied(entry));
}

/// PITFALLS 23: an acknowledgement of what was never sent is dropped.
pub fn an_acknowledgement_beyond_the_log_is_ignored() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    let number = sent.append_number_to(ONE).expect("the command is sent");
    for (echo, index) in [(number, u64::MAX), (number, 4), (number + 1000, 3), (0, 3)] {
        bench.reacts(ONE, matched(2, echo, index));
        assert!(!bench.has_applied(entry), "echo {echo} for entry {index} is believed");
        assert_eq!(bench.raft.commit().0, 2);
        assert_eq!(bench.violation, None);
    }
}

/// Loss: what is not acknowledged is sent again, by a timer.
pub fn an_append_that_is_not_answered_is_sent_again() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, THREE);
    bench.drive();
    let sent = bench.pass(HEARTBEAT);
    let again = sent.appends_to(ONE).find(|(_, append)| !append.run.is_empty());
    let (_, append) = again.expect("it is sent again within a heartbeat interval");
    assert_eq!(append.prev, at(2, 2));
    assert!(sent.appends_to(THREE).all(|(_, append)| append.run.is_empty()), "it has answered");
}

/// Section 5.3: "the leader retries AppendEntries RPCs indefinitely", and yet does not flood who is
/// down.
pub fn a_silent_follower_is_tried_for_ever_but_not_flooded() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"command");
    bench.drive();
    for _beat in 0..30 {
        let sent = bench.beats();
        let tries = sent.appends_to(ONE).count();
        assert!((1..=4).contains(&tries), "{tries} datagrams in one heartbeat interval");
        bench.accepts(&sent, THREE);
        bench.drive();
    }
    let sent = bench.beats();
    assert!(sent.appends_to(ONE).any(|(_, append)| !append.run.is_empty()));
}

/// Loss: where it is usual, four losses in a row are no sign that a follower is down.
pub fn the_wait_doubles_only_after_every_fourth_silence() {
    let mut bench = Bench::leader(&[1]);
    bench.commit(b"measured");
    bench.propose(b"command");
    bench.drive();
    let mut tries = |ticks| {
        let sent = bench.pass(Ticks(ticks));
        sent.appends_to(ONE).filter(|(_, append)| !append.run.is_empty()).count()
    };
    // The round trip is one tick at most, and its variation half of that: the wait is three ticks.
    assert_eq!([tries(4 * 3), tries(4 * 6)], [4, 4]);
}

/// Loss: a datagram after a lost one carries what that one carried.
pub fn a_datagram_heals_the_loss_of_the_one_before() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"first");
    bench.drive();
    bench.propose(b"second");
    let sent = bench.drive();
    let append = sent.append_to(ONE).expect("the second command is sent");
    assert_eq!(append.prev, at(2, 2));
    assert!(entries(append.run).map(|(_, _, data, _)| data).eq([&b"first"[..], b"second"]));
}

/// Loss: and while there is some, it carries all that was not acknowledged, if that is short.
pub fn a_datagram_heals_the_loss_of_several_before() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"first");
    bench.drive();
    let again = bench.pass(HEARTBEAT);
    bench.accepts(&again, ONE);
    bench.drive();
    for command in [b"2", b"3"] {
        bench.propose(command);
        bench.drive();
    }
    bench.propose(b"4");
    let sent = bench.drive();
    let append = sent.append_to(ONE).expect("the last command is sent");
    assert_eq!(append.prev, at(2, 3));
    assert!(entries(append.run).map(|(_, _, data, _)| data).eq([b"2", b"3", b"4"]));
}

/// Loss: no more bytes than the window are on their way to a follower.
pub fn what_is_in_flight_keeps_to_the_window() {
    let mut memory = Large::fresh();
    let mut bench = Bench::stored(&mut memory, voters(3), 1, None, &[1]);
    bench.disk.is_forgetful = true;
    bench.lead();
    let (mut proposed, mut bytes) = (0, 0);
    loop {
        match bench.raft.propose(&[7; 100]) {
            Ok(_) => proposed += 1,
            Err(error) => {
                assert_eq!(error, ProposeError::LogFull);
                break;
            }
        }
        let sent = bench.drive();
        bytes += sent.appends_to(ONE).map(|(_, append)| append.run.len()).sum::<usize>();
    }
    assert!(proposed >= 20, "the window must not be what ends it");
    // The window is 256 bytes; the datagram that fills it may pass it, and one may repeat another.
    assert!(bytes <= 256 + 2 * 256, "{bytes} bytes are in flight");
}

/// Loss: and they flow on as soon as one is acknowledged.
pub fn a_full_window_opens_with_an_acknowledgement() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    let mut all = Sent::new();
    for _command in 0..7 {
        bench.propose(&[7; 60]);
        let sent = bench.drive();
        sent.datagrams().for_each(|datagram| all.push(datagram.to, datagram.bytes));
    }
    bench.accepts(&all, ONE);
    let sent = bench.drive();
    assert!(sent.append_to(ONE).is_some_and(|append| !append.run.is_empty()));
    assert!(sent.append_to(THREE).is_none(), "its window is still full");
}

/// PITFALLS 24: heartbeats never queue behind bulk data.
pub fn a_full_window_holds_no_heartbeat_back() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    for _command in 0..7 {
        bench.propose(&[7; 60]);
        bench.drive();
    }
    for _beat in 0..3 {
        let sent = bench.beats();
        assert!(sent.has_to(ONE), "a heartbeat waits for the window");
        bench.accepts(&sent, THREE);
        bench.drive();
    }
}

/// Loss: the commit index rides on the next append.
pub fn the_commit_index_rides_on_the_next_append() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"first");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.accepts(&sent, THREE);
    assert!(bench.drive().is_empty(), "a commit alone is no reason for a datagram");
    bench.propose(b"second");
    let sent = bench.drive();
    assert_eq!(sent.append_to(ONE).map(|append| append.commit.0), Some(3));
}

/// Loss: or on the next heartbeat, and the followers apply then.
pub fn the_commit_index_rides_on_the_next_heartbeat() {
    let mut bench = Bench::leader(&[1]);
    bench.commit(b"first");
    let sent = bench.beats();
    let append = sent.append_to(ONE).expect("a heartbeat");
    assert_eq!((append.prev, append.commit.0), (at(2, 3), 3));
}

/// Loss; figures: an append to and an answer from each of two followers.
pub fn a_lone_command_costs_four_peer_messages() {
    let mut network = Network::<3>::new(12);
    network.form();
    network.propose(b"warm");
    network.deliver();
    // Not at the moment of a heartbeat.
    network.pass(Ticks(HEARTBEAT.0 + 2));
    for _command in 0..5 {
        let before = network.sent_count;
        let entry = network.propose(b"command");
        network.deliver();
        let leader = network.leader().expect("it has settled");
        assert!(network.nodes[leader].has_applied(entry));
        assert_eq!(network.sent_count - before, 4);
    }
}

/// Section 5.3, leader append-only: "a leader never overwrites or deletes entries in its log".
pub fn a_leader_removes_nothing_from_its_log() {
    let mut bench = Bench::leader(&[1, 1, 1]);
    let length = bench.disk.log.len();
    let before = bench.disk.log.clone();
    bench.commit(b"command");
    let sent = bench.beats();
    let number = sent.append_number_to(ONE).expect("a heartbeat");
    bench.reacts(ONE, mismatch(2, number, at(1, 1)));
    let run = bench.run(2, &[2]);
    bench.reacts(THREE, crate::harness::append(2, at(1, 1), 0, run.bytes()));
    bench.commit(b"command");
    assert_eq!(bench.disk.log[..length], before[..]);
    assert_eq!(bench.raft.role(), RoleName::Leader);
}

/// Section 5.3: a follower that is behind is brought up to date while the others go on.
pub fn a_follower_that_was_down_catches_up() {
    let mut network = Network::<3>::new(13);
    network.form();
    let leader = network.leader().expect("it has settled");
    let lost = (leader + 1) % 3;
    network.isolate(lost);
    for count in 0..12_u8 {
        network.propose(&[count; 16]);
        network.pass(HEARTBEAT);
    }
    network.heal();
    network.pass(Ticks(20 * HEARTBEAT.0));
    assert!(network.is_settled());
    let digest = network.nodes[leader].applied_digest;
    assert!(network.nodes.iter().all(|node| node.applied_digest == digest));
}

/// Loss; PITFALLS 5: with loss, duplicates and reordering everything still arrives, and every
/// node applies the same.
pub fn commands_arrive_through_loss_duplication_and_reordering() {
    let mut network = Network::<3>::new(14);
    network.form();
    network.nodes.iter_mut().for_each(|node| node.disk.is_forgetful = true);
    (network.loss_percent, network.double_percent, network.late_percent) = (20, 20, 30);
    let mut done = 0;
    for count in 0..150_u8 {
        if let Some(leader) = network.leader()
            && network.nodes[leader].raft.propose(&[count; 3]).is_ok()
        {
            done += 1;
        }
        network.pass(Ticks(5));
        for node in &mut network.nodes {
            node.raft.compact(coracle::Index(u64::MAX));
        }
    }
    assert!(done > 100, "{done} commands were taken");
    (network.loss_percent, network.double_percent, network.late_percent) = (0, 0, 0);
    network.settle();
    let (count, digest) = (network.nodes[0].applied_count, network.nodes[0].applied_digest);
    assert!(count > 100);
    for node in &network.nodes {
        assert_eq!((node.applied_count, node.applied_digest), (count, digest));
        assert_eq!(node.violation, None);
    }
}

/// Loss: an answer that says only that the term is over is no acknowledgement.
pub fn a_stale_answer_acknowledges_nothing() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    for peer in [ONE, THREE] {
        let echo = sent.append_number_to(peer).expect("the command is sent");
        let reply = AppendReply { term: Term(2), echo, outcome: AppendOutcome::Stale };
        bench.reacts(peer, Message::AppendReply(reply));
    }
    assert!(!bench.has_applied(entry));
}

/// Formation: who is no member acknowledges nothing.
pub fn an_acknowledgement_of_a_stranger_is_dropped() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    bench.drive();
    bench.may_hear(FIVE, matched(2, 1, entry.index.0));
    bench.may_hear(FOUR, matched(2, 1, entry.index.0));
    bench.drive();
    assert!(!bench.has_applied(entry));
}
