//! Files in memory. What was not synced may survive a crash or not, each write for itself, cut off
//! at any byte; of unsynced names the first so many survive.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use coracle_disk::{File, Files};
use rand_core::Rng;

/// A directory.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<World>>);

/// A file in it.
pub struct FakeFile {
    world: Fake,
    place: usize,
}

#[derive(Clone, Default)]
struct World {
    contents: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<Change>,
    /// How many changes and syncs were asked for.
    steps: u64,
    dies_at: Option<u64>,
    fails_at: Option<(u64, ErrorKind)>,
    is_dead: bool,
    room: Option<usize>,
}

#[derive(Clone, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone)]
enum Change {
    Name(String, usize),
    Rename(String, String),
    Remove(String),
}

impl Fake {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.world().steps
    }

    /// The power goes in the middle of this step.
    pub fn die_at(&self, step: u64) {
        self.world().dies_at = Some(step);
    }

    /// This step fails.
    pub fn fail_at(&self, step: u64, kind: ErrorKind) {
        self.world().fails_at = Some((step, kind));
    }

    /// All files together have no more bytes than this.
    pub fn limit(&self, room: Option<usize>) {
        self.world().room = room;
    }

    /// Another directory with the same contents.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.world().clone())))
    }

    /// What is there when the power is back.
    pub fn after_crash(&self, chance: &mut impl Rng) -> Self {
        let world = self.world();
        let mut names = world.durable_names.clone();
        let kept = below(chance, world.pending_names.len() + 1);
        world.pending_names.iter().take(kept).for_each(|change| change.apply(&mut names));
        let contents = world.contents.iter().map(|contents| contents.after_crash(chance));
        let contents = contents.collect();
        let durable_names = names.clone();
        let survivor = World { contents, names, durable_names, ..World::default() };
        Self(Arc::new(Mutex::new(survivor)))
    }

    /// The bytes of a file.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(name).map(|place| world.contents[*place].now.clone())
    }

    /// Puts other bytes in the place of a file's, durably.
    pub fn replace(&self, name: &str, bytes: Vec<u8>) {
        let mut world = self.world();
        let place = world.names[name];
        let durable = bytes.clone();
        world.contents[place] = Contents { now: bytes, durable, pending: Vec::new() };
    }

    /// Changes something, unless the power goes or the step fails; then perhaps all the same.
    fn change(&self, act: impl FnOnce(&mut World)) -> io::Result<()> {
        let mut world = self.world();
        if world.is_dead {
            return Err(ErrorKind::Interrupted.into());
        }
        let step = world.steps;
        world.steps += 1;
        if let Some((at, kind)) = world.fails_at
            && at == step
        {
            return Err(kind.into());
        }
        act(&mut world);
        if world.dies_at == Some(step) {
            world.is_dead = true;
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    /// Makes something durable, unless the power goes before.
    fn sync(&self, act: impl FnOnce(&mut World)) -> io::Result<()> {
        let (is_alive, step) = {
            let world = self.world();
            (world.dies_at != Some(world.steps) && !world.is_dead, world.steps)
        };
        let fails = self.world().fails_at.is_some_and(|(at, _)| at == step);
        self.change(|world| {
            if is_alive && !fails {
                act(world);
            }
        })
    }
}

impl Contents {
    fn after_crash(&self, chance: &mut impl Rng) -> Self {
        let mut now = self.durable.clone();
        for write in &self.pending {
            match (write, chance.next_u64() % 4) {
                (_, 0) => {}
                (Write::Length(length), _) => now.resize(*length, 0),
                (Write::Bytes(offset, bytes), 1) => put(&mut now, *offset, bytes),
                (Write::Bytes(offset, bytes), 2) => {
                    put(&mut now, *offset, &bytes[..below(chance, bytes.len() + 1)]);
                }
                (Write::Bytes(offset, bytes), _) => {
                    let from = below(chance, bytes.len() + 1);
                    put(&mut now, offset + from, &bytes[from..]);
                }
            }
        }
        Self { durable: now.clone(), now, pending: Vec::new() }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Name(name, place) => {
                names.insert(name.clone(), *place);
            }
            Self::Rename(from, to) => {
                if let Some(place) = names.remove(from) {
                    names.insert(to.clone(), place);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Files for Fake {
    type File = FakeFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.world().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<FakeFile> {
        let mut place = 0;
        self.change(|world| {
            place = world.contents.len();
            world.contents.push(Contents::default());
            world.name(Change::Name(name.to_owned(), place));
        })?;
        Ok(FakeFile { world: self.clone(), place })
    }

    fn open(&self, name: &str) -> io::Result<FakeFile> {
        let place = self.world().names.get(name).copied().ok_or(ErrorKind::NotFound)?;
        Ok(FakeFile { world: self.clone(), place })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        assert!(self.world().is_dead || self.world().names.contains_key(from), "no {from}");
        self.change(|world| world.name(Change::Rename(from.to_owned(), to.to_owned())))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.world().names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        self.change(|world| world.name(Change::Remove(name.to_owned())))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.sync(|world| {
            world.durable_names = world.names.clone();
            world.pending_names.clear();
        })
    }

    fn path(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl World {
    fn name(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn used(&self) -> usize {
        self.names.values().map(|place| self.contents[*place].now.len()).sum()
    }
}

impl File for FakeFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.world.world().contents[self.place].now.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let world = self.world.world();
        let offset = usize::try_from(offset).unwrap();
        let bytes = world.contents[self.place].now.get(offset..offset + into.len());
        into.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (offset, place) = (usize::try_from(offset).unwrap(), self.place);
        {
            let world = self.world.world();
            let more = (offset + bytes.len()).saturating_sub(world.contents[place].now.len());
            if world.room.is_some_and(|room| world.used() + more > room) {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        self.world.change(|world| {
            let contents = &mut world.contents[place];
            put(&mut contents.now, offset, bytes);
            contents.pending.push(Write::Bytes(offset, bytes.to_vec()));
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let (length, place) = (usize::try_from(length).unwrap(), self.place);
        self.world.change(|world| {
            let contents = &mut world.contents[place];
            contents.now.resize(length, 0);
            contents.pending.push(Write::Length(length));
        })
    }

    fn sync(&self) -> io::Result<()> {
        let place = self.place;
        self.world.sync(|world| {
            let contents = &mut world.contents[place];
            contents.durable = contents.now.clone();
            contents.pending.clear();
        })
    }
}

fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if into.len() < offset + bytes.len() {
        into.resize(offset + bytes.len(), 0);
    }
    into[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// A number below this one.
pub fn below(chance: &mut impl Rng, limit: usize) -> usize {
    usize::try_from(chance.next_u64() % limit as u64).unwrap()
}
