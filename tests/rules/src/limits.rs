//! What is full says so, changes nothing, and works again when there is room (PITFALLS 17, 19, 20).

use coracle::{
    Checksum, EntryId, EntryKind, Gauge, HardState, Index, LogError, Members, NodeId, ProposeError,
    Raft, Saved, SetupError, Term, Ticks, Timing,
};

use crate::harness::{
    Bench, CLUSTER, DATAGRAM, DATAGRAM_BYTES, HEARTBEAT, Large, MEMBERS, ONE, Random, Run, Sent,
    Small, THREE, TWO, append, at, configuration, entries, member, options, others, timing, voters,
};

/// Of the room for first entries the second half is for leaders that a quorum follows: each of the others
/// could leave one there that never commits.
pub fn a_leader_with_little_room_begins_its_term_when_a_quorum_has_its_log() {
    let memory = Small::limited(640, 16);
    let mut bench = Bench::stored(memory, voters(3), 1, None, &[1; 12]);
    for (term, begins_at_once) in [(2, true), (3, true), (4, false)] {
        let before = bench.raft.last();
        bench.get_elected();
        let begun = EntryId { term: Term(term), index: before.index.next() };
        assert_eq!(bench.raft.last(), if begins_at_once { begun } else { before });
        if begins_at_once {
            // Nobody answers, so it steps down.
            bench.pass_unseen(Ticks(2 * timing().election_min.0 + 1));
        }
    }
    let before = bench.raft.last();
    for _exchange in 0..4 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    assert_eq!(bench.raft.last(), EntryId { term: Term(4), index: before.index.next() });
    assert_eq!(bench.raft.commit(), bench.raft.last().index);
}

/// PITFALLS 20: a full log refuses a command, and nothing has changed.
pub fn a_full_log_refuses_commands() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    let taken = fill(&mut bench, &[7; 60]);
    assert!(taken > 3, "{taken} commands were taken");
    let (last, fingerprint) = (bench.raft.last(), bench.raft.fingerprint());
    assert_eq!(bench.raft.propose(&[7; 60]), Err(ProposeError::LogFull));
    assert_eq!((bench.raft.last(), bench.raft.fingerprint()), (last, fingerprint));
}

/// PITFALLS 20: and goes on when everybody has what it holds.
pub fn a_full_log_serves_again_when_there_is_room() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    for _round in 0..5 {
        fill(&mut bench, &[7; 60]);
        for _exchange in 0..20 {
            let sent = bench.beats();
            bench.accepts(&sent, ONE);
            bench.accepts(&sent, THREE);
            let sent = bench.drive();
            bench.accepts(&sent, ONE);
            bench.accepts(&sent, THREE);
            bench.drive();
        }
        let applied = bench.raft.applied();
        assert_eq!(applied, bench.raft.last().index);
        assert_eq!(bench.raft.compact(applied), applied);
    }
}

/// PITFALLS 20: a log may be full of entries long before its bytes are.
pub fn a_log_without_free_slots_refuses_commands() {
    let mut bench = Bench::limited(640, 16);
    bench.lead();
    let taken = fill(&mut bench, b"");
    assert!((1..16).contains(&taken), "{taken} commands were taken");
    assert!(bench.raft.status().log_bytes < 512);
}

/// PITFALLS 20: a log that is full of what was never committed can still be committed by the next
/// leader, for which there is room.
pub fn a_full_log_leaves_room_for_the_next_leaders_first_entry() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    fill(&mut bench, &[7; 60]);
    fill(&mut bench, b"");
    let filled = bench.raft.last();
    for _term in 0..3 {
        // Nobody answers, so it steps down; then it is elected again.
        bench.pass_unseen(Ticks(2 * timing().election_min.0 + 1));
        bench.get_elected();
        assert!(bench.raft.last().index > filled.index, "no room for an entry of its own");
    }
    for _exchange in 0..40 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    assert!(bench.raft.commit() > filled.index);
}

/// PITFALLS 19: what fits no datagram is refused with the limit, and nothing has changed.
pub fn a_command_that_fits_no_datagram_is_refused() {
    let mut bench = Bench::leader(&[1]);
    let (last, fingerprint) = (bench.raft.last(), bench.raft.fingerprint());
    let refused = bench.raft.propose(&[7; 2 * DATAGRAM]);
    let Err(ProposeError::TooLarge { limit }) = refused else { panic!("{refused:?}") };
    assert!(limit > 64, "a limit of {limit} bytes for datagrams of {DATAGRAM}");
    assert_eq!((bench.raft.last(), bench.raft.fingerprint()), (last, fingerprint));
    let entry = bench.propose(&[7; DATAGRAM][..limit]);
    let sent = bench.drive();
    let append = sent.append_to(ONE).expect("the largest command is sent");
    let (_, _, data, _) = entries(append.run).last().expect("an entry");
    assert_eq!(data.len(), limit);
    bench.accepts(&sent, ONE);
    bench.drive();
    assert!(bench.has_applied(entry));
}

/// The wire: the smallest voter decides what is too large.
pub fn the_smallest_member_decides_what_is_too_large() {
    let of = |datagram: u16| {
        let mut voters = voters(3);
        voters.iter_mut().for_each(|voter| voter.datagram = 1200);
        voters[2].datagram = datagram;
        let mut memory = Large::fresh();
        let mut bench = Bench::stored(&mut memory, voters, 1, None, &[1]);
        bench.lead();
        match bench.raft.propose(&[7; 1200]) {
            Err(ProposeError::TooLarge { limit }) => limit,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(of(512) - of(256), 256);
}

/// Encoding: in the largest datagram, with the longest numbers, the largest command still fits.
pub fn the_largest_command_fits_with_the_longest_numbers() {
    let mut bench = based(u64::MAX - 1, u64::MAX - 9_000);
    bench.stand_and_win();
    let limit = match bench.raft.propose(&[7; 2 * DATAGRAM]) {
        Err(ProposeError::TooLarge { limit }) => limit,
        other => panic!("{other:?}"),
    };
    bench.propose(&[7; DATAGRAM][..limit]);
    for _beat in 0..4 {
        let sent = bench.beats();
        if sent.appends_to(ONE).any(|(_, append)| append.run.len() > limit) {
            return;
        }
        bench.accepts(&sent, THREE);
    }
    panic!("the largest command is never sent");
}

/// PITFALLS 17: the last index has no successor.
pub fn the_last_index_has_no_successor() {
    let mut bench = based(4, u64::MAX - 4);
    bench.stand_and_win();
    assert_eq!(bench.raft.last().index, Index(u64::MAX - 3));
    let mut refused = None;
    for _command in 0..6 {
        match bench.raft.propose(b"command") {
            Ok(entry) => assert!(entry.index > Index(u64::MAX - 4)),
            Err(error) => refused = Some(error),
        }
        let sent = bench.drive();
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    assert_eq!(refused, Some(ProposeError::LogFull));
    assert_eq!(bench.violation, None);
    assert!(bench.raft.commit() >= Index(u64::MAX - 3));
}

/// PITFALLS 17: and a follower takes nothing behind it.
pub fn a_follower_at_the_last_index_takes_nothing_more() {
    let mut bench = based(4, u64::MAX - 2);
    let mut run = Run::new();
    for _entry in 0..4 {
        run.push(5, EntryKind::Noop, &[]);
    }
    bench.reacts(ONE, append(5, at(4, u64::MAX - 2), u64::MAX, run.bytes()));
    assert!(bench.raft.last().index > Index(u64::MAX - 2));
    bench.reacts(ONE, append(5, bench.raft.last(), u64::MAX, run.bytes()));
    assert_eq!(bench.violation, None);
    assert_eq!(bench.raft.commit(), bench.raft.last().index);
}

/// Only a leader takes proposals, and says who is one.
pub fn a_follower_refuses_a_command_and_names_the_leader() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.raft.propose(b"command"), Err(ProposeError::NotLeader(None)));
    bench.answers(ONE, crate::harness::heartbeat(1, at(1, 1), 1));
    assert_eq!(bench.raft.propose(b"command"), Err(ProposeError::NotLeader(Some(ONE))));
    assert_eq!(bench.raft.last(), at(1, 1));
}

/// Formation: "a leader takes proposals only after its no-op has committed".
pub fn a_new_leader_takes_no_command_before_its_first_entry_is_committed() {
    let (mut bench, sent) = Bench::new_leader(&[1]);
    assert_eq!(bench.raft.propose(b"command"), Err(ProposeError::NotReady));
    bench.accepts(&sent, ONE);
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.raft.commit(), Index(2));
    assert!(bench.raft.propose(b"command").is_ok());
}

/// PITFALLS 20: members have a limit, and ids are sane.
pub fn a_set_up_that_cannot_work_is_refused() {
    let ids = |ids: &'static [u32]| ids.iter().map(|id| NodeId(*id));
    let new = |id: u32, others: &'static [u32]| {
        let others: heapless::Vec<NodeId, 8> = ids(others).collect();
        let memory = Small::fresh();
        let options = options(NodeId(id));
        Raft::<_, _, _, MEMBERS>::new(&options, &others, memory, Random::new(1), Checksum).err()
    };
    assert_eq!(new(1, &[2, 3]), None);
    assert_eq!(new(1, &[2, 3, 4, 5]), None);
    let full = Some(SetupError::TooManyMembers { capacity: MEMBERS });
    assert_eq!(new(1, &[2, 3, 4, 5, 6]), full);
    assert_eq!(new(0, &[1, u32::MAX]), None);
    assert_eq!(new(0, &[0]), Some(SetupError::DuplicateId));
    assert_eq!(new(1, &[2, 1]), Some(SetupError::DuplicateId));
    assert_eq!(new(1, &[2, 2]), Some(SetupError::DuplicateId));
}

/// Times and datagrams that cannot work are refused.
pub fn options_that_cannot_work_are_refused() {
    let with = |change: &dyn Fn(&mut coracle::Options)| {
        let mut options = options(TWO);
        change(&mut options);
        let memory = Small::fresh();
        let others = others(TWO, 3);
        Raft::<_, _, _, MEMBERS>::new(&options, &others, memory, Random::new(1), Checksum).err()
    };
    assert_eq!(with(&|_| ()), None);
    let timing = |heartbeat, election_min, election_max, retransmit_min| Timing {
        heartbeat: Ticks(heartbeat),
        election_min: Ticks(election_min),
        election_max: Ticks(election_max),
        retransmit_min: Ticks(retransmit_min),
    };
    assert!(with(&|options| options.timing = timing(0, 30, 60, 1)).is_some());
    assert!(with(&|options| options.timing = timing(10, 10, 60, 1)).is_some());
    assert!(with(&|options| options.timing = timing(10, 30, 29, 1)).is_some());
    assert!(with(&|options| options.timing = timing(10, 30, 60, 0)).is_some());
    assert!(with(&|options| options.timing = timing(10, 30, 60, 11)).is_some());
    assert!(with(&|options| options.timing = timing(10, 30, 30, 10)).is_none());
    assert!(with(&|options| options.datagram = coracle::MIN_DATAGRAM - 1).is_some());
    assert!(with(&|options| options.datagram = u16::MAX).is_none());
    // With none of them nobody would ever catch up.
    assert_eq!(with(&|options| options.snapshot_chunks = 0), Some(SetupError::SnapshotChunks));
    assert_eq!(with(&|options| options.snapshot_chunks = 1), None);
    assert_eq!(with(&|options| options.window_bytes = 0), Some(SetupError::Window));
    assert_eq!(with(&|options| options.window_bytes = 1), None);
}

/// A log that is too small, or whose slots are no power of two, is refused.
pub fn memory_that_cannot_work_is_refused() {
    fn new(members: u32, bytes: usize, slots: usize) -> Option<SetupError> {
        let memory = Small::limited(bytes, slots);
        let (options, others) = (options(TWO), others(TWO, members));
        Raft::<_, _, _, MEMBERS>::new(&options, &others, memory, Random::new(1), Checksum).err()
    }
    assert_eq!(new(3, 640, 16), None);
    assert_eq!(new(3, 255, 16), Some(SetupError::Log(LogError::TooFewBytes)));
    assert_eq!(new(3, 0, 16), Some(SetupError::Log(LogError::TooFewBytes)));
    assert_eq!(new(3, 352, 16), None);
    assert_eq!(new(3, 256, 16), Some(SetupError::LogTooSmall), "a new life of one does not fit");
    assert_eq!(new(4, 352, 16), Some(SetupError::LogTooSmall), "the members do not fit");
    assert_eq!(new(3, 640, 8), Some(SetupError::LogTooSmall));
    for error in [new(3, 640, 0), new(3, 512, 2), new(3, 512, 12)] {
        assert_eq!(error, Some(SetupError::Log(LogError::BadSlotCount)));
    }
}

/// What no node has written is not taken from a disk.
pub fn a_stored_state_that_no_node_wrote_is_refused() {
    let bytes = configuration(&voters(3));
    let members = Members::parse(&bytes).expect("well-formed members");
    let hard = HardState {
        incarnation: member(TWO).incarnation,
        epoch: members.epoch(CLUSTER),
        term: Term(3),
        vote: None,
    };
    let (applied, configuration) = (Index(5), Index(1));
    let good = Saved { hard, applied, base: at(2, 5), configuration, members: Some(members) };
    let with = |saved: Saved<'_>| {
        let memory = Small::fresh();
        let (options, others) = (options(TWO), others(TWO, 3));
        let (random, seal) = (Random::new(1), Checksum);
        Raft::<_, _, _, MEMBERS>::recover(&options, &others, memory, random, seal, &saved).err()
    };
    assert_eq!(with(good), None);
    let blank = HardState { epoch: coracle::Epoch(0), ..hard };
    let nobody = HardState { incarnation: coracle::Incarnation(0), ..hard };
    let early = HardState { term: Term(1), ..hard };
    for saved in [
        Saved { hard: blank, ..good },
        Saved { hard: nobody, ..good },
        Saved { hard: early, ..good },
        Saved { members: None, ..good },
        Saved { base: EntryId::default(), applied: Index(0), ..good },
        Saved { applied: Index(4), ..good },
        Saved { configuration: Index(0), ..good },
        Saved { configuration: Index(6), ..good },
    ] {
        assert_eq!(with(saved), Some(SetupError::Stored), "{saved:?}");
    }
}

/// A stored log that is damaged, or larger than the memory, is refused where that begins.
pub fn a_stored_log_that_is_damaged_is_refused() {
    use coracle::RecoverError;
    let mut bench = Bench::follower(&[1, 1]);
    bench.restart();
    let falling = bench.run(3, &[2, 1]);
    assert_eq!(bench.raft.recover_run(falling.bytes()), Err(RecoverError::Malformed));
    let above = bench.run(3, &[2]);
    assert_eq!(bench.raft.recover_run(above.bytes()), Err(RecoverError::Malformed));
    assert_eq!(bench.raft.recover_run(&[9, 0, 1]), Err(RecoverError::Malformed));
    let good = bench.run(3, &[1; 8]);
    let mut full = None;
    for _run in 0..20 {
        full = full.or(bench.raft.recover_run(good.bytes()).err());
    }
    assert_eq!(full, Some(RecoverError::LogFull));
    bench.raft.tick(Ticks(1));
    assert_eq!(bench.raft.recover_run(good.bytes()), Err(RecoverError::Running));
}

/// Determinism: equal histories give equal fingerprints, and a clone is the same node.
pub fn equal_histories_have_equal_fingerprints() {
    let first = prints_of_a_history(false);
    assert_eq!(first, prints_of_a_history(false));
    assert_eq!(first, prints_of_a_history(true), "a copy goes on as what it was made of");
}

#[inline(never)]
fn prints_of_a_history(is_copied: bool) -> [u64; 2] {
    let mut bench = Bench::leader(&[1, 1]);
    let before = bench.raft.fingerprint();
    if is_copied {
        bench = bench.clone();
    }
    bench.commit(b"command");
    bench.pass_unseen(Ticks(3));
    [before, bench.raft.fingerprint()]
}

/// Determinism: whatever decides what the node will do is in its fingerprint.
pub fn different_states_have_different_fingerprints() {
    let mut prints: heapless::Vec<u64, 16> = heapless::Vec::new();
    let mut note = |bench: &Bench| {
        let print = bench.raft.fingerprint();
        assert!(!prints.contains(&print), "two states have one fingerprint");
        prints.push(print).expect("a few states");
    };
    let mut bench = Bench::follower(&[1]);
    note(&bench);
    bench.raft.tick(Ticks(1));
    note(&bench);
    bench.hears(ONE, crate::harness::vote(2, at(1, 1)));
    note(&bench);
    bench.drive();
    note(&bench);
    let run = bench.run(2, &[2]);
    bench.hears(ONE, append(2, at(1, 1), 0, run.bytes()));
    note(&bench);
    bench.drive();
    note(&bench);
    bench.hears(ONE, crate::harness::heartbeat(2, at(2, 2), 2));
    note(&bench);
    bench.drive();
    note(&bench);
    bench.raft.read().expect("a leader is known");
    note(&bench);
    bench.stand();
    note(&bench);
    bench.hears(ONE, crate::harness::granted(3));
    note(&bench);
}

/// PITFALLS 17: datagram numbers end at 48 bits, and before that they go up by one.
pub fn the_datagrams_on_a_link_are_numbered_from_one() {
    let mut bench = Bench::follower(&[1]);
    for number in 1..=5 {
        let sent = bench.answers(ONE, crate::harness::heartbeat(1, at(1, 1), 0));
        let numbers: heapless::Vec<u64, 4> = sent.messages_to(ONE).map(|(n, _)| n).collect();
        assert_eq!(numbers, [number]);
    }
    let sent = bench.answers(THREE, crate::harness::pre_vote(2, at(1, 1)));
    assert!(sent.messages_to(THREE).map(|(n, _)| n).eq([1]), "each link has its own");
}

/// PITFALLS 20: how full everything is can be seen, with what there is of it.
pub fn a_status_says_what_is_taken_of_every_limit() {
    let mut bench = Bench::leader(&[1]);
    bench.disk.is_forgetful = true;
    let before = bench.raft.status();
    assert_eq!(before.limits.members, Gauge { used: 3, bound: 5 });
    assert_eq!(before.limits.uncommitted_bytes, 0);
    let in_flight = |bench: &Bench| {
        let peer = bench.raft.peers().find(|peer| peer.member.id == ONE);
        let progress = peer.and_then(|peer| peer.progress).expect("a leader knows");
        (progress.in_flight, progress.in_flight_bytes)
    };
    assert_eq!(in_flight(&bench), (0, 0));
    // Nobody answers: all is uncommitted, and no more than the window is on its way.
    fill(&mut bench, &[7; 60]);
    let full = bench.raft.status();
    let added = full.log_bytes - before.log_bytes;
    assert!(added > 60 && full.log_bytes <= full.log_capacity, "{added} bytes");
    assert_eq!(full.limits.uncommitted_bytes, added);
    let count = u32::try_from(full.last.index.0 - full.base.index.0).expect("few entries");
    let slots = full.limits.log_entries;
    assert!(slots.used == count && count <= slots.bound, "{slots:?}");
    let (entries, bytes) = in_flight(&bench);
    let most = full.limits.window_bytes + u32::from(DATAGRAM_BYTES);
    assert!(entries > 0 && bytes > 0 && bytes <= most, "{entries} entries, {bytes} bytes");
    for _exchange in 0..20 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    assert_eq!(in_flight(&bench), (0, 0));
    assert_eq!(bench.raft.status().limits.uncommitted_bytes, 0);
}

/// Proposes until the log is full; how many were taken.
fn fill(bench: &mut Bench, command: &[u8]) -> usize {
    for taken in 0..1000 {
        match bench.raft.propose(command) {
            Ok(_) => {
                bench.drive();
            }
            Err(error) => {
                assert_eq!(error, ProposeError::LogFull);
                return taken;
            }
        }
    }
    panic!("the log never fills up");
}

/// One of three whose log begins behind `base`, in that term.
fn based(term: u64, base: u64) -> Bench {
    let mut bench = Bench::of(3, term, None, &[1]);
    let bytes = configuration(&voters(3));
    let members = Members::parse(&bytes).expect("well-formed members");
    let hard = HardState { term: Term(term), ..bench.disk.hard };
    let base = at(term, base);
    let (applied, configuration) = (base.index, Index(1));
    let saved = Saved { hard, applied, base, configuration, members: Some(members) };
    let (options, others) = (options(TWO), others(TWO, 3));
    let (memory, random) = (Small::fresh(), Random::new(7));
    let raft = Raft::recover(&options, &others, memory, random, Checksum, &saved);
    bench.raft = raft.expect("what was saved is sound");
    bench.disk.is_forgetful = true;
    bench
}

impl Bench {
    /// It is elected, and one follower has its log.
    fn stand_and_win(&mut self) {
        let mut sent: Sent = self.get_elected();
        for _round in 0..4 {
            self.accepts(&sent, ONE);
            sent = self.pass(HEARTBEAT);
        }
        self.accepts(&sent, ONE);
        self.drive();
    }
}
