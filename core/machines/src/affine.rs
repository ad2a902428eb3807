//! The replicated integer, as the function that its commands make of any initial value.

use coracle::{BadSnapshot, Full, Sink, Source};

use crate::integer::{Integer, Number, TooLarge};

/// The function `x -> a*x + b`, where x is a node's own initial value.
///
/// Adding, subtracting and multiplying compose into such a function, so this is what is replicated
/// and what a snapshot holds; a node's value is the function applied to its own initial value, and
/// nodes that start from different values stay in agreement.
///
/// The magnitudes of `a` and `b`, and of every operand, must be below `256^BYTES`. A command past
/// that is refused and changes nothing. The limit is on what is replicated, never on one node's
/// value, and all nodes of a cluster must have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Affine<const BYTES: usize> {
    a: Number<BYTES>,
    b: Number<BYTES>,
}

impl<const BYTES: usize> Affine<BYTES> {
    /// The function that gives back what it is given: before the first command.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(BYTES >= 1 && BYTES <= MAX_BYTES, "a snapshot counts bytes in a u16") };
        Self { a: Number::ONE, b: Number::ZERO }
    }

    /// The factor of the initial value.
    #[must_use]
    pub const fn a(&self) -> Integer<'_> {
        self.a.as_integer()
    }

    /// What is added to it.
    #[must_use]
    pub const fn b(&self) -> Integer<'_> {
        self.b.as_integer()
    }

    /// Adds `operand` to the value.
    ///
    /// # Errors
    /// `TooLarge` when the operand or the new `b` is past the limit; nothing has changed.
    pub fn add(&mut self, operand: Integer<'_>) -> Result<(), TooLarge> {
        self.b.add(&Number::new(operand)?)
    }

    /// Subtracts `operand` from the value.
    ///
    /// # Errors
    /// `TooLarge` when the operand or the new `b` is past the limit; nothing has changed.
    pub fn sub(&mut self, operand: Integer<'_>) -> Result<(), TooLarge> {
        let mut operand = Number::new(operand)?;
        operand.negate();
        self.b.add(&operand)
    }

    /// Multiplies the value by `operand`.
    ///
    /// # Errors
    /// `TooLarge` when the operand, the new `a` or the new `b` is past the limit; nothing has
    /// changed.
    pub fn mul(&mut self, operand: Integer<'_>) -> Result<(), TooLarge> {
        let factor = Number::new(operand)?;
        let old = self.a;
        self.a.multiply(&factor)?;
        self.b.multiply(&factor).inspect_err(|TooLarge| self.a = old)
    }

    /// The value of a node that started from `init`; none when it, or a step on the way, does not
    /// fit `VALUE` bytes. `VALUE = BYTES` plus the bytes of `init` plus one is always enough.
    #[must_use]
    pub fn evaluate<const VALUE: usize>(&self, init: Integer<'_>) -> Option<Number<VALUE>> {
        evaluate(self.a(), self.b(), init)
    }

    /// Writes `a` and `b`, the same bytes on every machine.
    ///
    /// # Errors
    /// `Full` when the sink takes no more.
    pub fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        write(self.a(), sink)?;
        write(self.b(), sink)
    }

    /// Replaces the function by the one that a snapshot holds.
    ///
    /// # Errors
    /// `BadSnapshot` when the bytes are no function within the limit; it is then the initial one.
    pub fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let restored = read(source, &mut self.a).and_then(|()| read(source, &mut self.b));
        if restored.is_err() {
            *self = Self::new();
        }
        restored
    }
}

impl<const BYTES: usize> Default for Affine<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// `a*init + b`; none when it, or a step on the way, does not fit `VALUE` bytes.
pub(crate) fn evaluate<const VALUE: usize>(
    a: Integer<'_>,
    b: Integer<'_>,
    init: Integer<'_>,
) -> Option<Number<VALUE>> {
    let mut value = Number::new(a).ok()?;
    value.multiply(&Number::new(init).ok()?).ok()?;
    value.add(&Number::new(b).ok()?).ok()?;
    Some(value)
}

/// A byte for the sign, two for the length, little-endian, and the magnitude.
fn write<K: Sink>(integer: Integer<'_>, sink: &mut K) -> Result<(), Full> {
    let length = u16::try_from(integer.magnitude().len()).map_err(|_| Full)?;
    sink.write(&[u8::from(integer.is_negative())])?;
    sink.write(&length.to_le_bytes())?;
    sink.write(integer.magnitude())
}

/// Takes what `write` writes, and no other form of the same integer.
fn read<const BYTES: usize, K: Source>(
    source: &mut K,
    into: &mut Number<BYTES>,
) -> Result<(), BadSnapshot> {
    let mut head = [0; 3];
    source.read(&mut head)?;
    let [sign, low, high] = head;
    let negative = match sign {
        0 => false,
        1 => true,
        _ => return Err(BadSnapshot),
    };
    let mut bytes = [0; BYTES];
    let length = usize::from(u16::from_le_bytes([low, high]));
    let magnitude = bytes.get_mut(..length).ok_or(BadSnapshot)?;
    source.read(magnitude)?;
    let integer = Integer::new(negative, magnitude);
    if integer.is_negative() != negative || integer.magnitude().len() != length {
        return Err(BadSnapshot);
    }
    *into = Number::new(integer).map_err(|TooLarge| BadSnapshot)?;
    Ok(())
}

const MAX_BYTES: usize = 65_535;

#[cfg(test)]
mod tests;
