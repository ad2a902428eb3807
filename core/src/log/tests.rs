extern crate std;

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::extend::Extended;
use super::*;
use crate::varint;

mod extend;
mod model;

type Small = Log<Array<256, 16>>;

const COMMAND: EntryKind = EntryKind::Command;
const LATE: Term = Term(u64::MAX);

fn small() -> Small {
    Log::new(Array::zeroed()).unwrap()
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

/// An entry of `length` bytes in all, with a term of one byte.
fn put<M: Memory>(log: &mut Log<M>, term: u64, length: usize) -> Result<EntryId, AppendError> {
    let fill = u8::try_from(log.last().index.0 & 0xff).unwrap();
    log.append(Term(term), COMMAND, &vec![fill; length - 4])
}

fn encode(term: u64, tag: u8, data: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 10];
    let length = varint::write_u64(term, &mut body).unwrap();
    body.truncate(length);
    body.push(tag);
    body.extend_from_slice(data);
    let mut entry = u16::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    entry.extend_from_slice(&body);
    entry
}

fn run_of(terms: &[u64]) -> Vec<u8> {
    terms.iter().flat_map(|&term| encode(term, 2, b"data")).collect()
}

fn with_terms(terms: &[u64]) -> Small {
    let mut log = small();
    let run = run_of(terms);
    let extended = log.extend(Index::ZERO, &run, Index::ZERO, LATE).unwrap();
    assert_eq!(extended.verified.0, u64::try_from(terms.len()).unwrap());
    log
}

/// All that a log shows of itself.
type Seen = (EntryId, EntryId, Vec<(EntryId, Vec<u8>)>, Vec<u8>);

fn seen<M: Memory>(log: &Log<M>) -> Seen {
    let mut entries = Vec::new();
    let mut index = log.first();
    while let Some(entry) = log.entry(index) {
        assert_eq!(entry.id.index, index);
        assert_eq!(log.term_at(index), Some(entry.id.term));
        entries.push((entry.id, entry.data.to_vec()));
        index = index.next();
    }
    assert_eq!(index, log.last().index.next());
    (log.base(), log.last(), entries, log.slices(log.first()).concat())
}

#[test]
fn numbers_survive_and_have_one_form_only() {
    let mut borders: Vec<u64> = (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1]).collect();
    borders.push(u64::MAX);
    for value in borders {
        let mut bytes = [0xff; 11];
        let length = varint::write_u64(value, &mut bytes).unwrap();
        assert_eq!(varint::read_u64(&bytes), Some((value, &bytes[length..])));
        assert_eq!(varint::read_u64(&bytes[..length - 1]), None);
        assert_eq!(varint::write_u64(value, &mut bytes[..length - 1]), None);
        assert_eq!(postcard::from_bytes::<u64>(&bytes[..length]), Ok(value));
    }
    for bad in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[]] {
        assert_eq!(varint::read_u64(bad), None);
    }
    let too_large = [255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
    assert_eq!(varint::read_u64(&too_large), None);
    let too_long = [255, 255, 255, 255, 255, 255, 255, 255, 255, 129, 0];
    assert_eq!(varint::read_u64(&too_long), None);
}

#[test]
fn memory_of_an_unfit_size_is_refused() {
    let make = |bytes: usize, slots: usize| {
        let memory = Buffers::new(vec![0; bytes], vec![Slot::ZERO; slots]);
        Log::new(memory).map(|_| ())
    };
    assert_eq!(make(255, 4), Err(LogError::TooFewBytes));
    assert_eq!(make(256, 0), Err(LogError::BadSlotCount));
    assert_eq!(make(256, 2), Err(LogError::BadSlotCount));
    assert_eq!(make(256, 6), Err(LogError::BadSlotCount));
    assert_eq!(make(256, 4), Ok(()));
}

#[test]
fn a_log_of_16_mib_is_made_on_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(|| {
        let bytes: Box<[u8]> = vec![0; 16 << 20].into_boxed_slice();
        let slots: Box<[Slot]> = vec![Slot::ZERO; 1 << 16].into_boxed_slice();
        let mut log = Log::new(Buffers::new(bytes, slots)).unwrap();
        assert_eq!(log.append(Term(1), COMMAND, &[7; 65_000]), Ok(id(1, 1)));
        assert_eq!(log.largest_entry(), 65_535);
        assert_eq!(put(&mut log, 1, 65_535), Ok(id(1, 2)));
        assert_eq!(put(&mut log, 1, 65_536), Err(AppendError::TooLarge));
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn a_log_lives_in_a_borrowed_static_array() {
    static MEMORY: std::sync::Mutex<Array<512, 8>> = std::sync::Mutex::new(Array::zeroed());
    let mut memory = MEMORY.lock().unwrap();
    let mut log = Log::new(&mut *memory).unwrap();
    assert_eq!(put(&mut log, 3, 128), Ok(id(3, 1)));
    assert_eq!((log.capacity_bytes(), log.used_bytes(), log.free_entries()), (512, 128, 7));
}

#[test]
fn an_empty_log_knows_the_term_of_its_base_only() {
    let mut log = small();
    assert!(log.is_empty());
    assert_eq!((log.base(), log.last(), log.first()), (id(0, 0), id(0, 0), Index(1)));
    assert_eq!(log.term_at(Index(0)), Some(Term(0)));
    assert_eq!(log.term_at(Index(1)), None);
    assert_eq!(log.entry(Index(0)), None);
    assert_eq!(log.entry(Index(1)), None);
    assert_eq!(log.slices(Index(1)), [&[][..], &[]]);
    assert_eq!(log.run(Index(1), 100), (&[][..], Index(0)));
    log.truncate(Index(0));
    log.compact(Index(9));
    assert_eq!((log.base(), log.last()), (id(0, 0), id(0, 0)));
    log.reset(id(4, 70));
    assert!(log.is_empty());
    assert_eq!((log.term_at(Index(70)), log.term_at(Index(69))), (Some(Term(4)), None));
}

#[test]
fn an_entry_is_the_same_bytes_as_its_postcard_encoding() {
    let mut log = small();
    log.append(Term(300), EntryKind::Noop, &[]).unwrap();
    log.append(Term(300), EntryKind::Configuration, &[9]).unwrap();
    log.append(Term(301), EntryKind::Command, &[7, 8]).unwrap();
    let bytes = [encode(300, 0, &[]), encode(300, 1, &[9]), encode(301, 2, &[7, 8])].concat();
    assert_eq!(log.run(Index(1), 1000), (&bytes[..], Index(3)));
    let (length, rest) = postcard::take_from_bytes::<[u8; 2]>(&bytes).unwrap();
    assert_eq!(u16::from_le_bytes(length), 3);
    assert_eq!(postcard::take_from_bytes::<(u64, u8)>(rest).unwrap().0, (300, 0));
    let entry = log.entry(Index(3)).unwrap();
    assert_eq!(entry, Entry { id: id(301, 3), kind: COMMAND, data: &[7, 8] });
}

#[test]
fn the_largest_entry_fits_four_times_and_one_byte_more_never_does() {
    let mut log = small();
    assert_eq!(log.largest_entry(), 64);
    assert_eq!(put(&mut log, 1, 65), Err(AppendError::TooLarge));
    for index in 1..=4 {
        assert_eq!(put(&mut log, 1, 64), Ok(id(1, index)));
    }
    assert_eq!((log.used_bytes(), log.free_entries()), (256, 12));
    assert_eq!(put(&mut log, 1, 4), Err(AppendError::LogFull));
    log.compact(Index(1));
    assert_eq!(put(&mut log, 1, 65), Err(AppendError::TooLarge));
    assert_eq!(put(&mut log, 1, 64), Ok(id(1, 5)));
    assert_eq!((log.used_bytes(), seen(&log).2.len()), (256, 4));
    assert_eq!(put(&mut log, 1, 4), Err(AppendError::LogFull));
}

#[test]
fn the_limit_of_the_caller_counts_the_whole_entry() {
    let mut log = small();
    let fill = |space: &mut [u8]| {
        space.fill(1);
        Some(space.len())
    };
    log.append_with(Term(1), COMMAND, 20, fill).unwrap();
    assert_eq!(log.used_bytes(), 20);
    log.append_with(Term(1), COMMAND, 4, fill).unwrap();
    assert_eq!(log.used_bytes(), 24);
    for limit in 0..4 {
        let result = log.append_with(Term(1), COMMAND, limit, fill);
        assert_eq!(result, Err(AppendError::TooLarge));
    }
    let lie = |space: &mut [u8]| Some(space.len() + 1);
    assert_eq!(log.append_with(Term(1), COMMAND, 20, lie), Err(AppendError::TooLarge));
    assert_eq!(log.last(), id(1, 2));
}

#[test]
fn a_writer_is_asked_again_at_the_start_of_the_ring() {
    let mut log = small();
    for length in [64, 64, 64, 44] {
        put(&mut log, 1, length).unwrap();
    }
    let mut offered = Vec::new();
    let mut want = |space: &mut [u8]| {
        offered.push(space.len());
        (space.len() >= 60).then_some(60)
    };
    let full = log.append_with(Term(1), COMMAND, 1000, &mut want);
    assert_eq!(full, Err(AppendError::LogFull));
    log.compact(Index(1));
    assert_eq!(log.append_with(Term(1), COMMAND, 1000, &mut want), Ok(id(1, 5)));
    assert_eq!(offered, [16, 16, 60]);
    assert_eq!(log.slices(Index(2)).map(<[u8]>::len), [172, 64]);
    assert_eq!(log.bytes_between(Index(1), Index(5)), 236);
    assert_eq!(log.bytes_between(Index(4), Index(5)), 64);
    assert_eq!(log.bytes_between(Index(3), Index(4)), 44);
    assert_eq!(log.run(Index(3), 1000).1, Index(4));
    assert_eq!(log.run(Index(5), 1000), (log.slices(Index(5))[0], Index(5)));
}

#[test]
fn slots_run_out_before_bytes() {
    let mut log = Log::new(Array::<256, 4>::zeroed()).unwrap();
    for index in 1..=4 {
        assert_eq!(put(&mut log, 1, 4), Ok(id(1, index)));
    }
    assert_eq!(put(&mut log, 1, 4), Err(AppendError::LogFull));
    let before = seen(&log);
    let extended = log.extend(Index(4), &run_of(&[1]), Index::ZERO, LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(4), truncated: None }));
    assert_eq!(seen(&log), before);
    log.compact(Index(2));
    let extended = log.extend(Index(3), &run_of(&[1, 2, 2, 3]), Index::ZERO, LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(6), truncated: None }));
    assert_eq!((log.last(), log.free_entries()), (id(2, 6), 0));
}

#[test]
fn truncation_across_the_wrap_takes_the_room_back() {
    let wrapped = || {
        let mut log = small();
        for length in [64, 64, 64, 60] {
            put(&mut log, 1, length).unwrap();
        }
        log.compact(Index(2));
        put(&mut log, 2, 50).unwrap();
        put(&mut log, 2, 20).unwrap();
        log
    };
    for (from, last, used) in
        [(7, id(2, 6), 194), (6, id(2, 5), 174), (5, id(1, 4), 124), (4, id(1, 3), 64)]
    {
        let mut log = wrapped();
        let kept = log.slices(Index(3)).concat();
        log.truncate(Index(from));
        assert_eq!((log.last(), log.used_bytes()), (last, used));
        assert_eq!(seen(&log).3, kept[..used]);
        // At the tail, at the ring's end, or around it once more.
        for _entry in 0..3 {
            put(&mut log, 3, 15).unwrap();
        }
        assert_eq!(log.used_bytes(), used + 45);
        assert_eq!(seen(&log).2.len(), usize::try_from(last.index.0).unwrap() + 1);
    }
    let mut log = wrapped();
    log.truncate(Index(0));
    assert_eq!((log.last(), log.base(), log.used_bytes()), (id(1, 2), id(1, 2), 0));
    assert_eq!(put(&mut log, 5, 64), Ok(id(5, 3)));
}

#[test]
fn compaction_to_empty_keeps_the_last_id_as_base() {
    let mut log = with_terms(&[1, 1, 3]);
    log.compact(Index(2));
    assert_eq!((log.base(), log.term_at(Index(1))), (id(1, 2), None));
    assert_eq!(log.term_at(Index(2)), Some(Term(1)));
    log.compact(Index(1));
    assert_eq!(log.base(), id(1, 2));
    log.compact(Index(99));
    assert_eq!((log.base(), log.last(), log.used_bytes()), (id(3, 3), id(3, 3), 0));
    for index in 4..=7 {
        assert_eq!(put(&mut log, 3, 64), Ok(id(3, index)));
    }
}

#[test]
fn a_run_ends_before_the_entry_that_exceeds_its_limit() {
    let log = with_terms(&[1, 1, 1, 2]);
    for (limit, entries) in
        [(0, 0), (7, 0), (8, 1), (15, 1), (16, 2), (23, 2), (24, 3), (31, 3), (32, 4), (99, 4)]
    {
        let bytes = usize::try_from(entries).unwrap() * 8;
        assert_eq!(log.run(Index(1), limit), (&log.slices(Index(1))[0][..bytes], Index(entries)));
    }
    assert_eq!(log.run(Index(4), 8).1, Index(4));
    assert_eq!(log.run(Index(5), 8), (&[][..], Index(4)));
    assert_eq!(log.run(Index(0), 8), (&[][..], Index(0)));
}

#[test]
fn the_hint_of_a_reject_leads_back_by_term() {
    let mut log = with_terms(&[1, 1, 2, 4, 4, 6]);
    log.compact(Index(1));
    for (index, term, found) in [
        (6, 6, id(6, 6)),
        (99, 9, id(6, 6)),
        (6, 5, id(4, 5)),
        (4, 5, id(4, 4)),
        (6, 3, id(2, 3)),
        (5, 1, id(1, 2)),
        (5, 0, id(1, 1)),
        (0, 9, id(1, 1)),
        (u64::MAX, u64::MAX, id(6, 6)),
    ] {
        assert_eq!(log.last_index_at_or_below(Index(index), Term(term)), found);
    }
}

#[test]
fn the_last_indices_are_not_given_out() {
    let mut log = small();
    log.reset(id(1, u64::MAX - 2));
    let extended = log.extend(Index(u64::MAX - 2), &run_of(&[1, 1]), Index::ZERO, LATE);
    let last = Index(u64::MAX - 1);
    assert_eq!(extended, Ok(Extended { verified: last, truncated: None }));
    assert_eq!(put(&mut log, 1, 4), Err(AppendError::LogFull));
    assert_eq!(log.run(last, 8), (log.slices(last)[0], last));
    assert_eq!((log.slices(last)[1].len(), log.used_bytes()), (0, 8));
    log.compact(last);
    assert!(log.is_empty());
    log.reset(id(1, u64::MAX));
    assert_eq!(put(&mut log, 1, 4), Err(AppendError::LogFull));
    let extended = log.extend(Index(u64::MAX), &run_of(&[1]), Index::ZERO, LATE);
    assert_eq!(extended.unwrap().verified, Index(u64::MAX));
    assert_eq!(log.slices(log.first()), [&[][..], &[]]);
}

#[test]
fn commands_leave_a_quarter_of_the_slots_to_other_entries() {
    let mut log = small();
    log.keep_reserve();
    let extended = log.extend(Index::ZERO, &run_of(&[1; 20]), Index::ZERO, LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(12), truncated: None }));
    assert!(log.is_pressed());
    assert_eq!(log.room_for_command(), 0);
    for _ in 0..4 {
        log.append(Term(1), EntryKind::Noop, &[]).unwrap();
    }
    assert_eq!(log.append(Term(1), EntryKind::Noop, &[]), Err(AppendError::LogFull));
    log.compact(Index(1));
    assert!(!log.is_pressed());
}

#[test]
fn commands_leave_an_eighth_of_the_bytes_to_other_entries() {
    for (last, fits) in [(28, true), (29, false)] {
        let mut log = small();
        log.keep_reserve();
        let mut run = encode(1, 2, &[0; 60]).repeat(3);
        run.extend(encode(1, 2, &vec![0; last]));
        let extended = log.extend(Index::ZERO, &run, Index::ZERO, LATE).unwrap();
        assert_eq!(extended.verified, Index(if fits { 4 } else { 3 }));
        assert_eq!(log.is_pressed(), !fits);
        log.append(Term(1), EntryKind::Noop, &[]).unwrap();
    }
}

#[test]
fn commands_that_the_medium_has_no_room_for_find_the_log_full() {
    for (room, taken) in [(12, 1), (13, 2), (14, 2)] {
        let mut log = small();
        let run = [encode(1, 2, &[0; 4]), encode(1, 2, &[0])].concat();
        log.set_headroom(room);
        let extended = log.extend(Index::ZERO, &run, Index::ZERO, LATE).unwrap();
        assert_eq!(extended.verified, Index(taken), "{room}");
        assert_eq!(log.is_pressed(), taken < 2);
        assert_eq!(log.room_for_command(), room - if taken < 2 { 8 } else { 13 });
        log.append(Term(1), EntryKind::Noop, &[]).unwrap();
    }
}
