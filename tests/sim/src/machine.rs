//! The replicated state of the simulation: a few numbers, whose every change leaves a trace.

use std::cell::RefCell;
use std::rc::Rc;

use coracle::{BadSnapshot, Full, Sink, Source, StateMachine};
use serde::{Deserialize, Serialize};

use crate::chance::mix;

/// How many numbers there are.
pub const KEYS: usize = 8;

/// A number that is written is a multiple of this, so that whatever is added to it in one run never
/// makes it another number that is written.
pub const WRITE_STEP: u64 = 1 << 20;

/// Which operation of the run's history a command carries out. No two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationId(pub u32);

/// What happens to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It becomes this one.
    Write(u64),
    /// It grows by one: done twice, it shows.
    Increment,
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<'a> {
    /// Which it is.
    pub operation: OperationId,
    /// Which number changes.
    pub key: u8,
    /// How.
    pub change: Change,
    /// Makes commands of many lengths.
    #[serde(borrow, serialize_with = "as_bytes")]
    pub padding: &'a [u8],
}

fn as_bytes<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// A command that a machine has applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub operation: OperationId,
    /// The number after it.
    pub value: u64,
}

/// Where a machine notes what it applies, for the simulator to read.
pub type Tape = Rc<RefCell<Vec<Taken>>>;

/// The numbers, and a digest of all the commands that made them, in their order.
#[derive(Clone, Debug)]
pub struct Machine {
    values: [u64; KEYS],
    digest: u64,
    tape: Tape,
}

impl Machine {
    /// All zero.
    #[must_use]
    pub fn new(tape: &Tape) -> Self {
        Self { values: [0; KEYS], digest: 0, tape: Rc::clone(tape) }
    }

    /// The same for two machines that have applied the same commands in the same order.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// One number.
    #[must_use]
    pub fn value(&self, key: u8) -> u64 {
        self.values[usize::from(key) % KEYS]
    }
}

impl StateMachine for Machine {
    type Command<'a> = Command<'a>;
    type Response = u64;
    type Query = u8;
    type Answer<'a> = u64;

    fn apply(&mut self, command: Command<'_>) -> u64 {
        let key = usize::from(command.key) % KEYS;
        let value = match command.change {
            Change::Write(value) => value,
            Change::Increment => self.values[key].wrapping_add(1),
        };
        self.values[key] = value;
        self.digest = mix(mix(self.digest, u64::from(command.operation.0)), value ^ key as u64);
        self.tape.borrow_mut().push(Taken { operation: command.operation, value });
        value
    }

    fn query(&self, key: &u8) -> u64 {
        self.value(*key)
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        for value in self.values.iter().chain([&self.digest]) {
            sink.write(&value.to_le_bytes())?;
        }
        Ok(())
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let tape = Rc::clone(&self.tape);
        *self = Self::new(&tape);
        let mut restored = Self::new(&tape);
        for value in restored.values.iter_mut().chain([&mut restored.digest]) {
            let mut bytes = [0; 8];
            source.read(&mut bytes)?;
            *value = u64::from_le_bytes(bytes);
        }
        *self = restored;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_applied_twice_or_in_another_order_gives_another_digest() {
        let command = |operation, change| Command {
            operation: OperationId(operation),
            key: 1,
            change,
            padding: &[0; 3],
        };
        let digest = |commands: &[Command<'_>]| {
            let mut machine = Machine::new(&Tape::default());
            commands.iter().for_each(|command| {
                machine.apply(*command);
            });
            machine.digest()
        };
        let write = command(1, Change::Write(WRITE_STEP));
        let increment = command(2, Change::Increment);
        assert_ne!(digest(&[write, increment]), digest(&[increment, write]));
        assert_ne!(digest(&[write, increment]), digest(&[write, increment, increment]));
    }

    #[test]
    fn a_restored_machine_has_the_values_and_the_digest() {
        let mut machine = Machine::new(&Tape::default());
        let command = Command {
            operation: OperationId(7),
            key: 3,
            change: Change::Write(WRITE_STEP),
            padding: &[],
        };
        machine.apply(command);
        let mut bytes = coracle_snapshot(&machine);
        let mut restored = Machine::new(&Tape::default());
        assert_eq!(restored.restore(&mut &bytes[..]), Ok(()));
        assert_eq!((restored.value(3), restored.digest()), (WRITE_STEP, machine.digest()));
        bytes.pop();
        assert_eq!(restored.restore(&mut &bytes[..]), Err(BadSnapshot));
        assert_eq!(restored.value(3), 0);
    }

    fn coracle_snapshot(machine: &Machine) -> Vec<u8> {
        struct Bytes(Vec<u8>);
        impl Sink for Bytes {
            fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
                self.0.extend_from_slice(bytes);
                Ok(())
            }
        }
        let mut bytes = Bytes(Vec::new());
        assert_eq!(machine.snapshot(&mut bytes), Ok(()));
        bytes.0
    }
}
