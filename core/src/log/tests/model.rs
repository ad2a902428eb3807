//! Thousands of random operations on tiny logs, each compared with a plain list of entries.

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn size_below(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).unwrap()
    }
}

/// The entries behind `base`, each its term and its encoding.
#[derive(Clone)]
struct Model {
    base: EntryId,
    entries: Vec<(u64, Vec<u8>)>,
}

impl Model {
    fn last(&self) -> EntryId {
        let term = self.entries.last().map_or(self.base.term, |(term, _)| Term(*term));
        EntryId { term, index: self.base.index.plus(self.entries.len().try_into().unwrap()) }
    }

    fn bytes(&self, entries: core::ops::Range<usize>) -> Vec<u8> {
        self.entries[entries].iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    fn term(&self, index: u64) -> Option<u64> {
        let position = index.checked_sub(self.base.index.0)?;
        let Some(position) = position.checked_sub(1) else {
            return Some(self.base.term.0);
        };
        self.entries.get(usize::try_from(position).unwrap()).map(|(term, _)| *term)
    }

    fn truncate(&mut self, from: u64) {
        let kept = from.saturating_sub(self.base.index.0 + 1);
        self.entries.truncate(usize::try_from(kept).unwrap());
    }

    fn compact(&mut self, upto: u64) {
        let index = upto.min(self.last().index.0);
        if let Some(dropped) = index.checked_sub(self.base.index.0) {
            self.base = id(self.term(index).unwrap(), index);
            self.entries.drain(..usize::try_from(dropped).unwrap());
        }
    }
}

fn compare<M: Memory>(log: &Log<M>, model: &Model, random: &mut Random) {
    assert_eq!((log.base(), log.last()), (model.base, model.last()));
    let count = model.entries.len();
    let base = model.base.index.0;
    let all = model.bytes(0..count);
    assert_eq!(log.slices(Index(0)).concat(), all);
    assert_eq!(log.used_bytes(), all.len());
    assert_eq!(log.is_empty(), count == 0);
    for index in base.saturating_sub(1)..base + u64::try_from(count).unwrap() + 2 {
        assert_eq!(log.term_at(Index(index)).map(|term| term.0), model.term(index));
        let entry = log.entry(Index(index)).map(|entry| encode(entry.id.term.0, 2, entry.data));
        let position = index.checked_sub(base + 1).map(|at| usize::try_from(at).unwrap());
        assert_eq!(entry.as_ref(), position.and_then(|at| Some(&model.entries.get(at)?.1)));
    }
    let from = random.size_below(u64::try_from(count).unwrap() + 1);
    let limit = random.size_below(300);
    let (run, last) = log.run(Index(base + 1 + u64::try_from(from).unwrap()), limit);
    let upto = usize::try_from(last.0 - base).unwrap();
    assert_eq!(run, model.bytes(from..upto));
    assert!(run.len() <= limit);
    assert_eq!(log.bytes_between(Index(base + u64::try_from(from).unwrap()), last), run.len());
    if let Some((_, next)) = model.entries.get(upto) {
        let starts_ring = log.slices(last.next())[0].as_ptr() == log.memory.bytes().as_ptr();
        assert!(run.len() + next.len() > limit || starts_ring, "the run is too short");
    }
    let term = random.below(9);
    let index = base + random.below(20);
    let hint = log.last_index_at_or_below(Index(index), Term(term));
    let found = (base + 1..=index).rev().find_map(|index| {
        let found = model.term(index).filter(|at| *at <= term)?;
        Some(id(found, index))
    });
    assert_eq!(hint, found.unwrap_or(model.base));
}

/// Appends to both; the log may refuse only for want of room.
fn append<M: Memory>(log: &mut Log<M>, model: &mut Model, random: &mut Random) -> bool {
    let term = model.last().term.0.max(1) + u64::from(random.below(6) == 0);
    let data = vec![random.byte(); random.size_below(80)];
    let encoded = encode(term, 2, &data);
    match log.append(Term(term), COMMAND, &data) {
        Ok(at) => {
            assert!(encoded.len() <= log.largest_entry());
            model.entries.push((term, encoded));
            assert_eq!(at, model.last());
            false
        }
        Err(AppendError::TooLarge) => {
            assert!(encoded.len() > log.largest_entry());
            false
        }
        Err(AppendError::LogFull) => {
            // Less than half of the ring is free, or no slot is.
            let no_slot = log.free_entries() == 0;
            let used = log.used_bytes() + 2 * (encoded.len() - 1);
            assert!(no_slot || used + log.largest_entry() > log.capacity_bytes());
            true
        }
    }
}

/// Sends both a run that starts anywhere, repeats what is there, and then goes on or conflicts.
fn extend<M: Memory>(log: &mut Log<M>, model: &mut Model, random: &mut Random) -> [bool; 3] {
    let count = u64::try_from(model.entries.len()).unwrap();
    let (base, end) = (model.base.index.0, model.last().index.0);
    let start = random.size_below(count + 1);
    let same = start + random.size_below(u64::try_from(model.entries.len() - start).unwrap() + 1);
    let committed = base + random.below(count + 1).saturating_sub(random.below(8));
    let mut run = model.entries[start..same].to_vec();
    let before = if same == 0 { model.base.term.0 } else { model.entries[same - 1].0 };
    let mut term = before.max(1);
    let first_new = base + u64::try_from(same).unwrap() + 1;
    if random.below(2) == 0 {
        // A term that differs from what stands there, or nothing more.
        term += random.below(3);
        if model.term(first_new).is_none_or(|ours| ours != term) {
            for _entry in 0..random.below(5) {
                term += u64::from(random.below(5) == 0);
                run.push((term, encode(term, 2, &vec![random.byte(); random.size_below(40)])));
            }
        }
    }
    let new_at = same - start;
    let is_new = run.len() > new_at && model.term(first_new) != Some(run[new_at].0);
    let run = if is_new { run } else { run[..new_at].to_vec() };
    let mut bytes: Vec<u8> = run.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let prev = base + u64::try_from(start).unwrap();
    let is_broken = random.below(5) == 0;
    if is_broken {
        bytes.extend_from_slice([&[9, 0, 1][..], &[2, 0, 0, 2], &[3]][random.size_below(3)]);
    }
    let result = log.extend(Index(prev), &bytes, Index(committed), Term(term));
    if is_broken {
        assert_eq!(result, Err(BadRun::Malformed));
        return [true, false, false];
    }
    let is_conflict = is_new && first_new <= end;
    if is_conflict && first_new <= committed {
        assert_eq!(result, Err(BadRun::ConflictsWithCommitted));
        return [false, true, false];
    }
    let extended = result.unwrap();
    assert_eq!(extended.truncated, is_conflict.then_some(Index(first_new)));
    if is_conflict {
        model.truncate(first_new);
    }
    let taken = usize::try_from(extended.verified.0 - prev).unwrap();
    model.entries.extend_from_slice(run.get(new_at..taken).unwrap_or_default());
    if let Some((_, next)) = run.get(taken) {
        let no_slot = log.free_entries() == 0;
        let used = log.used_bytes() + 2 * (next.len() - 1);
        assert!(no_slot || used + log.largest_entry() > log.capacity_bytes());
    }
    [false, false, is_conflict]
}

#[test]
fn a_log_behaves_like_a_list_of_entries() {
    let mut happened = [0_u64; 6];
    for seed in 1..=120_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bytes = 256 + random.size_below(345);
        let slots = [4, 8, 16][random.size_below(3)];
        let mut log = Log::new(Buffers::new(vec![0xee; bytes], vec![Slot::ZERO; slots])).unwrap();
        let mut model = Model { base: id(0, 0), entries: Vec::new() };
        for _operation in 0..500 {
            let (base, last) = (model.base.index.0, model.last().index.0);
            match random.below(16) {
                0..7 => happened[0] += u64::from(append(&mut log, &mut model, &mut random)),
                7..12 => {
                    let [broken, committed, conflict] = extend(&mut log, &mut model, &mut random);
                    happened[1] += u64::from(broken);
                    happened[2] += u64::from(committed);
                    happened[3] += u64::from(conflict);
                }
                12 => {
                    let from = base + random.below(last - base + 3);
                    log.truncate(Index(from));
                    model.truncate(from);
                }
                13..15 => {
                    let upto = (base + random.below(last - base + 3)).saturating_sub(1);
                    log.compact(Index(upto));
                    model.compact(upto);
                }
                _ if random.below(10) == 0 => {
                    let base = id(model.last().term.0 + 1, last + random.below(9));
                    log.reset(base);
                    model = Model { base, entries: Vec::new() };
                }
                _ => {}
            }
            happened[4] += u64::from(log.ring.wrap.is_some());
            happened[5] += u64::from(log.free_entries() == 0);
            compare(&log, &model, &mut random);
        }
    }
    // A test that never reaches a border proves nothing about it.
    assert!(happened.iter().all(|times| *times > 100), "{happened:?}");
}
