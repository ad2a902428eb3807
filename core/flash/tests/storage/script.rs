//! A run of storage: what is done one after the other, and what must be there after each.

use coracle::{
    ClusterId, EntryId, Epoch, HardState, Incarnation, Index, Member, MemberId, Members, NodeId,
    Place, Saving, Sink, Snapshot, SnapshotName, Staging, Storage, Summary, Term, Write,
    encode_members,
};
use coracle_flash::{Flash, FlashError, Identity, Layout};
use embedded_storage::nor_flash::NorFlash;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

pub type Chance = Xoshiro256PlusPlus;

pub const IDENTITY: Identity = Identity { cluster: ClusterId(5), id: NodeId(3) };
/// How many bytes of entries a node would hold; the script keeps to it.
pub const MEMORY: u32 = 1200;

/// As small as it may be, with pages of so many bytes.
pub fn layout(page: u32) -> Layout {
    let log_bytes = 2048_u32.next_multiple_of(page);
    let snapshot_bytes = 1024_u32.next_multiple_of(page);
    Layout { offset: page, log_bytes, snapshot_bytes, memory_bytes: MEMORY }
}

/// One thing that is done.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Option<HardState>, Index, Vec<Vec<u8>>),
    Save(Picture),
    /// It comes in pieces of so many bytes, in any order, and some twice.
    Install(Picture, usize),
    /// A part of a snapshot that never comes to its end.
    Stage(Picture),
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub applied: EntryId,
    pub base: EntryId,
    pub contents: Vec<u8>,
}

/// What there must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub hard: Option<HardState>,
    pub picture: Option<Picture>,
    pub base: EntryId,
    pub entries: Vec<(EntryId, Vec<u8>)>,
}

impl State {
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, |(id, _)| *id)
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    fn rebase(&mut self, base: EntryId) {
        self.entries.retain(|(id, _)| id.index > base.index);
        self.base = base;
    }

    /// What there must be after a step.
    pub fn after(&self, step: &Step) -> Self {
        let mut state = self.clone();
        match step {
            Step::Write(hard, first, entries) => {
                state.hard = hard.or(state.hard);
                if !entries.is_empty() {
                    state.entries.retain(|(id, _)| id.index < *first);
                }
                for (place, bytes) in entries.iter().enumerate() {
                    let index = first.plus(u64::try_from(place).unwrap());
                    let id = EntryId { term: term_of(bytes), index };
                    state.entries.push((id, bytes.clone()));
                }
            }
            Step::Save(picture) => {
                state.rebase(picture.base);
                state.picture = Some(picture.clone());
            }
            Step::Install(picture, _) => {
                state.entries.clear();
                state.rebase(picture.base);
                state.picture = Some(picture.clone());
            }
            Step::Stage(_) => {}
        }
        state
    }

    /// What is there.
    pub fn of<F: NorFlash>(flash: &mut Flash<F>) -> Self {
        let Some(recovered) = flash.recovered() else { return Self::default() };
        let base = recovered.base;
        let mut entries: Vec<(EntryId, Vec<u8>)> = Vec::new();
        flash
            .each_entry(&mut [0; 400], |entry| {
                let place = u64::try_from(entries.len()).unwrap();
                let index = base.index.next().plus(place);
                entries.push((EntryId { term: term_of(entry), index }, entry.to_vec()));
                Ok(())
            })
            .unwrap();
        let picture = recovered.snapshot.map(|kept| {
            let mut contents = vec![0; usize::try_from(kept.length).unwrap()];
            flash.read_snapshot(Place::Kept, 0, &mut contents).unwrap();
            Picture { applied: kept.applied, base, contents }
        });
        let state = Self { hard: Some(recovered.hard), picture, base, entries };
        assert_eq!(state.last().index, recovered.last);
        state
    }
}

/// Steps of every kind.
pub fn script(state: &State, seed: u64, count: usize) -> Vec<Step> {
    let mut chance = Chance::seed_from_u64(seed);
    let mut state = state.clone();
    let mut steps = Vec::with_capacity(count);
    while steps.len() < count {
        let step = next(&state, &mut chance);
        state = state.after(&step);
        steps.push(step);
    }
    steps
}

fn next(state: &State, chance: &mut Chance) -> Step {
    let Some(hard) = state.hard else {
        let hard = HardState { incarnation: Incarnation(9), ..HardState::default() };
        return Step::Write(Some(hard), Index(1), Vec::new());
    };
    let last = state.last();
    let at = |place: usize| state.entries[place].0;
    let is_full = state.bytes() > 900;
    match chance.next_u64() % 16 {
        3.. if is_full && state.entries.len() > 2 => {
            let applied = 2 + below(chance, state.entries.len() - 2);
            let base = below(chance, applied);
            Step::Save(Picture { applied: at(applied), base: at(base), contents: contents(chance) })
        }
        0 | 1 => Step::Write(Some(later(hard, chance)), Index(1), Vec::new()),
        2 if !is_full => {
            let hard = later(hard, chance);
            entries(state, hard.term, Some(hard), chance)
        }
        3 if hard.term > Term(2) => {
            // It may take the place of entries that it does not cover.
            let applied = state.picture.as_ref().map_or(0, |picture| picture.applied.index.0);
            let ahead = last.index.0 - applied + 5;
            let index = Index(applied + 1 + chance.next_u64() % ahead);
            let id = EntryId { term: hard.term, index };
            let picture = Picture { applied: id, base: id, contents: contents(chance) };
            if chance.next_u64().is_multiple_of(2) {
                return Step::Stage(picture);
            }
            Step::Install(picture, 10 + below(chance, 90))
        }
        _ if hard.term > Term(0) && !is_full => entries(state, hard.term, None, chance),
        _ => Step::Write(Some(later(hard, chance)), Index(1), Vec::new()),
    }
}

pub fn below(chance: &mut Chance, bound: usize) -> usize {
    usize::try_from(chance.next_u64() % u64::try_from(bound).unwrap()).unwrap()
}

fn later(hard: HardState, chance: &mut Chance) -> HardState {
    let vote = MemberId { id: NodeId(1), incarnation: Incarnation(chance.next_u64()) };
    let vote = chance.next_u64().is_multiple_of(2).then_some(vote);
    let is_new = hard.term < Term(120);
    let term = if is_new { hard.term.next() } else { hard.term };
    HardState { epoch: Epoch(4), term, vote, ..hard }
}

/// Entries, which may replace others that are not in a snapshot.
fn entries(state: &State, term: Term, hard: Option<HardState>, chance: &mut Chance) -> Step {
    let applied = state.picture.as_ref().map_or(Index::ZERO, |picture| picture.applied.index);
    let last = state.last();
    let mut first = last.index.next();
    // Only entries of an earlier term are ever replaced.
    if last.term < term && last.index > applied && chance.next_u64().is_multiple_of(2) {
        first = applied.plus(1 + chance.next_u64() % last.index.since(applied));
    }
    let count = 1 + below(chance, 4);
    Step::Write(hard, first, (0..count).map(|_| entry(term, chance)).collect())
}

/// An encoded command.
pub fn entry(term: Term, chance: &mut Chance) -> Vec<u8> {
    let data: Vec<u8> = (0..chance.next_u64() % 70).map(|_| byte(chance)).collect();
    let term = u8::try_from(term.0).unwrap();
    assert!(term < 128);
    let length = u16::try_from(data.len() + 2).unwrap();
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([term, 2]);
    bytes.extend(data);
    bytes
}

fn term_of(entry: &[u8]) -> Term {
    Term(u64::from(entry[2]))
}

fn contents(chance: &mut Chance) -> Vec<u8> {
    (0..1 + chance.next_u64() % 300).map(|_| byte(chance)).collect()
}

fn byte(chance: &mut Chance) -> u8 {
    u8::try_from(chance.next_u64() % 256).unwrap()
}

/// Does a step.
pub fn act<F: NorFlash>(flash: &mut Flash<F>, step: &Step) -> Result<(), FlashError<F::Error>> {
    match step {
        Step::Write(hard, first, entries) => {
            let half = entries.len() / 2;
            let (front, back) = (entries[..half].concat(), entries[half..].concat());
            let count = u64::try_from(entries.len()).unwrap();
            let last = EntryId { term: Term(1), index: Index(first.0 + count).previous() };
            let write = Write { hard: *hard, first: *first, runs: [front.as_slice(), &back], last };
            assert_eq!(write.has_entries(), count > 0);
            flash.write(&write)
        }
        Step::Save(picture) => {
            let saved = save(flash, picture)?;
            assert_eq!(saved, Saving::Kept(summary(&picture.contents)));
            Ok(())
        }
        Step::Install(picture, piece) => {
            stage(flash, picture, *piece, usize::MAX)?;
            with_snapshot(picture, |snapshot| flash.install(snapshot))
        }
        Step::Stage(picture) => stage(flash, picture, 50, 3),
    }
}

pub fn save<F: NorFlash>(
    flash: &mut Flash<F>,
    picture: &Picture,
) -> Result<Saving, FlashError<F::Error>> {
    with_snapshot(picture, |snapshot| {
        flash.save_snapshot(snapshot, &|sink: &mut dyn Sink| {
            picture.contents.chunks(7).try_for_each(|piece| sink.write(piece))?;
            Ok(summary(&picture.contents))
        })
    })
}

/// Hands some pieces over, the last first, and one of them twice.
fn stage<F: NorFlash>(
    flash: &mut Flash<F>,
    picture: &Picture,
    piece: usize,
    most: usize,
) -> Result<(), FlashError<F::Error>> {
    let Summary { length, checksum } = summary(&picture.contents);
    let name = SnapshotName { last: picture.applied, length, checksum };
    let pieces: Vec<_> = picture.contents.chunks(piece).enumerate().collect();
    for (place, bytes) in pieces.iter().rev().take(most).chain(pieces.last()) {
        let offset = u64::try_from(place * piece).unwrap();
        assert_eq!(flash.stage(name, offset, bytes)?, Staging::Kept);
    }
    if most > pieces.len() {
        let mut whole = vec![0; picture.contents.len()];
        flash.read_snapshot(Place::Staged, 0, &mut whole)?;
        assert_eq!(whole, picture.contents);
    }
    Ok(())
}

pub fn with_snapshot<R>(picture: &Picture, act: impl FnOnce(&Snapshot<'_>) -> R) -> R {
    let mut space = [0; 256];
    let voter = MemberId { id: NodeId(3), incarnation: Incarnation(9) };
    let length = encode_members(&[Member::voter(voter, 1200)], &mut space).unwrap();
    let members = Members::parse(&space[..length]).unwrap();
    let Picture { applied, base, .. } = *picture;
    act(&Snapshot { applied, base, configuration: Index(1), members })
}

pub fn summary(bytes: &[u8]) -> Summary {
    let length = u64::try_from(bytes.len()).unwrap();
    Summary { length, checksum: crc32fast::hash(bytes) }
}
