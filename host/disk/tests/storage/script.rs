//! A run of storage: what is done one after the other, and what must be there after each.

use coracle::{
    ClusterId, EntryId, Epoch, Full, HardState, Incarnation, Index, Member, MemberId, Members,
    NodeId, Sink, Snapshot, Summary, Term, encode_members,
};
use coracle_disk::{Batch, DiskError, File, Files, Identity, Medium, Options, Recovered, walk};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::fake::{Fake, below};

pub type Chance = Xoshiro256PlusPlus;

pub const IDENTITY: Identity = Identity { cluster: ClusterId(5), id: NodeId(3) };
pub const OPTIONS: Options = Options { segment_bytes: 4096, entry_bytes: 256, salt: 77 };

/// One thing that is done.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Batch),
    Save(Picture),
    Install(Picture),
    Found(HardState, Picture),
    Settle,
    Prepare,
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

impl Picture {
    fn write(&self, sink: &mut dyn Sink) -> Result<Summary, Full> {
        self.contents.chunks(7).try_for_each(|piece| sink.write(piece))?;
        Ok(summary(&self.contents))
    }
}

impl State {
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, |(id, _)| *id)
    }

    fn put(&mut self, id: EntryId, bytes: &[u8]) {
        self.entries.retain(|(other, _)| other.index < id.index);
        self.entries.push((id, bytes.to_vec()));
    }

    fn rebase(&mut self, base: EntryId) {
        self.entries.retain(|(id, _)| id.index > base.index);
        self.base = base;
    }

    /// Everything that there may be if the power goes while a step is done; the last is what there
    /// must be afterwards.
    pub fn on_the_way(&self, step: &Step) -> Vec<Self> {
        let mut states = vec![self.clone()];
        let mut state = self.clone();
        match step {
            Step::Write(batch) => {
                state.hard = batch.hard.or(state.hard);
                states.push(state.clone());
                for (first, run) in &batch.runs {
                    for entry in walk(run, *first).flatten() {
                        state.put(entry.id, entry.bytes);
                        states.push(state.clone());
                    }
                }
            }
            Step::Save(picture) => {
                state.rebase(picture.base);
                state.picture = Some(picture.clone());
                states.push(state);
            }
            Step::Install(picture) => {
                state.entries.clear();
                state.rebase(picture.base);
                state.picture = Some(picture.clone());
                states.push(state);
            }
            // All of it or nothing.
            Step::Found(hard, picture) => {
                state.hard = Some(*hard);
                state.entries.clear();
                state.rebase(picture.base);
                state.picture = Some(picture.clone());
                states.push(state);
            }
            Step::Settle | Step::Prepare => {}
        }
        states
    }

    /// What is there.
    pub fn of(files: &Fake, recovered: &Recovered) -> Self {
        let entries = walk(&recovered.run, recovered.base.index.next());
        let entries = entries.map(|entry| entry.unwrap()).map(|it| (it.id, it.bytes.to_vec()));
        let picture = recovered.snapshot.as_ref().map(|kept| Picture {
            applied: kept.applied,
            base: recovered.base,
            contents: files.bytes("snapshot").unwrap().split_off(4096),
        });
        let entries = entries.collect();
        Self { hard: recovered.hard, picture, base: recovered.base, entries }
    }
}

/// Steps of every kind, with the states that there must be after each.
pub fn script(seed: u64, count: usize) -> Vec<(Step, State)> {
    from(&State::default(), seed, count)
}

/// The same, from a state on.
pub fn from(state: &State, seed: u64, count: usize) -> Vec<(Step, State)> {
    let mut chance = Chance::seed_from_u64(seed);
    let mut state = state.clone();
    let mut steps = Vec::with_capacity(count);
    while steps.len() < count {
        let step = next(&state, &mut chance);
        state = state.on_the_way(&step).pop().unwrap();
        steps.push((step, state.clone()));
    }
    steps
}

fn next(state: &State, chance: &mut Chance) -> Step {
    let Some(hard) = state.hard else {
        let hard = HardState { incarnation: Incarnation(9), ..HardState::default() };
        return Step::Write(Batch { hard: Some(hard), runs: Vec::new() });
    };
    let kind = chance.next_u64() % 16;
    let last = state.last();
    match kind {
        0 | 1 => Step::Write(Batch { hard: Some(later(hard, chance)), runs: Vec::new() }),
        2 => {
            let hard = later(hard, chance);
            Step::Write(Batch { hard: Some(hard), runs: runs(state, hard.term, 2, chance) })
        }
        3 if state.entries.len() > 6 => {
            let at = |place: usize| state.entries[place].0;
            let applied = 2 + below(chance, state.entries.len() - 2);
            let base = below(chance, applied);
            let contents = contents(chance);
            Step::Save(Picture { applied: at(applied), base: at(base), contents })
        }
        4 if hard.term > Term(2) && chance.next_u64().is_multiple_of(3) => {
            let index = last.index.plus(1 + chance.next_u64() % 5);
            let id = EntryId { term: hard.term, index };
            Step::Install(Picture { applied: id, base: id, contents: contents(chance) })
        }
        5 => Step::Settle,
        6 => Step::Prepare,
        8 if last.index > Index::ZERO && chance.next_u64().is_multiple_of(3) => {
            let incarnation = Incarnation(chance.next_u64());
            let (id, term) = (IDENTITY.id, hard.term.next());
            let vote = Some(MemberId { id, incarnation });
            let hard = HardState { incarnation, epoch: Epoch(chance.next_u64()), term, vote };
            let id = EntryId { term, index: last.index.next() };
            Step::Found(hard, Picture { applied: id, base: id, contents: contents(chance) })
        }
        7 if hard.term > Term(0) => {
            Step::Write(Batch { hard: None, runs: runs(state, hard.term, 40, chance) })
        }
        _ if hard.term > Term(0) => {
            Step::Write(Batch { hard: None, runs: runs(state, hard.term, 4, chance) })
        }
        _ => Step::Write(Batch { hard: Some(later(hard, chance)), runs: Vec::new() }),
    }
}

fn later(hard: HardState, chance: &mut Chance) -> HardState {
    let vote = MemberId { id: NodeId(1), incarnation: Incarnation(chance.next_u64()) };
    let vote = chance.next_u64().is_multiple_of(2).then_some(vote);
    let epoch = if hard.epoch == Epoch(0) { Epoch(4) } else { hard.epoch };
    HardState { epoch, term: hard.term.next(), vote, ..hard }
}

/// One run or two, the first of which may replace entries that are not in a snapshot.
fn runs(state: &State, term: Term, most: usize, chance: &mut Chance) -> Vec<(Index, Vec<u8>)> {
    let applied = state.picture.as_ref().map_or(Index::ZERO, |picture| picture.applied.index);
    let last = state.last();
    let mut first = last.index.next();
    // Only entries of an earlier term are ever replaced.
    if last.term < term && last.index > applied && chance.next_u64().is_multiple_of(2) {
        first = applied.plus(1 + chance.next_u64() % last.index.since(applied));
    }
    let mut runs = Vec::with_capacity(2);
    for _run in 0..=below(chance, 2) {
        let count = 1 + below(chance, most);
        let run: Vec<u8> = (0..count).flat_map(|_| entry(term, chance)).collect();
        runs.push((first, run));
        first = first.plus(count as u64);
    }
    runs
}

/// An encoded command.
pub fn entry(term: Term, chance: &mut impl Rng) -> Vec<u8> {
    let data: Vec<u8> = (0..chance.next_u64() % 150)
        .map(|_| u8::try_from(chance.next_u64() % 256).unwrap())
        .collect();
    let term = u8::try_from(term.0).unwrap();
    assert!(term < 128);
    let length = u16::try_from(data.len() + 2).unwrap();
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([term, 2]);
    bytes.extend(data);
    bytes
}

fn contents(chance: &mut Chance) -> Vec<u8> {
    (0..1 + chance.next_u64() % 300)
        .map(|_| u8::try_from(chance.next_u64() % 256).unwrap())
        .collect()
}

/// Does a step.
pub fn act(files: &Fake, medium: &mut Medium<Fake>, step: &Step) -> Result<bool, DiskError> {
    match step {
        Step::Write(batch) => medium.write(batch).map(|()| true),
        Step::Settle => medium.settle().map(|()| true),
        Step::Prepare => medium.prepare().map(|()| true),
        Step::Save(picture) => with_snapshot(picture, |snapshot| {
            let saved = medium.save(snapshot, &|sink| picture.write(sink))?;
            Ok(saved.is_some())
        }),
        Step::Found(hard, picture) => with_snapshot(picture, |snapshot| {
            let saved = medium.found(hard, snapshot, &|sink| picture.write(sink))?;
            Ok(saved.is_some())
        }),
        Step::Install(picture) => with_snapshot(picture, |snapshot| {
            let broken = |error: std::io::Error| DiskError::Foreign {
                file: "staged".to_owned(),
                what: error.to_string(),
            };
            let file = files.create("staged").map_err(broken)?;
            file.write_at(4096, &picture.contents).map_err(broken)?;
            let Summary { length, checksum } = summary(&picture.contents);
            medium.install(&file, snapshot, (length, checksum)).map(|()| true)
        }),
    }
}

fn with_snapshot<R>(picture: &Picture, act: impl FnOnce(&Snapshot<'_>) -> R) -> R {
    let mut space = [0; 256];
    let voter = MemberId { id: NodeId(3), incarnation: Incarnation(9) };
    let length = encode_members(&[Member::voter(voter, 1200)], &mut space).unwrap();
    let members = Members::parse(&space[..length]).unwrap();
    let Picture { applied, base, .. } = *picture;
    act(&Snapshot { applied, base, configuration: Index(1), members })
}

pub fn summary(bytes: &[u8]) -> Summary {
    Summary { length: bytes.len() as u64, checksum: crc32fast::hash(bytes) }
}

/// Opens what is there.
pub fn open(files: &Fake) -> Result<(Medium<Fake>, Recovered), DiskError> {
    Medium::open(files.clone(), IDENTITY, OPTIONS)
}
