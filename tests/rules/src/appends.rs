//! What a follower does with an append (figure 2, "AppendEntries RPC, receiver implementation";
//! section 5.3).

use coracle::message::AppendOutcome;
use coracle::{EntryKind, Term};

use crate::harness::{
    Bench, ONE, Persisting, Run, Sent, THREE, append, at, heartbeat, matched, terms,
};

/// Figure 2, receiver 1: "reply false if term < currentTerm".
pub fn an_append_of_an_earlier_term_is_refused() {
    let mut bench = Bench::of(3, 5, None, &[1, 2]);
    let before = bench.state();
    let run = bench.run(3, &[4]);
    let sent = bench.answers(ONE, append(4, at(2, 2), 2, run.bytes()));
    let reply = sent.append_reply_to(ONE).expect("the old leader is told");
    assert_eq!((reply.term, reply.outcome), (Term(5), AppendOutcome::Stale));
    assert_eq!(bench.state(), before, "nothing is taken, nothing committed");
}

/// Figure 2, receiver 2: "reply false if log doesn't contain an entry at prevLogIndex whose term
/// matches prevLogTerm", here because there is none.
pub fn an_append_behind_a_gap_is_refused() {
    let mut bench = Bench::follower(&[1, 2]);
    let run = bench.run(6, &[2]);
    let sent = bench.answers(ONE, append(2, at(2, 5), 6, run.bytes()));
    assert!(mismatch(&sent), "it has no entry 5");
    assert_eq!(bench.disk.last().0, 2);
    assert_eq!(bench.raft.commit().0, 0, "an append that does not match commits nothing");
}

/// Figure 2, receiver 2, here because the entry is another one.
pub fn an_append_behind_another_entry_is_refused() {
    let mut bench = Bench::follower(&[1, 2, 2]);
    let run = bench.run(4, &[3]);
    let sent = bench.answers(ONE, append(3, at(3, 3), 4, run.bytes()));
    assert!(mismatch(&sent), "its entry 3 is of term 2");
    assert_eq!(terms(&bench.disk.log), [1, 2, 2], "a refusal removes nothing");
    assert_eq!(bench.raft.commit().0, 0);
}

/// Figure 2, receiver 3: "if an existing entry conflicts with a new one (same index but different
/// terms), delete the existing entry and all that follow it".
pub fn a_conflicting_entry_goes_and_all_that_follow_it() {
    let mut bench = Bench::follower(&[1, 2, 2, 2, 2]);
    let run = bench.run(3, &[3]);
    let sent = bench.answers(ONE, append(3, at(2, 2), 0, run.bytes()));
    assert_eq!(accepted(&sent), Some(3));
    assert_eq!(terms(&bench.disk.log), [1, 2, 3]);
    assert_eq!(bench.raft.last(), at(3, 3));
}

/// Figure 2, receiver 4: "append any new entries not already in the log".
pub fn new_entries_are_appended() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1, 2, 2]);
    let sent = bench.answers(ONE, append(2, at(1, 1), 0, run.bytes()));
    assert_eq!(accepted(&sent), Some(4));
    assert_eq!(terms(&bench.disk.log), [1, 1, 2, 2]);
    assert!(bench.disk.log.ends_with(run.bytes()), "the disk has the leader's bytes");
}

/// Figure 2, receiver 3 and 4, together: what is there stays, what is new is added.
pub fn an_append_that_overlaps_adds_only_what_is_new() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    let writes = bench.disk.writes;
    let run = bench.run(2, &[1, 1, 1]);
    let sent = bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    assert_eq!(accepted(&sent), Some(4));
    assert_eq!(terms(&bench.disk.log), [1, 1, 1, 1]);
    assert_eq!(bench.disk.writes, writes + 1);
}

/// Figure 2, receiver 5: "if leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index
/// of last new entry)", here by the leader's commit.
pub fn a_follower_commits_what_the_leader_has_committed() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1, 1, 1]);
    bench.answers(ONE, append(1, at(1, 1), 3, run.bytes()));
    assert!(bench.has_applied(at(1, 2)) && bench.has_applied(at(1, 3)));
    assert!(!bench.has_applied(at(1, 4)), "the leader has not committed it");
}

/// Figure 2, receiver 5, by the last new entry; PITFALLS 3: what lies behind it may be stale.
pub fn a_follower_commits_nothing_behind_the_last_new_entry() {
    let mut bench = Bench::follower(&[1, 1, 1, 1, 1]);
    let run = bench.run(3, &[1]);
    bench.answers(ONE, append(2, at(1, 2), 5, run.bytes()));
    assert_eq!(bench.raft.commit().0, 3, "entries 4 and 5 are not known to be the leader's");
    assert!(bench.has_applied(at(1, 3)) && !bench.has_applied(at(1, 4)));
}

/// PITFALLS 3: the last new entry of a heartbeat is the one before.
pub fn a_heartbeat_commits_at_most_the_entry_before() {
    let mut bench = Bench::follower(&[1, 1, 1, 1]);
    bench.answers(ONE, heartbeat(2, at(1, 2), 4));
    assert_eq!(bench.raft.commit().0, 2);
    assert!(bench.has_applied(at(1, 2)) && !bench.has_applied(at(1, 3)));
}

/// Figure 2: matchIndex is what is *known* to be replicated, so an answer must not count entries
/// that the leader has not spoken of.
pub fn an_acknowledgement_covers_only_what_the_leader_has_spoken_of() {
    let mut bench = Bench::follower(&[1, 1, 1, 1, 1]);
    let sent = bench.answers(ONE, heartbeat(2, at(1, 2), 0));
    assert_eq!(accepted(&sent), Some(2), "entries 3 to 5 may be stale");
    let run = bench.run(3, &[1]);
    let sent = bench.answers(ONE, append(2, at(1, 2), 0, run.bytes()));
    assert_eq!(accepted(&sent), Some(3), "entries 4 and 5 may be stale");
}

/// PITFALLS 2: a duplicate changes nothing, not even on the disk.
pub fn a_duplicate_append_writes_nothing() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1, 1, 1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let before = bench.state();
    let sent = bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    assert_eq!(accepted(&sent), Some(4));
    assert_eq!(bench.state(), before);
}

/// PITFALLS 2; section 5.3: an append that was overtaken by a longer one truncates nothing, or it
/// would take back what was acknowledged.
pub fn a_shorter_stale_append_truncates_nothing() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1, 1, 1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let before = bench.state();
    let stale = bench.run(2, &[1]);
    let sent = bench.answers(ONE, append(1, at(1, 1), 0, stale.bytes()));
    assert!(accepted(&sent).is_some());
    assert_eq!(bench.state(), before);
    assert_eq!(terms(&bench.disk.log), [1, 1, 1, 1]);
}

/// PITFALLS 5: an answer that was overtaken says no less than the ones before it.
pub fn an_acknowledgement_in_one_term_never_falls() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1, 1, 1]);
    assert_eq!(accepted(&bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()))), Some(4));
    assert_eq!(accepted(&bench.answers(ONE, heartbeat(1, at(1, 1), 0))), Some(4));
}

/// Section 5.3: the answer waits until the entries are durable (figure 2, persistent state).
pub fn an_acknowledgement_waits_for_the_disk() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1]);
    let sent = bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    assert!(accepted(&sent).is_none_or(|index| index == 1), "the disk does not have entry 2");
    bench.finish(0);
    assert_eq!(accepted(&bench.drive()), Some(2));
}

/// PITFALLS 24; the host: a heartbeat is answered while the disk is slow, with what it has.
pub fn a_heartbeat_is_answered_while_the_disk_is_busy() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let run = bench.run(2, &[1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let sent = bench.answers(ONE, heartbeat(1, at(1, 2), 0));
    assert_eq!(accepted(&sent), Some(1), "entry 2 is not durable, but the follower is alive");
    bench.finish(0);
    assert_eq!(accepted(&bench.drive()), Some(2));
}

/// Loss: an answer names the append that it answers.
pub fn an_answer_repeats_the_number_of_the_append() {
    let mut bench = Bench::follower(&[1]);
    for number in [7, 9, 8] {
        bench.hears_number(ONE, number, heartbeat(1, at(1, 1), 0));
        let reply = bench.drive().append_reply_to(ONE).expect("an answer");
        assert_eq!(reply.echo, number);
    }
    bench.hears_number(ONE, 10, heartbeat(1, at(1, 5), 0));
    assert_eq!(bench.drive().append_reply_to(ONE).map(|reply| reply.echo), Some(10));
}

/// Section 5.3, the faster way back: the hint is an entry that the follower has, before the one that
/// did not match and of no later term.
pub fn a_refusal_hints_at_an_entry_that_may_match() {
    let mut bench = Bench::follower(&[1, 2, 2, 3, 3, 3]);
    let sent = bench.answers(ONE, heartbeat(4, at(2, 5), 0));
    assert_eq!(hint(&sent), Some((2, 3)), "no entry of term 3 can match");
    let sent = bench.answers(ONE, heartbeat(4, at(4, 9), 0));
    assert_eq!(hint(&sent), Some((3, 6)), "there is none behind the last");
}

/// Figure 2, followers: entries are applied in order, each once, when they are committed.
pub fn committed_commands_are_applied_once_and_in_order() {
    let mut bench = Bench::follower(&[1]);
    let run = bench.run(2, &[1, 1, 1, 1]);
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    assert_eq!(bench.applied_count, 0);
    for commit in [1, 2, 2, 5, 3] {
        bench.answers(ONE, heartbeat(1, at(1, 5), commit));
    }
    let indices = bench.applied.iter().map(|entry| entry.index.0);
    assert!(indices.eq(2..=5), "each once, in order, and no configuration among them");
}

/// PITFALLS invariant 7: the commit index never falls, whatever an old datagram says.
pub fn the_commit_index_never_falls() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 3), 3));
    bench.answers(ONE, heartbeat(1, at(1, 3), 1));
    assert_eq!(bench.raft.commit().0, 3);
    assert_eq!(bench.applied_count, 2);
}

/// PITFALLS 2, invariant 8: what is committed is not removed, whoever asks for it.
pub fn a_committed_entry_is_never_truncated() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 3), 3));
    let run = bench.run(2, &[2]);
    bench.reacts(ONE, append(2, at(1, 1), 3, run.bytes()));
    assert_eq!(terms(&bench.disk.log), [1, 1, 1]);
    assert_eq!(bench.raft.last(), at(1, 3));
}

/// Section 5.2, election safety: a follower of one leader takes nothing from another one that
/// claims the same term.
pub fn a_second_leader_of_the_same_term_is_not_believed() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(2, at(1, 1), 0));
    let run = bench.run(2, &[2]);
    let sent = bench.reacts(THREE, append(2, at(1, 1), 2, run.bytes()));
    assert!(sent.is_empty());
    assert_eq!(bench.disk.last().0, 1);
    assert_eq!(bench.raft.leader(), Some(ONE));
}

/// Section 5.3: an acknowledgement that is addressed to a follower means nothing to it.
pub fn a_follower_ignores_acknowledgements() {
    let mut bench = Bench::follower(&[1, 1]);
    let before = bench.state();
    let sent = bench.reacts(ONE, matched(1, 1, 2));
    assert!(sent.is_empty());
    assert_eq!(bench.state(), before);
}

/// PITFALLS 20: a follower whose log is full takes what fits, acknowledges that and no more, and
/// still has room for the first entry of the next leader.
pub fn a_follower_with_a_full_log_takes_what_fits() {
    let mut bench = Bench::limited(640, 16);
    let mut index = 1;
    for _append in 0..20 {
        let run = bench.run(index + 1, &[1, 1, 1]);
        let sent = bench.reacts(ONE, append(1, at(1, index), 0, run.bytes()));
        let upto = accepted(&sent).expect("an answer");
        assert_eq!((upto, bench.disk.last().0), (bench.raft.last().index.0, upto));
        if upto == index {
            break;
        }
        index = upto;
    }
    assert!((8..16).contains(&index), "{index} entries in sixteen slots");
    let mut first = Run::new();
    first.push(2, EntryKind::Noop, &[]);
    let sent = bench.answers(THREE, append(2, at(1, index), 0, first.bytes()));
    assert!(sent.append_reply_to(THREE).is_some());
    assert_eq!(bench.raft.last(), at(2, index + 1));
    assert!(bench.violation.is_none());
}

/// The index up to which the leader, node 1, is told that the logs are equal.
fn accepted(sent: &Sent) -> Option<u64> {
    match sent.append_reply_to(ONE)?.outcome {
        AppendOutcome::Matched(index) => Some(index.0),
        AppendOutcome::Mismatch(_) | AppendOutcome::Stale => None,
    }
}

fn mismatch(sent: &Sent) -> bool {
    hint(sent).is_some()
}

fn hint(sent: &Sent) -> Option<(u64, u64)> {
    match sent.append_reply_to(ONE)?.outcome {
        AppendOutcome::Mismatch(hint) => Some((hint.term.0, hint.index.0)),
        AppendOutcome::Matched(_) | AppendOutcome::Stale => None,
    }
}
