//! A whole member and its clients (thesis 6.3 and 6.4; PITFALLS 20 and 21).

use coracle::message::{Message, Refusal, Request, Want};
use coracle::wire::{self, ClientRoute, Header, Route};
use coracle::{
    BadSnapshot, Checksum, ClientId, Epoch, Gauge, Index, NodeError, ProposeError, RoleName,
    SessionId, Ticks,
};

use crate::harness::desk::{Broken, Desk, Mode, SESSIONS, Told, command};
use crate::harness::{DATAGRAM, ELECTION_MAX, HEARTBEAT};

/// Thesis 6.3: a command takes effect once, however often it is sent, and each copy is answered
/// alike.
pub fn a_retried_command_takes_effect_once() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    let first = desk.commands(7, session, 1, 5);
    assert!(matches!(first, Some(Told::Applied(_, 5))));
    for _retry in 0..3 {
        assert_eq!(desk.commands(7, session, 1, 5), first);
    }
    assert_eq!(desk.sum(0), 5);
    assert!(matches!(desk.commands(7, session, 2, 5), Some(Told::Applied(_, 10))));
}

/// The same for copies that come before the first has taken effect: one entry, one answer.
pub fn a_command_that_is_sent_again_while_it_waits_is_one_entry() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    desk.nodes[0].storage_mut().mode = Mode::Later;
    for _copy in 0..3 {
        desk.ask(0, 7, command(session, 1, &[10]));
        assert_eq!(desk.told(), None);
    }
    let last = desk.nodes[0].raft().last();
    desk.finish(0);
    assert_eq!(desk.told(), Some(Told::Applied(last, 5)));
    assert_eq!(desk.told(), None);
}

/// And for copies that are two entries of the log, as when two leaders took it: the second has no
/// effect, on any node.
pub fn a_command_that_is_in_the_log_twice_takes_effect_once() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    desk.nodes[0].storage_mut().mode = Mode::Later;
    desk.ask(0, 7, command(session, 1, &[10]));
    desk.run();
    let first = desk.nodes[0].raft().last();
    // The client seems to have turned to something else, so its command is a new one to the node.
    desk.ask(0, 7, Want::Status);
    desk.run();
    desk.mail.clear();
    desk.ask(0, 7, command(session, 1, &[10]));
    desk.run();
    let second = desk.nodes[0].raft().last();
    assert_eq!(second.index, first.index.next());
    desk.finish(0);
    assert_eq!(desk.told(), Some(Told::Applied(first, 5)), "a retry names what took effect");
    assert_eq!(desk.sum(0), 5);
}

/// Thesis 6.3: a late copy of a command before the last one changes nothing.
pub fn a_late_copy_of_an_earlier_command_changes_nothing() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    desk.commands(7, session, 1, 5);
    desk.commands(7, session, 2, 6);
    let late = desk.commands(7, session, 1, 5);
    assert!(!matches!(late, Some(Told::Applied(..))));
    assert_eq!(desk.sum(0), 11);
}

/// PITFALLS 21: a client whose session was closed is told so; its command is not run.
pub fn a_command_in_a_closed_session_is_not_run() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let first = desk.open(1);
    desk.commands(1, first, 1, 5);
    for client in 2..=1 + u64::try_from(SESSIONS).expect("a few") {
        desk.open(client);
    }
    assert_eq!(desk.commands(1, first, 1, 5), Some(Told::Expired), "not even a retry");
    assert_eq!(desk.commands(1, first, 2, 5), Some(Told::Expired));
    assert_eq!(desk.sum(0), 5);
    assert_eq!(desk.nodes[0].raft().counters().sessions_evicted, 1);
}

/// PITFALLS 20, 21: the table is full, so the session that was silent longest goes.
pub fn the_session_that_was_silent_longest_is_closed() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let (one, two) = (desk.open(1), desk.open(2));
    desk.commands(1, one, 1, 5);
    desk.open(3);
    assert_eq!(desk.nodes[0].status().limits.sessions, Gauge { used: 2, bound: 2 });
    assert!(matches!(desk.commands(1, one, 2, 5), Some(Told::Applied(_, 10))));
    assert_eq!(desk.commands(2, two, 1, 5), Some(Told::Expired));
}

/// Thesis 6.3: a client that asks twice for a session, because the answer was lost, gets one.
pub fn a_client_that_opens_twice_has_one_session() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let first = desk.open(1);
    assert_eq!(desk.open(1), first);
    let other = desk.open(2);
    assert_ne!(other, first);
    assert!(matches!(desk.commands(1, first, 1, 5), Some(Told::Applied(_, 5))));
}

/// A session that was never opened does not exist.
pub fn a_command_in_an_unknown_session_is_not_run() {
    let mut desk = Desk::<1>::new();
    desk.form();
    assert_eq!(desk.commands(1, SessionId(999), 1, 5), Some(Told::Expired));
    assert_eq!(desk.sum(0), 0);
}

/// Formation: epochs are worlds of their own: a session of another one is none here.
pub fn a_command_of_another_epoch_is_not_run() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(1);
    desk.epoch = Epoch(desk.epoch.0 ^ 1);
    assert_eq!(desk.commands(1, session, 1, 5), Some(Told::Expired));
    assert_eq!(desk.sum(0), 0);
}

/// Of two epochs only one commits anything, and a node of the other one, which late datagrams may
/// have brought about, ends nobody's session.
pub fn a_node_of_an_epoch_that_has_committed_nothing_ends_no_session() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(1);
    desk.start_again(0, 100);
    desk.nodes[0].storage_mut().mode = Mode::Later;
    desk.pass(HEARTBEAT);
    assert_eq!(desk.nodes[0].raft().commit(), Index::ZERO);
    assert_ne!(desk.nodes[0].raft().hard_state().epoch, desk.epoch);
    assert_eq!(desk.commands(1, session, 1, 5), Some(Told::NotLeader(None)));
    for _write in 0..3 {
        desk.finish(0);
        desk.run();
    }
    assert!(desk.nodes[0].raft().commit() > Index::ZERO);
    assert_eq!(desk.commands(1, session, 1, 5), Some(Told::Expired));
    assert_eq!(desk.sum(0), 0);
}

/// PITFALLS 21: sessions, answers and state are the same on every node, and so are their bytes.
pub fn sessions_and_state_are_the_same_on_every_node() {
    let mut desk = Desk::<3>::new();
    desk.form();
    for client in 1..5 {
        let session = desk.open(client);
        assert!(matches!(desk.commands(client, session, 1, 5), Some(Told::Applied(..))));
    }
    desk.pass(HEARTBEAT);
    desk.pass(HEARTBEAT);
    let snapshot = |place: usize| {
        let mut bytes: heapless::Vec<u8, 256> = heapless::Vec::new();
        desk.nodes[place].snapshot(&mut bytes).expect("a small state");
        bytes
    };
    assert_eq!(desk.sum(0), 20);
    assert_eq!(snapshot(0), snapshot(1));
    assert_eq!(snapshot(0), snapshot(2));
}

/// Thesis 6.3: a new leader knows what the old one has answered.
pub fn a_retry_at_the_next_leader_takes_no_effect_again() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let session = desk.open(7);
    let first = desk.commands(7, session, 1, 5);
    desk.pass(HEARTBEAT);
    let old = desk.leader().expect("it is formed");
    desk.is_down[old] = true;
    desk.pass(Ticks(4 * ELECTION_MAX.0));
    assert_ne!(desk.leader().expect("the two that are left elect"), old);
    assert_eq!(desk.commands(7, session, 1, 5), first);
    assert!(matches!(desk.commands(7, session, 2, 5), Some(Told::Applied(_, 10))));
}

/// Thesis 6.3: sessions are in the snapshot: who starts from it answers a retry, too.
pub fn a_snapshot_has_the_sessions() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    let first = desk.commands(7, session, 1, 5);
    let mut bytes: heapless::Vec<u8, 256> = heapless::Vec::new();
    desk.nodes[0].snapshot(&mut bytes).expect("a small state");
    let mut other = Desk::<1>::new();
    other.form();
    other.nodes[0].restore(&mut &bytes[..]).expect("a sound snapshot");
    assert_eq!(other.commands(7, session, 1, 5), first);
    assert_eq!(other.sum(0), 5);
    let mut again: heapless::Vec<u8, 256> = heapless::Vec::new();
    other.nodes[0].snapshot(&mut again).expect("a small state");
    // What is before the sessions says how far the log is, and that is another log.
    let head = bytes.len()
        - again.iter().rev().zip(bytes.iter().rev()).take_while(|(a, b)| a == b).count();
    assert!(head < 33, "sessions and state are the same bytes");
}

/// What is no snapshot is refused, and leaves no sessions behind.
pub fn a_damaged_snapshot_is_refused() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    desk.commands(7, session, 1, 5);
    let mut bytes: heapless::Vec<u8, 256> = heapless::Vec::new();
    desk.nodes[0].snapshot(&mut bytes).expect("a small state");
    for length in 0..bytes.len() {
        let restored = desk.nodes[0].restore(&mut &bytes[..length]);
        assert_eq!(restored, Err(BadSnapshot), "{length} bytes of {}", bytes.len());
    }
}

/// PITFALLS 20: the table of waiting requests is full: "busy", and nothing happened; it works again
/// when there is room.
pub fn a_full_table_of_requests_says_busy() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let (one, two) = (desk.open(1), desk.open(2));
    desk.nodes[0].storage_mut().mode = Mode::Later;
    desk.ask(0, 1, command(one, 1, &[10]));
    desk.ask(0, 2, command(two, 1, &[10]));
    assert_eq!(desk.told(), None);
    let last = desk.nodes[0].raft().last();
    assert_eq!(desk.nodes[0].status().limits.pending, Gauge { used: 2, bound: 2 });
    desk.ask(0, 3, Want::Open);
    assert_eq!(desk.told(), Some(Told::Busy));
    assert_eq!(desk.nodes[0].raft().last(), last, "nothing happened");
    desk.finish(0);
    assert!(matches!(desk.told(), Some(Told::Applied(..))));
    assert!(matches!(desk.told(), Some(Told::Applied(..))));
    assert_eq!(desk.nodes[0].status().limits.pending, Gauge { used: 0, bound: 2 });
    desk.nodes[0].storage_mut().mode = Mode::AtOnce;
    assert!(desk.open(3) > two);
}

/// PITFALLS 20: a request whose entry was replaced is answered, and gives its place in the table
/// back, also when the log of the next leader is shorter.
pub fn the_requests_of_a_deposed_leader_are_answered() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let sessions = [desk.open(1), desk.open(2)];
    desk.pass(HEARTBEAT);
    let old = desk.leader().expect("it is formed");
    desk.is_cut[old] = true;
    for (client, session) in (1..).zip(sessions) {
        desk.ask(old, client, command(session, 1, &[10]));
    }
    desk.run();
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    desk.is_cut[old] = false;
    desk.mail.clear();
    desk.pass(Ticks(2 * ELECTION_MAX.0));
    assert_ne!(desk.leader(), Some(old));
    let mut answered = 0;
    while let Some(told) = desk.told() {
        assert!(!matches!(told, Told::Applied(..)), "it was never committed");
        answered += 1;
    }
    // Or they were answered when it stepped down.
    desk.ask(old, 3, Want::Query { query: &[0] });
    desk.pass(Ticks(3 * HEARTBEAT.0));
    let told = desk.told();
    assert!(matches!(told, Some(Told::Answered(_, 0))), "{told:?} after {answered} answers");
}

/// Section 8: an answer is for the entry that was proposed, not for whatever stands there now.
pub fn a_request_whose_entry_was_replaced_is_not_told_as_applied() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let (one, two) = (desk.open(1), desk.open(2));
    desk.pass(HEARTBEAT);
    let old = desk.leader().expect("it is formed");
    // The next leader's first entry stands where the first of these is, its command at the second.
    desk.is_cut[old] = true;
    desk.ask(old, 3, Want::Open);
    desk.ask(old, 1, command(one, 1, &[10]));
    desk.run();
    let lost = desk.nodes[old].raft().last();
    desk.is_down[old] = true;
    desk.pass(Ticks(4 * ELECTION_MAX.0));
    desk.mail.clear();
    assert!(matches!(desk.commands(2, two, 1, 7), Some(Told::Applied(entry, 7))
        if entry.index == lost.index && entry.term > lost.term));
    // It was paused and still believes to lead when it hears of all that at once.
    (desk.is_cut[old], desk.is_down[old]) = (false, false);
    for _tick in 0..3 * HEARTBEAT.0 {
        (0..3).filter(|place| *place != old).for_each(|place| desk.nodes[place].tick(Ticks(1)));
        while let Some(told) = desk.told() {
            assert!(!matches!(told, Told::Applied(..) | Told::Opened(_)), "{told:?}");
        }
    }
    assert_eq!(desk.sum(old), 7);
}

/// Clients: a node that does not lead says who does, and nothing happened.
pub fn a_follower_names_the_leader_to_a_client() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let leader = desk.leader().expect("it is formed");
    let last = desk.nodes[leader].raft().last();
    desk.ask((leader + 1) % 3, 7, Want::Open);
    let id = desk.nodes[leader].raft().member().id;
    assert_eq!(desk.told(), Some(Told::NotLeader(Some(id))));
    assert_eq!(desk.nodes[leader].raft().last(), last);
}

/// Thesis 6.4: a query is answered on any node, with all that was committed before.
pub fn a_query_is_answered_on_every_node() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let session = desk.open(7);
    desk.commands(7, session, 1, 5);
    for place in 0..3 {
        desk.ask(place, 8, Want::Query { query: &[0] });
        desk.pass(Ticks(2));
        assert!(matches!(desk.told(), Some(Told::Answered(_, 5))));
    }
}

/// What is no command of the state machine is refused for good and leaves no entry.
pub fn a_malformed_command_is_refused() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    let last = desk.nodes[0].raft().last();
    for bytes in [&[][..], &[0x80], &[10, 0], &[0xff; 9]] {
        desk.ask(0, 7, command(session, 1, bytes));
        assert_eq!(desk.told(), Some(Told::Refused(Refusal::Malformed)));
        desk.ask(0, 7, Want::Query { query: &[1, 2, 3] });
        assert_eq!(desk.told(), Some(Told::Refused(Refusal::Malformed)));
    }
    assert_eq!((desk.nodes[0].raft().last(), desk.sum(0)), (last, 0));
}

/// PITFALLS 24: no answer is longer than its question; who wants a long one pads.
pub fn no_answer_is_longer_than_its_question() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    let peers = Want::Peers { first: 0 };
    let query = Want::Query { query: &[0] };
    for want in [Want::Open, command(session, 1, &[10]), query, Want::Status, peers] {
        for padding in 0..90 {
            let asked = desk.ask_padded(0, 9, want, padding);
            desk.run();
            for mail in &desk.mail {
                let told = mail.bytes.len();
                assert!(told <= asked, "{told} bytes for {asked}: {want:?}");
            }
            desk.mail.clear();
        }
    }
}

/// PITFALLS 24, from the other side: who is refused for that learns how much to pad, and gets it.
pub fn a_padded_request_gets_the_long_answer() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let length = desk.ask_padded(0, 9, Want::Status, 30);
    let needed = match desk.told() {
        Some(Told::Refused(Refusal::AnswerLongerThanRequest(needed))) => needed,
        other => panic!("{other:?}"),
    };
    let needed = usize::try_from(needed).expect("a datagram");
    assert!(needed > length && needed <= DATAGRAM);
    desk.ask_padded(0, 9, Want::Status, 30 + needed - length);
    let Some(Told::Status(status)) = desk.told() else { panic!("it is long enough now") };
    assert_eq!((status.role, status.members), (RoleName::Leader, 1));
}

/// PITFALLS 24: the list of the others comes in pages, each no longer than its question, and from
/// all of them together everybody is known, each once.
pub fn the_others_are_told_in_pages_that_fit_the_question() {
    let mut desk = Desk::<5>::new();
    desk.form();
    let leader = desk.leader().expect("somebody leads");
    let ids = (1..=5).filter(|id| usize::try_from(*id) != Ok(leader + 1));
    let ids: heapless::Vec<u32, 4> = ids.collect();
    for padding in [60, 100, 150, 250] {
        let mut known = heapless::Vec::<u32, 4>::new();
        while known.len() < 4 {
            let first = u8::try_from(known.len()).expect("a few");
            let asked = desk.ask_padded(leader, 9, Want::Peers { first }, padding);
            desk.run();
            let told = desk.mail.front().expect("an answer").bytes.len();
            assert!(told <= asked, "{told} bytes for {asked}");
            let Some(Told::Peers { first: passed, total, peers }) = desk.told() else {
                panic!("there is room for one")
            };
            assert_eq!((passed, total), (first, 4));
            assert!(peers[0].is_some(), "there is progress");
            for peer in peers.iter().flatten() {
                assert!(peer.has_answered && peer.progress.is_some(), "{peer:?}");
                known.push(peer.member.id.0).expect("each once");
            }
        }
        assert_eq!(known, ids, "with {padding}");
    }
    for first in [4, 5, u8::MAX] {
        desk.ask(leader, 9, Want::Peers { first });
        assert_eq!(desk.told(), Some(Told::Peers { first, total: 4, peers: [None; 5] }));
    }
}

/// PITFALLS 24, at its border: who leaves no room for one of the others learns how much it takes.
pub fn a_page_without_room_for_one_says_how_much_that_takes() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let length = desk.ask_padded(0, 9, Want::Peers { first: 1 }, 5);
    let Some(Told::Refused(Refusal::AnswerLongerThanRequest(needed))) = desk.told() else {
        panic!("there is no room for one")
    };
    let missing = usize::try_from(needed).expect("a datagram") - length;
    desk.ask_padded(0, 9, Want::Peers { first: 1 }, 5 + missing - 1);
    let told = desk.told();
    assert!(matches!(told, Some(Told::Refused(Refusal::AnswerLongerThanRequest(_)))), "{told:?}");
    desk.ask_padded(0, 9, Want::Peers { first: 1 }, 5 + missing);
    let Some(Told::Peers { peers, .. }) = desk.told() else { panic!("there is room for one") };
    assert!(peers[0].is_some() && peers[1].is_none());
}

/// The wire: a client of another cluster is not answered.
pub fn a_client_of_another_cluster_is_not_answered() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let route =
        ClientRoute { cluster: coracle::ClusterId(1), epoch: Epoch(0), client: ClientId(1) };
    let header = Header { number: 1, route: Route::Client(route) };
    let request = Message::Request(Request { want: Want::Open, padding: &[0; 30] });
    let mut buffer = [0; DATAGRAM];
    let length = wire::encode(&header, &request, &Checksum, &mut buffer).expect("it fits");
    assert!(desk.nodes[0].receive(1, &buffer[..length]).is_err());
    assert_eq!(desk.told(), None);
}

/// A node's own command, outside any session, is applied once and told with the entry that was
/// promised.
pub fn a_nodes_own_command_is_applied_and_told() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let leader = desk.leader().expect("it is formed");
    let entry = desk.nodes[leader].propose(&5).expect("it leads");
    desk.pass(HEARTBEAT);
    desk.pass(HEARTBEAT);
    assert_eq!(desk.applied, Some((entry, 5)));
    assert!((0..3).all(|place| desk.sum(place) == 5));
    let follower = (leader + 1) % 3;
    let refused = desk.nodes[follower].propose(&5);
    assert_eq!(refused, Err(ProposeError::NotLeader(Some(desk.nodes[leader].raft().member().id))));
}

/// Persist before send: "a storage error ends the node: it never goes on after a failed write".
pub fn a_storage_error_ends_the_node() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let leader = desk.leader().expect("it is formed");
    let node = &mut desk.nodes[leader];
    node.storage_mut().mode = Mode::Fails;
    node.propose(&5).expect("it leads");
    let mut buffer = [0; DATAGRAM];
    let mut error = None;
    for _output in 0..10 {
        error = node.poll(&mut buffer).err();
        if error.is_some() {
            break;
        }
    }
    assert_eq!(error, Some(NodeError::Storage(Broken)));
    node.storage_mut().mode = Mode::AtOnce;
    for _time in 0..5 {
        node.tick(ELECTION_MAX);
        assert_eq!(node.poll(&mut buffer), Err(NodeError::Dead), "it goes on");
    }
    assert_eq!(node.machine().sum, 0);
}

/// A buffer that is too small is no failure of the node.
pub fn a_small_buffer_is_an_error_and_no_end() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let node = &mut desk.nodes[0];
    node.propose(&5).expect("it leads");
    let error = node.poll(&mut [0; DATAGRAM - 1]).expect_err("the buffer is too small");
    assert!(matches!(error, NodeError::BufferTooSmall(small) if small.needed == DATAGRAM));
    desk.run();
    assert_eq!(desk.sum(0), 5);
}

/// Encoding: the log makes room for itself, so that a small one serves for ever.
pub fn a_small_log_serves_clients_for_ever() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let session = desk.open(7);
    for sequence in 1..300 {
        let told = desk.commands(7, session, sequence, 1);
        assert!(matches!(told, Some(Told::Applied(..))), "command {sequence}: {told:?}");
        if sequence % 10 == 0 {
            desk.pass(HEARTBEAT);
        }
    }
    assert_eq!(desk.leader().map(|leader| desk.sum(leader)), Some(299));
}
