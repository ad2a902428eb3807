//! Figures 7 and 8 of the paper, played through.

use coracle::{Index, Ticks};

use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, HEARTBEAT, Network, ONE, THREE, append, at, granted,
    matched, pre_granted, terms, vote,
};
use coracle::Term;
use coracle::message::{Message, VoteReply};

/// The log of the leader of term 8 in figure 7.
const LEADER: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];

/// Figure 7: "a follower may be missing entries" (a).
pub fn figure_7_a_follower_that_misses_an_entry_gets_it() {
    figure_7(6, &[1, 1, 1, 4, 4, 5, 5, 6, 6]);
}

/// Figure 7: "a follower may be missing entries" (b).
pub fn figure_7_b_follower_that_misses_many_entries_gets_them() {
    figure_7(4, &[1, 1, 1, 4]);
}

/// Figure 7: "may have extra uncommitted entries" (c).
pub fn figure_7_c_follower_with_an_extra_entry_loses_it() {
    figure_7(6, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]);
}

/// Figure 7: "may have extra uncommitted entries" (d).
pub fn figure_7_d_follower_with_entries_of_a_later_term_loses_them() {
    figure_7(7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]);
}

/// Figure 7: "or both" (e).
pub fn figure_7_e_follower_with_other_entries_is_repaired() {
    figure_7(4, &[1, 1, 1, 4, 4, 4, 4]);
}

/// Figure 7: "or both" (f).
pub fn figure_7_f_follower_with_many_other_entries_is_repaired() {
    figure_7(3, &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]);
}

/// The leader of term 8 brings a follower to its log, byte for byte.
fn figure_7(term: u64, follower: &[u64]) {
    let mut network = Network::<3>::new(7);
    network.start_from([(7, LEADER), (7, LEADER), (term, follower)]);
    // The third is not there while the first is elected by the second.
    network.isolate(2);
    elect(&mut network, 0);
    assert_eq!(network.nodes[0].raft.term(), Term(8));
    network.deliver();
    network.heal();
    let before = network.sent_count;
    network.pass_on(0, HEARTBEAT);
    network.deliver();
    network.pass_on(0, HEARTBEAT);
    network.deliver();
    let mut log: heapless::Vec<u64, 16> = heapless::Vec::from_slice(LEADER).expect("ten entries");
    log.push(8).expect("and one more");
    for node in &network.nodes {
        assert_eq!(terms(&node.disk.log), log[..]);
        assert_eq!(node.disk.log, network.nodes[0].disk.log);
    }
    network.pass_on(0, HEARTBEAT);
    network.deliver();
    let digest = network.nodes[0].applied_digest;
    for node in &network.nodes {
        assert_eq!((node.raft.commit(), node.applied_digest), (Index(11), digest));
    }
    // One probe for each term that differs at most, and an answer to each.
    let spent = network.sent_count - before;
    assert!(spent <= 26, "{spent} datagrams to repair a log");
}

/// Lets a node alone see time until it leads.
fn elect<const N: usize>(network: &mut Network<N>, place: usize) {
    for _tick in 0..4 * ELECTION_MAX.0 {
        if network.leads(place) {
            return;
        }
        network.pass_on(place, Ticks(1));
        network.deliver();
    }
    panic!("node {place} is not elected");
}

/// Figure 8, (a) to (c): S1 (our node) leads term 2 and has its entry on S2; it crashes; S5 leads
/// term 3 with another entry; S1 is back, leads term 4 and brings the entry of term 2 to S3. Now a
/// majority has it, and yet it is not committed.
fn figure_8_until_c() -> Bench {
    let mut bench = Bench::follower_of_five(&[1]);
    let [s2, s3] = [ONE, THREE];
    // (a)
    let sent = bench.get_elected();
    assert_eq!(bench.disk.hard.term, Term(2));
    let number = sent.append_number_to(s2).expect("it leads");
    bench.answers(s2, matched(2, number, 2));
    assert_eq!(bench.raft.commit(), Index(0), "two of five have entry 2");
    // (b)
    bench.restart();
    // (c): S3 has voted in term 3 and says so; S2 and S3 elect S1 in term 4.
    bench.campaign();
    let told = VoteReply { term: Term(3), asked: Term(3), granted: false };
    bench.answers(s3, Message::PreVoteReply(told));
    bench.campaign();
    for peer in [s2, s3] {
        bench.reacts(peer, pre_granted(3));
    }
    let mut sent = crate::harness::Sent::new();
    for peer in [s2, s3] {
        sent = bench.reacts(peer, granted(4));
    }
    assert_eq!(bench.disk.hard.term, Term(4));
    assert_eq!(terms(&bench.disk.log), [1, 2, 4]);
    let number = |peer| sent.append_number_to(peer).expect("it leads");
    bench.answers(s2, matched(4, number(s2), 2));
    bench.answers(s3, matched(4, number(s3), 2));
    assert_eq!(bench.raft.commit(), Index(0), "a majority has entry 2, and that is not enough");
    bench
}

/// Figure 8 (c); section 5.4.2: "a log entry ... is not considered committed" though it is stored on
/// a majority.
pub fn figure_8_c_an_entry_of_an_earlier_term_on_a_majority_is_not_committed() {
    let bench = figure_8_until_c();
    assert_eq!(bench.raft.commit(), Index(0));
}

/// Figure 8 (d): S5 is elected by S2, S3 and S4 and overwrites the entry. Nothing committed is lost.
pub fn figure_8_d_the_entry_may_still_be_overwritten() {
    let mut bench = figure_8_until_c();
    let s5 = crate::harness::FIVE;
    let run = bench.run(2, &[3, 5]);
    bench.answers(s5, append(5, at(1, 1), 3, run.bytes()));
    assert_eq!(terms(&bench.disk.log), [1, 3, 5]);
    assert_eq!(bench.raft.commit(), Index(3));
    assert!(bench.has_applied(at(3, 2)) && !bench.has_applied(at(2, 2)));
    assert_eq!(bench.violation, None);
}

/// Figure 8 (e): "if S1 replicates an entry from its current term on a majority of the servers before
/// crashing, then this entry is committed (S5 cannot win an election). At this point all preceding
/// entries in the log are committed as well."
pub fn figure_8_e_an_entry_of_the_own_term_commits_all_before_it() {
    let mut bench = figure_8_until_c();
    let (s2, s3, s5) = (ONE, THREE, crate::harness::FIVE);
    let sent = bench.beats();
    for peer in [s2, s3] {
        let number = sent.append_number_to(peer).expect("it leads");
        bench.answers(peer, matched(4, number, 3));
    }
    assert_eq!(bench.raft.commit(), Index(3));
    // S5 has the entry of term 3, which is older than what a majority has.
    bench.restart();
    bench.pass_unseen(ELECTION_MIN);
    assert_eq!(bench.reacts(s5, vote(5, at(3, 2))).verdict_to(s5), Some(false));
}
