//! Linearizable reads without the log (section 8; thesis 6.4; PITFALLS 11).

use coracle::message::{AppendOutcome, AppendReply, Message, ReadReply, ReadRequest};
use coracle::{Index, Nonce, ReadError, ReadId, Term, Ticks};

use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, FOUR, HEARTBEAT, Network, ONE, Sent, THREE, append, at,
    heartbeat, matched,
};

/// Thesis 6.4, step 3: the leader "issues a new round of heartbeats and waits for acknowledgments
/// from a majority".
pub fn a_read_waits_until_a_quorum_confirms_the_leader() {
    let mut bench = Bench::leader_of_five(&[1]);
    let read = bench.read();
    let sent = bench.drive();
    assert!(sent.has_to(ONE) && sent.has_to(THREE) && sent.has_to(FOUR), "it asks at once");
    assert_eq!(bench.read_end(read), None);
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.read_end(read), None, "two of five");
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.read_end(read), None, "one node counts once");
    bench.accepts(&sent, FOUR);
    bench.drive();
    assert_eq!(bench.read_end(read), Some(true), "three of five");
}

/// PITFALLS 11: an answer to a heartbeat that left before the read was asked for proves nothing: the
/// leader may have been deposed since.
pub fn a_delayed_heartbeat_answer_proves_nothing_for_a_later_read() {
    let mut bench = Bench::leader(&[1]);
    let before = bench.beats();
    let read = bench.read();
    let after = bench.drive();
    bench.accepts(&before, ONE);
    bench.accepts(&before, THREE);
    bench.drive();
    assert_eq!(bench.read_end(read), None);
    bench.accepts(&after, ONE);
    bench.drive();
    assert_eq!(bench.read_end(read), Some(true));
}

/// PITFALLS 11: the answers of one round, doubled, prove nothing for the next.
pub fn a_doubled_answer_proves_nothing_for_the_next_read() {
    let mut bench = Bench::leader(&[1]);
    let first = bench.read();
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.read_end(first), Some(true));
    let second = bench.read();
    let again = bench.drive();
    bench.accepts(&sent, ONE);
    bench.accepts(&sent, THREE);
    bench.drive();
    assert_eq!(bench.read_end(second), None);
    bench.accepts(&again, THREE);
    bench.drive();
    assert_eq!(bench.read_end(second), Some(true));
}

/// Thesis 6.4: "the leader can amortize this cost": however many reads wait, they share a round.
pub fn reads_that_wait_together_share_a_round() {
    let mut bench = Bench::leader(&[1]);
    bench.read();
    let one = bench.drive();
    let reads = [bench.read(), bench.read(), bench.read()];
    assert!(bench.drive().is_empty(), "one round at a time");
    bench.accepts(&one, THREE);
    let two = bench.drive();
    assert_eq!(two.count(), 2, "one heartbeat to each");
    bench.accepts(&two, THREE);
    bench.drive();
    assert!(reads.iter().all(|read| bench.read_end(*read) == Some(true)));
}

/// PITFALLS 11: a read that comes while a round is under way waits for the next one, which begins by
/// itself.
pub fn a_read_during_a_round_waits_for_the_next() {
    let mut bench = Bench::leader(&[1]);
    let first = bench.read();
    let one = bench.drive();
    let second = bench.read();
    bench.drive();
    bench.accepts(&one, ONE);
    let two = bench.drive();
    assert_eq!(bench.read_end(first), Some(true));
    assert_eq!(bench.read_end(second), None, "the first round began before it");
    bench.accepts(&two, ONE);
    bench.drive();
    assert_eq!(bench.read_end(second), Some(true));
}

/// The same when the round under way is a follower's.
pub fn a_read_during_a_followers_round_is_answered_in_the_next() {
    let mut bench = Bench::leader(&[1]);
    bench.hears(ONE, request(2));
    let one = bench.drive();
    let read = bench.read();
    bench.drive();
    bench.accepts(&one, THREE);
    let two = bench.drive();
    assert_eq!(bench.read_end(read), None, "the follower's round began before it");
    bench.accepts(&two, THREE);
    bench.drive();
    assert_eq!(bench.read_end(read), Some(true), "nobody begins a round for it");
}

/// Thesis 6.4, step 1: a new leader does not know what is committed before an entry of its own term
/// is.
pub fn a_new_leader_answers_no_read_before_it_has_committed_in_its_term() {
    let (mut bench, sent) = Bench::new_leader(&[1, 1]);
    let read = bench.read();
    for _beat in 0..2 {
        let beats = bench.beats();
        for peer in [ONE, THREE] {
            for (number, _) in beats.appends_to(peer) {
                bench.hears(peer, matched(2, number, 2));
            }
        }
        bench.drive();
        assert_eq!(bench.read_end(read), None, "a quorum hears it, but what is committed?");
    }
    bench.accepts(&sent, ONE);
    let mut sent = bench.drive();
    for _round in 0..3 {
        bench.accepts(&sent, ONE);
        sent = bench.drive();
    }
    let sent = bench.beats();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.raft.commit(), Index(3));
    assert_eq!(bench.read_end(read), Some(true));
    assert!(bench.has_applied(at(1, 2)), "it reads what an earlier leader committed");
}

/// Thesis 6.4, step 4: the read waits until the state machine has caught up with the read index.
pub fn a_read_sees_what_was_committed_before_it() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    // Committed, and not applied: that is for the next poll.
    let read = bench.read();
    let sent = {
        let mut sent = Sent::new();
        while let Some(coracle::Output::Transmit(transmit)) = bench.raft.poll() {
            let to = transmit.to();
            let mut buffer = [0; crate::harness::DATAGRAM];
            let length = transmit.write(&mut buffer).expect("the buffer is large enough");
            if length > 0 {
                sent.push(to, &buffer[..length]);
            }
        }
        sent
    };
    bench.accepts(&sent, THREE);
    bench.drive();
    assert_eq!(bench.read_end(read), Some(true));
    assert!(bench.has_applied(entry));
}

/// PITFALLS 11: a leader that is deposed fails the reads that wait.
pub fn a_deposed_leader_fails_its_reads() {
    let mut bench = Bench::leader(&[1]);
    let read = bench.read();
    let sent = bench.drive();
    let last = bench.raft.last();
    bench.answers(ONE, heartbeat(9, last, 0));
    assert_eq!(bench.read_end(read), Some(false));
    for peer in [ONE, THREE] {
        bench.may_accept(&sent, peer);
    }
    bench.drive();
    assert_eq!(bench.reads.len(), 1, "it is told once");
}

/// PITFALLS 11: so does one that has lost its quorum.
pub fn a_leader_without_a_quorum_fails_its_reads() {
    let mut bench = Bench::leader(&[1]);
    let read = bench.read();
    for _beat in 0..2 * ELECTION_MIN.0 / HEARTBEAT.0 {
        bench.beats();
    }
    assert_eq!(bench.read_end(read), Some(false));
}

/// Thesis 6.4: only an answer of this term that follows the leader confirms it.
pub fn a_stale_answer_confirms_no_read() {
    let mut bench = Bench::leader(&[1]);
    let read = bench.read();
    let sent = bench.drive();
    for peer in [ONE, THREE] {
        let echo = sent.append_number_to(peer).expect("a heartbeat");
        let reply = AppendReply { term: Term(2), echo, outcome: AppendOutcome::Stale };
        bench.reacts(peer, Message::AppendReply(reply));
        bench.reacts(peer, matched(1, echo, 1));
    }
    assert_eq!(bench.read_end(read), None);
}

/// Loss: the round's heartbeats may be lost, so they are repeated.
pub fn a_lost_round_is_repeated() {
    let mut bench = Bench::leader(&[1]);
    let read = bench.read();
    bench.drive();
    let sent = bench.pass(HEARTBEAT);
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.read_end(read), Some(true));
}

/// Thesis 6.4: a follower asks the leader for a read index, waits until it has applied that much,
/// and answers from its own state.
pub fn a_follower_asks_its_leader_and_waits_until_it_has_applied() {
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 2), 1));
    let read = bench.read();
    let (echo, nonce) = asked(&bench.drive());
    bench.answers(ONE, reply(1, echo, nonce, 3));
    assert_eq!(bench.read_end(read), None, "entry 3 has not arrived");
    let run = bench.run(3, &[1]);
    bench.answers(ONE, append(1, at(1, 2), 2, run.bytes()));
    assert_eq!(bench.read_end(read), None, "entry 3 is not known to be committed");
    bench.answers(ONE, heartbeat(1, at(1, 3), 3));
    assert!(bench.has_applied(at(1, 3)));
    assert_eq!(bench.read_end(read), Some(true));
}

/// Loss: the question may be lost, so it is repeated.
pub fn a_follower_repeats_its_question() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    let read = bench.read();
    bench.drive();
    let (echo, nonce) = asked(&bench.pass(HEARTBEAT));
    bench.answers(ONE, reply(1, echo, nonce, 1));
    assert_eq!(bench.read_end(read), Some(true));
}

/// PITFALLS 11: an answer to an earlier question, to another process or from somebody else proves
/// nothing.
pub fn an_answer_to_another_question_is_ignored() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    let first = bench.read();
    let (old, nonce) = asked(&bench.drive());
    bench.answers(ONE, reply(1, old, nonce, 1));
    assert_eq!(bench.read_end(first), Some(true));
    let second = bench.read();
    let (echo, _) = asked(&bench.drive());
    bench.reacts(ONE, reply(1, old, nonce, 1));
    bench.reacts(ONE, reply(1, echo, Nonce(nonce.0 ^ 1), 1));
    bench.reacts(ONE, reply(1, 0, nonce, 1));
    bench.reacts(THREE, reply(1, echo, nonce, 1));
    assert_eq!(bench.read_end(second), None);
    bench.answers(ONE, reply(1, echo, nonce, 1));
    assert_eq!(bench.read_end(second), Some(true));
}

/// PITFALLS 11: a follower that loses its leader fails the reads that wait.
pub fn a_follower_that_gets_another_leader_fails_its_reads() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    let read = bench.read();
    let (echo, nonce) = asked(&bench.drive());
    bench.answers(THREE, heartbeat(2, at(1, 1), 1));
    assert_eq!(bench.read_end(read), Some(false));
    bench.reacts(ONE, reply(1, echo, nonce, 1));
    assert_eq!(bench.reads.len(), 1, "it is told once");
}

/// The same for a follower that hears nobody any more: reads never wait for ever.
pub fn a_follower_that_hears_no_leader_fails_its_reads() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    let read = bench.read();
    bench.pass_unseen(ELECTION_MAX);
    assert_eq!(bench.read_end(read), Some(false));
}

/// Thesis 6.4: a leader answers a follower's question only when a quorum has confirmed it since.
pub fn a_leader_answers_a_follower_only_when_it_is_confirmed() {
    let mut bench = Bench::leader(&[1]);
    let before = bench.beats();
    let number = bench.hears(ONE, request(2));
    let sent = bench.drive();
    assert!(sent.read_reply_to(ONE).is_none());
    bench.accepts(&before, THREE);
    assert!(bench.drive().read_reply_to(ONE).is_none(), "the heartbeat left before the question");
    bench.accepts(&sent, THREE);
    let reply = bench.drive().read_reply_to(ONE).expect("it is confirmed");
    assert_eq!((reply.echo, reply.nonce, reply.index), (number, Nonce(5), Index(2)));
}

/// Thesis 6.4, step 2: the read index is what is *committed*, which the leader itself need not have
/// applied yet.
pub fn a_leader_answers_a_follower_with_what_is_committed() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.hears(THREE, request(2));
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    let reply = bench.drive().read_reply_to(THREE).expect("it is confirmed");
    assert_eq!(reply.index, entry.index);
}

/// PITFALLS 11: a node that does not lead answers no such question.
pub fn a_follower_answers_nobodys_question() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    assert!(bench.reacts(THREE, request(1)).read_reply_to(THREE).is_none());
}

/// A read needs a leader; without one nothing has begun.
pub fn a_read_without_a_leader_is_refused() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.raft.read(), Err(ReadError::NoLeader));
    assert!(bench.drive().is_empty() && bench.reads.is_empty());
}

/// Thesis 6.4: "stale" is what a leader that was cut off would answer, so it answers nothing.
pub fn a_leader_that_is_cut_off_answers_no_read() {
    let mut network = Network::<3>::new(30);
    network.form();
    let old = network.leader().expect("it has settled");
    network.isolate(old);
    let read = network.nodes[old].raft.read().expect("it believes to lead");
    network.pass(Ticks(ELECTION_MIN.0 * 4));
    let new = network.leader().expect("a leader of the other two");
    assert_ne!(new, old);
    assert_eq!(network.nodes[old].read_end(read), Some(false));
}

/// Thesis 6.4, on every node and with loss: a read sees every command committed before it was asked
/// for.
pub fn a_read_on_any_node_sees_all_that_was_committed() {
    let mut network = Network::<3>::new(31);
    network.form();
    (network.loss_percent, network.double_percent, network.late_percent) = (10, 10, 20);
    let mut answered = 0;
    for count in 0..30_u64 {
        let Some(leader) = network.leader() else { continue };
        // No leader may have been elected that takes it.
        let _refused = network.nodes[leader].raft.propose(&count.to_le_bytes());
        network.pass(Ticks(5));
        let committed = network.nodes.iter().map(|node| node.raft.commit()).max();
        let place = usize::try_from(count % 3).expect("a place");
        let Ok(read) = network.nodes[place].raft.read() else { continue };
        for _tick in 0..40 {
            network.pass(Ticks(1));
            if network.nodes[place].read_end(read).is_some() {
                break;
            }
        }
        if network.nodes[place].read_end(read) == Some(true) {
            assert!(Some(network.nodes[place].raft.applied()) >= committed);
            answered += 1;
        }
        for node in &mut network.nodes {
            node.reads.clear();
            node.disk.is_forgetful = true;
        }
    }
    assert!(answered > 20, "{answered} reads were answered");
}

impl Bench {
    fn read(&mut self) -> ReadId {
        self.raft.read().expect("a leader is known")
    }
}

const fn request(term: u64) -> Message<'static> {
    Message::ReadRequest(ReadRequest { term: Term(term), nonce: Nonce(5) })
}

const fn reply(term: u64, echo: u64, nonce: Nonce, index: u64) -> Message<'static> {
    Message::ReadReply(ReadReply { term: Term(term), echo, nonce, index: Index(index) })
}

/// The number and the nonce of the question to node 1.
fn asked(sent: &Sent) -> (u64, Nonce) {
    let number = sent.read_request_number_to(ONE).expect("the leader is asked");
    (number, sent.read_request_to(ONE).expect("the leader is asked").nonce)
}
