//! One machine that is all three: the integer, the adder and the store.

use coracle::{BadSnapshot, Full, Sink, Source, StateMachine};
use serde::{Deserialize, Serialize};

use crate::{
    affine::{Affine, evaluate},
    bytes,
    integer::{Integer, Number, TooLarge},
    key_value::{KeyValue, MAX_KEY_BYTES, SetError, Slot},
    sum::sum,
};

/// A replicated integer, an adder and a key-value store.
///
/// `LIMIT` bytes bound the integer's function (see [`Affine`]), and the lengths of `B` and `S` the
/// store (see [`KeyValue`]). They decide what is refused: all nodes of a cluster must have the same
/// ones, or their states drift apart. `INIT` bytes hold this node's own initial value; they may
/// differ from node to node, as the value itself does.
///
/// A snapshot is the byte 1; `a` and `b`, each a byte for the sign, the length as a u16 and the
/// magnitude; the number of keys as a u32; and for each key, in order, its length as a u8, its
/// value's length as a u16, the key and the value. All is little-endian. The source of a snapshot
/// must end where the snapshot ends.
///
/// ```
/// use coracle::StateMachine;
/// use coracle_machines::{Command, Number, Query, Small};
///
/// let mut node = Small::small(4);
/// node.apply(Command::Add(Number::from(10_i64).as_integer()));
/// assert_eq!(node.query(&Query::Integer).integer(), Some(Number::from(14_i64)));
/// ```
#[derive(Clone)]
pub struct Machine<B, S, const LIMIT: usize = LIMIT_BYTES, const INIT: usize = 16> {
    /// This node's own, so in no snapshot.
    init: Number<INIT>,
    function: Affine<LIMIT>,
    store: KeyValue<B, S>,
}

/// A machine for a microcontroller: 32 keys and 896 bytes of records, four more for each than its
/// key and value. Its integer has the usual limit, so it can be in a cluster with any machine whose
/// store has the same two lengths.
pub type Small = Machine<[u8; SMALL_ARENA_BYTES], [Slot; SMALL_KEYS]>;

/// A machine for a host, with an initial value as large as the integer's limit. Its store is in
/// boxed slices of [`STANDARD_ARENA_BYTES`] and [`STANDARD_KEYS`], unless it is in a cluster with
/// smaller machines.
pub type Standard<B, S> = Machine<B, S, LIMIT_BYTES, LIMIT_BYTES>;

/// The usual limit of the integer's function: 4096 bits.
pub const LIMIT_BYTES: usize = 512;

/// The length of the arena of a [`Small`] machine.
pub const SMALL_ARENA_BYTES: usize = 1024;

/// The number of slots of a [`Small`] machine.
pub const SMALL_KEYS: usize = 32;

/// The usual length of the arena of a [`Standard`] machine: 16 MiB.
pub const STANDARD_ARENA_BYTES: usize = 16 << 20;

/// The usual number of slots of a [`Standard`] machine.
pub const STANDARD_KEYS: usize = 65_536;

/// A key, owned by the query that asks for it.
pub type Key = heapless::Vec<u8, MAX_KEY_BYTES>;

/// What changes the state, or is logged and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Command<'a> {
    /// Adds to the integer; answered by `Done`.
    Add(#[serde(borrow)] Integer<'a>),
    /// Subtracts from the integer; answered by `Done`.
    Sub(#[serde(borrow)] Integer<'a>),
    /// Multiplies the integer; answered by `Done`.
    Mul(#[serde(borrow)] Integer<'a>),
    /// Adds two operands; answered by `Sum`. It changes no state.
    Sum(i64, i64),
    /// Sets a key of the store to a value; answered by `Done`.
    Set {
        /// At most [`MAX_KEY_BYTES`] bytes.
        #[serde(serialize_with = "bytes::serialize")]
        key: &'a [u8],
        /// At most [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES) bytes.
        #[serde(serialize_with = "bytes::serialize")]
        value: &'a [u8],
    },
    /// Deletes a key of the store; answered by `Deleted`.
    Delete {
        /// A key that is too long is one that is not there.
        #[serde(serialize_with = "bytes::serialize")]
        key: &'a [u8],
    },
}

/// What a command answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Response {
    /// The command has taken effect.
    Done,
    /// The sum of the two operands.
    Sum(i128),
    /// Whether the key was there.
    Deleted(bool),
    /// The command has changed nothing, on any node.
    Refused(Refusal),
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// The operand, or what it would make of the integer's function, is past the limit.
    TooLarge,
    /// The key is longer than [`MAX_KEY_BYTES`].
    KeyTooLong,
    /// The value is longer than [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES).
    ValueTooLong,
    /// The store holds as many keys as it can.
    TooManyKeys,
    /// The store's records would take more bytes than it has.
    OutOfSpace,
}

/// What asks for a part of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Query {
    /// The integer; answered by `Integer`.
    Integer,
    /// The value of a key; answered by `Value`.
    Get(Key),
}

/// What a query answers, borrowed from the state or from the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer<'a> {
    /// The integer on the node that answers is `a*init + b`. It may be past every limit, so it goes
    /// as the three that it is made of: [`Answer::integer`] puts them together.
    Integer {
        /// The factor of the function: replicated.
        #[serde(borrow)]
        a: Integer<'a>,
        /// What the function adds: replicated.
        #[serde(borrow)]
        b: Integer<'a>,
        /// The initial value of the node that answers: its own.
        #[serde(borrow)]
        init: Integer<'a>,
    },
    /// The value of the key, none if it has none.
    Value(#[serde(borrow, serialize_with = "bytes::serialize_option")] Option<&'a [u8]>),
}

impl<B, S, const LIMIT: usize, const INIT: usize> Machine<B, S, LIMIT, INIT> {
    /// A machine before its first command, with this node's initial value, and with its store in
    /// this memory.
    #[must_use]
    pub const fn new(bytes: B, slots: S, init: Number<INIT>) -> Self {
        Self { init, function: Affine::new(), store: KeyValue::new(bytes, slots) }
    }

    /// This node's initial value.
    #[must_use]
    pub const fn init(&self) -> Integer<'_> {
        self.init.as_integer()
    }

    /// The replicated function of it.
    #[must_use]
    pub const fn function(&self) -> &Affine<LIMIT> {
        &self.function
    }

    /// The replicated store.
    #[must_use]
    pub const fn store(&self) -> &KeyValue<B, S> {
        &self.store
    }
}

impl Small {
    /// A small machine before its first command, with this node's initial value.
    #[must_use]
    pub const fn small(init: i128) -> Self {
        Self::new([0; SMALL_ARENA_BYTES], [Slot::EMPTY; SMALL_KEYS], Number::from_i128(init))
    }
}

impl<B, S, const LIMIT: usize, const INIT: usize> StateMachine for Machine<B, S, LIMIT, INIT>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    type Command<'a> = Command<'a>;
    type Response = Response;
    type Query = Query;
    type Answer<'a>
        = Answer<'a>
    where
        Self: 'a;

    fn apply(&mut self, command: Command<'_>) -> Response {
        match command {
            Command::Add(operand) => self.function.add(operand).into(),
            Command::Sub(operand) => self.function.sub(operand).into(),
            Command::Mul(operand) => self.function.mul(operand).into(),
            Command::Sum(left, right) => Response::Sum(sum(left, right)),
            Command::Set { key, value } => self.store.set(key, value).into(),
            Command::Delete { key } => Response::Deleted(self.store.delete(key)),
        }
    }

    fn query<'a>(&'a self, query: &Query) -> Answer<'a> {
        match query {
            Query::Integer => {
                let (a, b) = (self.function.a(), self.function.b());
                Answer::Integer { a, b, init: self.init.as_integer() }
            }
            Query::Get(key) => Answer::Value(self.store.get(key)),
        }
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&[VERSION])?;
        self.function.snapshot(sink)?;
        self.store.snapshot(sink)
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let restored = self.restore_all(source);
        if restored.is_err() {
            self.function = Affine::new();
            self.store.clear();
        }
        restored
    }
}

impl<B, S, const LIMIT: usize, const INIT: usize> Machine<B, S, LIMIT, INIT>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    /// Nothing may be left in the source behind the snapshot.
    fn restore_all<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut byte = [0];
        source.read(&mut byte)?;
        if byte != [VERSION] {
            return Err(BadSnapshot);
        }
        self.function.restore(source)?;
        self.store.restore(source)?;
        source.read(&mut byte).map_or(Ok(()), |()| Err(BadSnapshot))
    }
}

impl Answer<'_> {
    /// The integer on the node that answered; none when this is no answer about it, or when it, or
    /// a step on the way, does not fit `VALUE` bytes.
    #[must_use]
    pub fn integer<const VALUE: usize>(&self) -> Option<Number<VALUE>> {
        match *self {
            Self::Integer { a, b, init } => evaluate(a, b, init),
            Self::Value(_) => None,
        }
    }
}

impl From<Result<(), TooLarge>> for Response {
    fn from(result: Result<(), TooLarge>) -> Self {
        result.map_or_else(|TooLarge| Self::Refused(Refusal::TooLarge), |()| Self::Done)
    }
}

impl From<Result<(), SetError>> for Response {
    fn from(result: Result<(), SetError>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(SetError::KeyTooLong) => Self::Refused(Refusal::KeyTooLong),
            Err(SetError::ValueTooLong) => Self::Refused(Refusal::ValueTooLong),
            Err(SetError::TooManyKeys) => Self::Refused(Refusal::TooManyKeys),
            Err(SetError::OutOfSpace) => Self::Refused(Refusal::OutOfSpace),
        }
    }
}

/// The first byte of every snapshot. Another format gets another one.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
