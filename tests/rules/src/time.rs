//! Time is what the embedder says it is (time; PITFALLS 17 and 18).

use coracle::{RoleName, Ticks};

use crate::harness::{Bench, ELECTION_MAX, ELECTION_MIN, HEARTBEAT, ONE, THREE, at, heartbeat};

/// Time: several timeouts inside one span fire once.
pub fn several_heartbeats_in_one_span_are_one() {
    let mut bench = Bench::leader_of_five(&[1]);
    bench.raft.tick(Ticks(2 * HEARTBEAT.0 + 5));
    let sent = bench.drive();
    assert_eq!(sent.appends_to(ONE).count(), 1);
    assert_eq!(sent.appends_to(THREE).count(), 1);
    assert!(bench.pass(Ticks(HEARTBEAT.0 - 1)).is_empty(), "what was passed is made up for");
}

/// The same for a campaign.
pub fn several_election_timeouts_in_one_span_are_one() {
    let mut bench = Bench::follower(&[1]);
    bench.raft.tick(Ticks(50 * ELECTION_MAX.0));
    let sent = bench.drive();
    assert_eq!(sent.messages_to(ONE).count(), 1);
    assert!(sent.pre_vote_to(ONE).is_some());
}

/// Time: nothing is due before `next_timeout`.
pub fn nothing_happens_before_the_next_timeout() {
    let mut bench = Bench::follower(&[1]);
    let mut spoken = 0;
    for _step in 0..20 {
        let next = bench.raft.next_timeout().expect("a follower has a timeout");
        assert!(next > Ticks(0), "a driver would spin");
        bench.raft.tick(Ticks(next.0 - 1));
        assert!(bench.drive().is_empty(), "something is due before its time");
        bench.raft.tick(Ticks(1));
        spoken += bench.drive().count();
    }
    assert!(spoken > 10, "and at its time something is");
}

/// Time: tickless or at a fixed rate, the same happens at the same time.
pub fn a_tickless_driver_sees_what_a_ticking_one_sees() {
    for start in [|| Bench::follower(&[1]), || Bench::leader(&[1]), || Bench::blank(3)] {
        let (mut ticking, mut tickless) = (start(), start());
        ticking.drive();
        tickless.drive();
        let mut slept = 0;
        for now in 1..=3 * ELECTION_MAX.0 {
            ticking.raft.tick(Ticks(1));
            let one = ticking.drive();
            slept += 1;
            let due = tickless.raft.next_timeout().unwrap_or(Ticks::NEVER);
            assert!(due.0 >= slept, "at {now} it is overdue");
            if due.0 > slept {
                assert!(one.is_empty(), "at {now} something happens that was not announced");
                continue;
            }
            tickless.raft.tick(Ticks(slept));
            slept = 0;
            let other = tickless.drive();
            assert!(one.messages().eq(other.messages()), "at {now} they differ");
        }
    }
}

/// PITFALLS 17: time ends at its limit; it does not begin again, or whatever is due would wait for
/// as long as it has lasted.
pub fn time_does_not_wrap() {
    for start in [|| Bench::follower(&[1]), || Bench::leader(&[1]), || Bench::blank(3)] {
        let mut bench = start();
        for span in [u64::MAX - 100, 50, 60, u64::MAX, u64::MAX] {
            bench.raft.tick(Ticks(span));
            let sent = bench.drive();
            assert!(span != 60 || !sent.is_empty(), "at the end of time nothing is due");
            assert_eq!(bench.violation, None);
        }
    }
}

/// Time: a heartbeat that comes late holds the election off from when it was heard.
pub fn the_election_timeout_counts_from_the_last_heartbeat() {
    let mut bench = Bench::follower(&[1]);
    bench.raft.tick(Ticks(ELECTION_MIN.0 - 1));
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    let next = bench.raft.next_timeout().expect("an election timeout");
    assert!(next >= ELECTION_MIN && next <= ELECTION_MAX, "{next}");
}

/// Section 5.2, with the clock of a node that was paused: it campaigns, or follows, but it leads no
/// longer than its quorum lets it.
pub fn a_leader_that_was_paused_asks_for_its_quorum() {
    let mut bench = Bench::leader(&[1]);
    bench.raft.tick(Ticks(100 * ELECTION_MAX.0));
    bench.drive();
    assert_ne!(bench.raft.role(), RoleName::Leader, "nobody has answered since");
}

/// The times may be as long as a number goes.
pub fn timeouts_of_any_length_are_kept() {
    use crate::harness::{MEMBERS, Small};
    use coracle::{Checksum, Raft, Timing};
    let mut options = crate::harness::options(crate::harness::TWO);
    options.timing = Timing {
        heartbeat: Ticks(u64::MAX - 2),
        election_min: Ticks(u64::MAX - 1),
        election_max: Ticks(u64::MAX),
        retransmit_min: Ticks(u64::MAX - 2),
    };
    let random = crate::harness::Random::new(1);
    let memory = Small::fresh();
    let raft = Raft::<_, _, _, MEMBERS>::new(&options, &[ONE, THREE], memory, random, Checksum);
    let mut raft = raft.expect("a sound set-up");
    raft.tick(Ticks(u64::MAX - 1));
    raft.tick(Ticks(u64::MAX));
    assert_eq!(raft.violation(), None);
    assert_eq!(Timing::from_heartbeat(Ticks(u64::MAX)).election_max, Ticks(u64::MAX));
}
