//! NOR flash that keeps its rules, and loses its power.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind};
use embedded_storage::nor_flash::{ReadNorFlash, check_erase, check_read, check_write};
use rand_core::{Rng, SeedableRng};

use crate::script::Chance;

/// Flash of words of `WORD` bytes, of which `READ` are read at once, and of pages of `PAGE`. Clones
/// are the same chip.
#[derive(Clone, Debug)]
pub struct Nor<const READ: usize, const WORD: usize, const PAGE: usize>(Rc<RefCell<Chip>>);

#[derive(Clone, Debug)]
struct Chip {
    bytes: Vec<u8>,
    /// Which words were written, or half erased, since they were erased.
    is_written: Vec<bool>,
    /// How many writes and erases there were.
    steps: u64,
    /// How many there may be before the power goes.
    dies_at: u64,
    erases: Vec<u64>,
    chance: Chance,
}

/// The driver's errors: the power is gone, or it was asked for nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead;

impl NorFlashError for Dead {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> Nor<READ, WORD, PAGE> {
    pub fn new(pages: usize) -> Self {
        Self(Rc::new(RefCell::new(Chip {
            bytes: vec![0xff; pages * PAGE],
            is_written: vec![false; pages * PAGE / WORD],
            steps: 0,
            dies_at: u64::MAX,
            erases: vec![0; pages],
            chance: Chance::seed_from_u64(0),
        })))
    }

    /// Another chip of the same contents, with power.
    pub fn copy(&self) -> Self {
        let mut chip = self.0.borrow().clone();
        chip.dies_at = u64::MAX;
        chip.steps = 0;
        Self(Rc::new(RefCell::new(chip)))
    }

    /// The power goes in the middle of the step of this number; the seed says what that leaves.
    pub fn die_at(&self, step: u64, seed: u64) {
        let mut chip = self.0.borrow_mut();
        chip.dies_at = step;
        chip.chance = Chance::seed_from_u64(seed);
    }

    pub fn restore_power(&self) {
        self.0.borrow_mut().dies_at = u64::MAX;
    }

    pub fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    pub fn erases(&self) -> Vec<u64> {
        self.0.borrow().erases.clone()
    }

    pub fn flip(&self, bit: usize) {
        self.0.borrow_mut().bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// Fills all with what may have been there before.
    pub fn fill(&self, seed: u64) {
        let mut chip = self.0.borrow_mut();
        chip.chance = Chance::seed_from_u64(seed);
        let mut bytes = std::mem::take(&mut chip.bytes);
        chip.chance.fill_bytes(&mut bytes);
        chip.bytes = bytes;
        chip.is_written.fill(true);
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }
}

impl Chip {
    /// Whether the power holds for one more step.
    fn step(&mut self) -> Result<bool, Dead> {
        if self.steps > self.dies_at {
            return Err(Dead);
        }
        self.steps += 1;
        Ok(self.steps <= self.dies_at)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.chance.next_u64() >> 56).unwrap()
    }

    /// What a word becomes when the power goes: nothing, all, or any of its bits are programmed.
    fn tear(&mut self, old: u8, new: u8, kind: u64) -> u8 {
        match kind {
            0 => old,
            1 => new,
            _ => new | self.byte() & old,
        }
    }

    /// What a byte becomes when the power goes while its page is erased.
    fn half_erase(&mut self, old: u8, kind: u64) -> u8 {
        match kind {
            0 => old,
            1 => 0xff,
            // As some chips do first.
            2 => 0,
            3 => old | self.byte(),
            4 if self.byte() < 128 => old,
            4 => 0xff,
            _ => self.byte(),
        }
    }
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> ErrorType for Nor<READ, WORD, PAGE> {
    type Error = Dead;
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> ReadNorFlash
    for Nor<READ, WORD, PAGE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Dead> {
        check_read(self, offset, bytes.len()).expect("a read within the flash");
        let chip = self.0.borrow();
        if chip.steps > chip.dies_at {
            return Err(Dead);
        }
        let offset = usize::try_from(offset).unwrap();
        bytes.copy_from_slice(&chip.bytes[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().bytes.len()
    }
}

impl<const READ: usize, const WORD: usize, const PAGE: usize> NorFlash for Nor<READ, WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Dead> {
        check_erase(self, from, to).expect("an erase of whole pages");
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        let mut chip = self.0.borrow_mut();
        for page in from / PAGE..to / PAGE {
            let has_power = chip.step()?;
            let kind = chip.chance.next_u64() % 6;
            for byte in page * PAGE..(page + 1) * PAGE {
                let old = chip.bytes[byte];
                chip.bytes[byte] = if has_power { 0xff } else { chip.half_erase(old, kind) };
            }
            chip.is_written[page * PAGE / WORD..(page + 1) * PAGE / WORD].fill(!has_power);
            chip.erases[page] += 1;
            if !has_power {
                return Err(Dead);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Dead> {
        check_write(self, offset, bytes.len()).expect("a write of whole words");
        let offset = usize::try_from(offset).unwrap();
        let mut chip = self.0.borrow_mut();
        let has_power = chip.step()?;
        // In order up to somewhere, or each word for itself.
        let words = u64::try_from(bytes.len() / WORD).unwrap();
        let upto = usize::try_from(chip.chance.next_u64() % words).unwrap();
        let is_in_order = chip.chance.next_u64().is_multiple_of(2);
        for (place, word) in bytes.chunks(WORD).enumerate() {
            let at = offset + place * WORD;
            assert!(!chip.is_written[at / WORD], "the word at {at:#x} is written twice");
            let kind = match (has_power, is_in_order) {
                (true, _) => 1,
                (false, true) if place < upto => 1,
                (false, true) if place > upto => 0,
                (false, true) => 2,
                (false, false) => chip.chance.next_u64() % 3,
            };
            for (byte, new) in word.iter().enumerate() {
                let old = chip.bytes[at + byte];
                assert_eq!(old, 0xff, "the byte at {:#x} was not erased", at + byte);
                chip.bytes[at + byte] = chip.tear(old, *new, kind);
            }
            // What was left untouched is as blank as it was.
            chip.is_written[at / WORD] = kind != 0;
        }
        if has_power { Ok(()) } else { Err(Dead) }
    }
}
