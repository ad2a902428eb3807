//! Where commands fill the log faster than a snapshot is sent, the log waits for the transfer, within
//! stated limits (PITFALLS 16 and 20).

use coracle::message::Message;
use coracle::{Checksum, Index, Options, ProposeError, SnapshotName, Ticks, wire};

use crate::harness::behind::{CHUNK_BYTES, behind_with, count, tight};
use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, HEARTBEAT, Large, ONE, THREE, chunk_refused, chunk_taken,
    entries, matched,
};

/// A transfer that the leader's next snapshot has cut short is not cut short again: commands find the
/// log full instead, until the follower has the snapshot and what the log has behind it.
pub fn a_transfer_that_was_cut_short_is_waited_for() {
    let mut race = Race::new(Habit::Takes);
    let mut ended = None;
    for tick in 0..600 {
        race.tick();
        if race.installed > Index::ZERO && ended.is_none() {
            ended = Some((tick, race.refused));
        }
    }
    let counters = *race.bench.raft.counters();
    assert_eq!((counters.transfers_cut_short, counters.transfers_awaited), (1, 1));
    assert_eq!(counters.snapshots_sent, 2, "it begins anew once");
    let (tick, refused) = ended.expect("the transfer ends");
    assert!(refused > 0 && tick < 300, "the log was full {refused} times until tick {tick}");
    // All is as before: the follower is in step, and no command is turned away.
    assert!(race.matched >= race.installed && !race.bench.raft.is_sending_snapshot());
    let before = (race.refused, race.bench.raft.commit());
    (0..300).for_each(|_| race.tick());
    assert_eq!(race.refused, before.0);
    assert!(race.bench.raft.commit().0 > before.1.0 + 300, "commands go on");
}

/// "Commits need nothing from the slow member": one that falls silent is waited for no longer than
/// the shortest election timeout.
pub fn a_follower_that_falls_silent_is_not_waited_for() {
    let mut race = Race::new(Habit::Takes);
    race.until_it_waits();
    race.habit = Habit::Silent;
    let longest = (0..3000).fold(0, |longest: u64, _| {
        race.tick();
        longest.max(race.waiting)
    });
    assert!(longest <= ELECTION_MIN.0 + HEARTBEAT.0, "the log was full for {longest} ticks");
    assert_eq!(race.bench.raft.counters().transfers_awaited, 1, "what is never taken");
}

/// Nor is one that answers heartbeats, but has no room for the snapshot.
pub fn a_follower_without_room_is_not_waited_for() {
    let mut race = Race::new(Habit::Takes);
    race.until_it_waits();
    race.habit = Habit::Refuses;
    (0..100).for_each(|_| race.tick());
    let before = race.refused;
    (0..3000).for_each(|_| race.tick());
    assert_eq!(race.refused, before);
}

/// And one that takes something, but too slowly, is waited for so long and no longer, and then not for
/// eight times as long.
pub fn a_follower_that_is_too_slow_is_waited_for_so_long_and_no_longer() {
    let mut race = Race::new(Habit::Crawls);
    race.until_it_waits();
    // A round trip counts as a heartbeat at most.
    let options = options();
    let trips = u64::from(count(&race.bench)).div_ceil(WINDOW.min(u64::from(CHUNKS)));
    let capacity = u64::from(race.bench.raft.status().log_capacity);
    let windows = capacity.div_ceil(u64::try_from(options.window_bytes).expect("a small window"));
    let most = 2 * (trips + windows) * HEARTBEAT.0 + ELECTION_MAX.0;
    let (mut longest, mut served, mut total) = (0, 0, 0_u64);
    let from = race.bench.raft.commit().0;
    for _tick in 0..12 * most {
        race.tick();
        longest = longest.max(race.waiting);
        served += u64::from(race.waiting == 0);
        total += 1;
    }
    assert!(longest > 2 * ELECTION_MIN.0, "it is waited for, {longest} ticks");
    assert!(longest <= most, "the log was full for {longest} ticks, where {most} are the most");
    assert!(served * 10 >= total * 8, "commands were taken in {served} of {total} ticks");
    assert!(race.bench.raft.commit().0 - from > served, "and committed");
    assert_eq!(race.installed, Index::ZERO);
    let counters = race.bench.raft.counters();
    assert!(counters.transfers_awaited >= 2, "it has another chance");
    assert!(counters.transfers_cut_short > counters.transfers_awaited);
}

/// What is on its way of a snapshot is seen, and keeps to the window.
pub fn chunks_on_their_way_are_seen() {
    let mut bench = behind_with(&tight(4));
    let first = crate::harness::behind::chunks(&mut bench)[0].0;
    assert_eq!(in_flight(&bench), (1, u32::from(CHUNK_BYTES)));
    crate::harness::behind::answer(&mut bench, first, 1, 0);
    let sent = crate::harness::behind::chunks(&mut bench);
    assert_eq!((sent.len(), in_flight(&bench)), (4, (4, 4 * u32::from(CHUNK_BYTES))));
    assert_eq!(bench.raft.status().limits.window_bytes, 4 * u32::from(CHUNK_BYTES));
    // The first is missing, the two behind it are there.
    crate::harness::behind::answer(&mut bench, sent[2].0, 1, 0b110);
    assert_eq!(in_flight(&bench), (2, 2 * u32::from(CHUNK_BYTES)));
    // The last one has what is left.
    let all = count(&bench);
    crate::harness::behind::answer(&mut bench, sent[3].0, all - 1, 0);
    crate::harness::behind::chunks(&mut bench);
    let length = u32::try_from(bench.shelf.kept.len()).expect("a small snapshot");
    assert_eq!(in_flight(&bench), (1, length - (all - 1) * u32::from(CHUNK_BYTES)));
    let newest = crate::harness::behind::newest(&mut bench);
    crate::harness::behind::answer(&mut bench, newest, all, 0);
    assert_eq!(in_flight(&bench), (0, 0));
}

/// What the leader says that is on its way to node 3.
fn in_flight(bench: &Bench<Large>) -> (u32, u32) {
    let peer = bench.raft.peers().find(|peer| peer.member.id == THREE);
    let progress = peer.and_then(|peer| peer.progress).expect("a leader knows");
    (progress.in_flight, progress.in_flight_bytes)
}

/// What node 3 does with chunks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Takes,
    /// One, when it was silent for nearly an election timeout.
    Crawls,
    Refuses,
    Silent,
}

/// A leader that gets commands all the time, of which node 1 acknowledges each at once, and node 3,
/// which is being sent a snapshot.
struct Race {
    bench: Bench<Large>,
    habit: Habit,
    /// Of which snapshot node 3 has so many chunks.
    gathering: SnapshotName,
    upto: u32,
    crawled_at: u64,
    /// The snapshot that it has installed, and how far its log goes.
    installed: Index,
    matched: Index,
    /// How many commands found no room, and for how many ticks on end there was none.
    refused: u32,
    waiting: u64,
    now: u64,
}

impl Race {
    fn new(habit: Habit) -> Self {
        let mut bench = behind_with(&options());
        bench.is_compacting = true;
        Self {
            bench,
            habit,
            gathering: SnapshotName::default(),
            upto: 0,
            crawled_at: 0,
            installed: Index::ZERO,
            matched: Index::ZERO,
            refused: 0,
            waiting: 0,
            now: 0,
        }
    }

    fn tick(&mut self) {
        self.now += 1;
        self.bench.raft.tick(Ticks(1));
        let mut is_full = false;
        for _command in 0..3 {
            match self.bench.raft.propose(b"next") {
                Ok(_) => {}
                Err(ProposeError::LogFull) => is_full = true,
                Err(other) => panic!("{other:?}"),
            }
        }
        self.refused += u32::from(is_full);
        self.waiting = if is_full { self.waiting + 1 } else { 0 };
        // What an answer sets free leaves at once, and so on.
        for _exchange in 0..4 {
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        let mut appends = heapless::Vec::<_, 256>::new();
        let mut chunks = heapless::Vec::<_, 64>::new();
        self.bench.drive_into(&mut |to, bytes| match wire::decode(bytes, &Checksum) {
            Ok((header, Message::Append(append))) => {
                let behind = u64::try_from(entries(append.run).count()).expect("few entries");
                let (prev, last) = (append.prev.index, Index(append.prev.index.0 + behind));
                appends.push((to, header.number, prev, last)).expect("few appends");
            }
            Ok((header, Message::Chunk(chunk))) => {
                chunks.push((header.number, chunk.name, chunk.number)).expect("few chunks");
            }
            other => panic!("{other:?}"),
        });
        for (to, number, prev, last) in appends {
            if to == ONE {
                self.bench.hears(ONE, matched(2, number, last.0));
            } else if self.installed > Index::ZERO && prev <= self.matched {
                self.matched = self.matched.max(last);
                self.bench.hears(THREE, matched(2, number, self.matched.0));
            }
        }
        for (number, name, chunk) in chunks {
            self.take(number, name, chunk);
        }
    }

    fn take(&mut self, number: u64, name: SnapshotName, chunk: u32) {
        if self.gathering != name {
            (self.gathering, self.upto) = (name, 0);
        }
        let takes = match self.habit {
            Habit::Takes => true,
            Habit::Crawls => self.now >= self.crawled_at + ELECTION_MIN.0 - HEARTBEAT.0,
            Habit::Refuses => {
                self.bench.hears(THREE, chunk_refused(2, number, name.last.index.0));
                return;
            }
            Habit::Silent => return,
        };
        if takes && chunk == self.upto {
            self.upto += 1;
            self.crawled_at = self.now;
        }
        if u64::from(self.upto) * u64::from(CHUNK_BYTES) >= name.length {
            (self.installed, self.matched) = (name.last.index, name.last.index);
            self.bench.hears(THREE, matched(2, number, self.matched.0));
        } else {
            self.bench.hears(THREE, chunk_taken(2, number, name.last.index.0, self.upto, 0));
        }
    }

    /// Until a command finds no room.
    fn until_it_waits(&mut self) {
        for _tick in 0..1000 {
            self.tick();
            if self.refused > 0 {
                return;
            }
        }
        panic!("the log is never full");
    }
}

/// Chunks that take longer than the commands take to fill the log.
fn options() -> Options {
    let mut options = tight(8);
    options.snapshot_chunks = CHUNKS;
    options
}

const CHUNKS: u16 = 3;
const WINDOW: u64 = 8;
