//! What a leader does for a follower that lacks what the log has dropped (section 7; PITFALLS 6 and
//! 16): it sends its snapshot, chunk by chunk.

use coracle::message::Message;
use coracle::{Checksum, Ticks, wire};

use crate::harness::behind::{
    answer, behind, behind_with, bytes_of, chunks, count, newest, numbers, tight,
};
use crate::harness::{HEARTBEAT, THREE, chunk_refused, chunk_taken, matched, summary};

/// PITFALLS 6: "a probe into the compacted part leads to a snapshot", whose name and bytes are those
/// that the medium keeps.
pub fn a_follower_that_lacks_what_is_dropped_is_sent_the_snapshot() {
    let mut bench = behind(1);
    let name = bench.raft.kept_snapshot().expect("it keeps one");
    assert_eq!(summary(&bench.shelf.kept).checksum, name.checksum);
    for expected in 0..count(&bench) {
        let (mut number, place) = (0, bytes_of(&bench, expected));
        let kept = bench.shelf.kept.clone();
        bench.drive_into(&mut |_, bytes| {
            if let Ok((header, Message::Chunk(chunk))) = wire::decode(bytes, &Checksum) {
                assert_eq!((chunk.name, chunk.number), (name, expected));
                assert_eq!(*chunk.bytes, kept[place.clone()]);
                number = header.number;
            }
        });
        answer(&mut bench, number, expected + 1, 0);
    }
    assert_eq!(numbers(&mut bench), [0; 0]);
    assert_eq!(bench.raft.counters().snapshots_sent, 1);
}

/// As long as nothing is known of the way, one chunk is on it.
pub fn the_first_chunk_goes_alone() {
    let mut bench = behind(17);
    assert_eq!(numbers(&mut bench), [0]);
    assert_eq!(numbers(&mut bench), [0; 0]);
}

/// All of Raft: "limits by bytes ... on what is in flight"; invariant 9. The window is what the
/// options say, at its border.
pub fn chunks_on_their_way_keep_to_the_window() {
    for window in [1, 2, 5] {
        let mut bench = behind(window);
        let first = chunks(&mut bench)[0].0;
        answer(&mut bench, first, 1, 0);
        let sent = chunks(&mut bench);
        assert_eq!(sent.len(), window, "the window has {window} chunks");
        assert!(numbers(&mut bench).is_empty());
        // One is acknowledged, one more may leave.
        answer(&mut bench, sent[0].0, 2, 0);
        assert_eq!(numbers(&mut bench).len(), 1);
    }
}

/// All of Raft: single losses are mended one by one, and only when enough has arrived behind them:
/// datagrams overtake.
pub fn a_lost_chunk_is_sent_again_alone() {
    let mut bench = behind(8);
    let first = chunks(&mut bench)[0].0;
    answer(&mut bench, first, 1, 0);
    let sent = chunks(&mut bench);
    assert_eq!(sent.len(), 8);
    // The first of them is missing; one and two others have arrived.
    for (place, taken) in [(1, 0b10), (2, 0b110)] {
        answer(&mut bench, sent[place].0, 1, taken);
        assert_eq!(numbers(&mut bench), [0; 0], "it may have been overtaken");
    }
    answer(&mut bench, sent[3].0, 1, 0b1110);
    assert_eq!(numbers(&mut bench), [1]);
    // It is not sent a third time for what left before it.
    answer(&mut bench, sent[4].0, 1, 0b11110);
    assert_eq!(numbers(&mut bench), [0; 0]);
}

/// After a silence one chunk is tried, once, and again after the next.
pub fn after_a_silence_one_chunk_is_tried_at_a_time() {
    let mut bench = behind(8);
    let first = chunks(&mut bench)[0].0;
    for chunk in [0, 0, 0] {
        bench.raft.tick(HEARTBEAT);
        assert_eq!(numbers(&mut bench), [chunk]);
    }
    answer(&mut bench, first + 1, 1, 0);
    let sent = chunks(&mut bench);
    assert_eq!(sent.len(), 8);
    // All of them are lost.
    bench.raft.tick(HEARTBEAT);
    let probe = chunks(&mut bench);
    assert_eq!(probe.iter().map(|(_, chunk)| *chunk).collect::<heapless::Vec<_, 8>>(), [1]);
    // When one comes through, what left before it goes again.
    answer(&mut bench, probe[0].0, 2, 0);
    let again = numbers(&mut bench);
    assert_eq!(again[..7], [2, 3, 4, 5, 6, 7, 8]);
}

/// The same when all that was sent had been acknowledged: a chunk that was never sent is not sent
/// twice.
pub fn a_chunk_that_was_held_back_is_sent_once() {
    let mut options = tight(8);
    options.snapshot_chunks = 2;
    let mut bench = behind_with(&options);
    let mut seen = 0;
    for _tick in 0..4 * HEARTBEAT.0 {
        bench.raft.tick(Ticks(1));
        let sent = chunks(&mut bench);
        for (_, chunk) in &sent {
            assert_eq!(*chunk, seen, "each is sent once");
            seen += 1;
        }
        if let Some((number, _)) = sent.last() {
            answer(&mut bench, *number, seen, 0);
        }
    }
    assert!(seen > 4, "{seen} chunks were sent");
}

/// All of Raft: chunks are "paced behind heartbeats": so many leave between two of them, to all
/// followers together.
pub fn so_many_chunks_leave_between_two_heartbeats() {
    for quota in [1, 3] {
        let mut options = tight(17);
        options.snapshot_chunks = quota;
        let mut bench = behind_with(&options);
        let (mut beats, mut left, mut most) = (bench.raft.counters().heartbeats, 0, 0);
        for _tick in 0..5 * HEARTBEAT.0 {
            bench.raft.tick(Ticks(1));
            if bench.raft.counters().heartbeats > beats {
                (beats, left) = (bench.raft.counters().heartbeats, 0);
            }
            for _answer in 0..3 {
                let sent = chunks(&mut bench);
                left += sent.len();
                most = left.max(most);
                if let Some((number, chunk)) = sent.last() {
                    answer(&mut bench, *number, chunk + 1, 0);
                }
            }
        }
        assert_eq!(most, usize::from(quota), "chunks between two heartbeats");
    }
}

/// Section 7; "heartbeats never queue behind bulk data" (loss is normal): appends leave first.
pub fn appends_leave_before_chunks() {
    let mut bench = behind(4);
    let first = chunks(&mut bench)[0].0;
    answer(&mut bench, first, 1, 0);
    bench.propose(b"now");
    bench.raft.tick(HEARTBEAT);
    let (mut appends, mut later) = (0, 0);
    let mut is_bulk = false;
    bench.drive_into(&mut |_, bytes| match wire::decode(bytes, &Checksum) {
        Ok((_, Message::Chunk(_))) => is_bulk = true,
        Ok((_, Message::Append(_))) if is_bulk => later += 1,
        Ok((_, Message::Append(_))) => appends += 1,
        other => panic!("{other:?}"),
    });
    assert!(is_bulk);
    assert_eq!((appends, later), (2, 0), "an append and a heartbeat");
}

/// When the follower has installed it, the log goes on behind it.
pub fn entries_follow_the_snapshot() {
    let mut bench = behind(17);
    let last = bench.raft.kept_snapshot().expect("it keeps one").last;
    let entry = bench.propose(b"next");
    let number = chunks(&mut bench)[0].0;
    bench.hears(THREE, matched(2, number, last.index.0));
    assert!(!bench.raft.is_sending_snapshot());
    let sent = bench.drive();
    let append = sent.append_to(THREE).expect("the entries behind it");
    assert_eq!((append.prev, append.run.is_empty()), (last, false));
    bench.accepts(&sent, THREE);
    assert_eq!(bench.raft.commit(), entry.index);
    let sent = bench.beats();
    assert!(sent.appends_to(THREE).all(|(_, append)| append.run.is_empty()), "it is sent again");
}

/// PITFALLS 16: "loss of the last chunk", or of its answer: it is asked for until it is answered.
pub fn the_last_chunk_is_repeated_until_it_is_answered() {
    let mut bench = behind(17);
    let (mut upto, all) = (0, count(&bench));
    while upto < all - 1 {
        let sent = chunks(&mut bench);
        upto = sent.last().map_or(upto, |(_, chunk)| (chunk + 1).min(all - 1));
        let number = sent.last().expect("chunks are sent").0;
        answer(&mut bench, number, upto, 0);
    }
    let mut seen = numbers(&mut bench).iter().filter(|chunk| **chunk == all - 1).count();
    for _silence in 0..5 {
        bench.raft.tick(HEARTBEAT);
        seen += numbers(&mut bench).iter().filter(|chunk| **chunk == all - 1).count();
    }
    assert!(seen >= 5, "{seen} times in five heartbeats");
    // All of it is there, but the follower has not said that it is installed.
    let newest = newest(&mut bench);
    answer(&mut bench, newest, all, 0);
    bench.raft.tick(HEARTBEAT);
    assert_eq!(numbers(&mut bench), [all - 1]);
}

/// Who has lost what it had gathered begins anew (PITFALLS 16, "a crash half-way").
pub fn who_has_lost_its_chunks_begins_anew() {
    let mut bench = behind(4);
    let first = chunks(&mut bench)[0].0;
    answer(&mut bench, first, 1, 0);
    let sent = chunks(&mut bench);
    answer(&mut bench, sent[3].0, 5, 0);
    let sent = chunks(&mut bench);
    answer(&mut bench, sent[3].0, 0, 0);
    assert_eq!(numbers(&mut bench)[0], 0);
}

/// PITFALLS 5 and 23: answers that are late, doubled or of another snapshot change nothing.
pub fn late_answers_to_chunks_change_nothing() {
    let mut bench = behind(4);
    let last = bench.raft.kept_snapshot().expect("it keeps one").last.index.0;
    let first = chunks(&mut bench)[0].0;
    answer(&mut bench, first, 1, 0);
    let sent = chunks(&mut bench);
    answer(&mut bench, sent[2].0, 4, 0);
    let sent = chunks(&mut bench);
    assert_eq!(sent.last().map(|(_, chunk)| *chunk), Some(7));
    for message in [
        chunk_taken(2, first, last, 0, 0),
        chunk_taken(2, first, last, 1, 0),
        chunk_taken(2, sent[0].0, last - 1, 0, 0),
        chunk_taken(2, sent[0].0, last, u32::MAX, 0),
        chunk_taken(2, 0, last, 0, 0),
        chunk_taken(2, u64::MAX, last, 0, 0),
        chunk_refused(2, sent[0].0, last - 1),
    ] {
        bench.may_hear(THREE, message);
        assert_eq!(numbers(&mut bench), [0; 0], "{message:?}");
    }
    assert!(bench.raft.is_sending_snapshot());
    assert_eq!(bench.violation, None);
}
