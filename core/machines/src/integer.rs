//! Signed integers: borrowed ones of any size as they travel, and owned ones of a fixed width.

use bnum::Uint;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::bytes::Bytes;

/// An exact integer of any size, borrowed: a sign, and the fewest bytes that hold the magnitude,
/// little-endian. Zero has no bytes and is not negative, so equal integers are equal bytes.
///
/// Deserialising refuses any other form of the same integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Integer<'a> {
    negative: bool,
    /// The last byte, if there is one, is not zero.
    magnitude: &'a [u8],
}

impl<'a> Integer<'a> {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, magnitude: &[] };

    /// The integer with this sign and this little-endian magnitude; zero bytes at its end are
    /// dropped, and so is a sign of zero.
    #[must_use]
    pub const fn new(negative: bool, magnitude: &'a [u8]) -> Self {
        let mut magnitude = magnitude;
        while let [lower @ .., 0] = magnitude {
            magnitude = lower;
        }
        Self { negative: negative && !magnitude.is_empty(), magnitude }
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.negative
    }

    /// The absolute value, little-endian, in as few bytes as can be: none for zero.
    #[must_use]
    pub const fn magnitude(self) -> &'a [u8] {
        self.magnitude
    }
}

impl Serialize for Integer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.negative, Bytes(self.magnitude)).serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Integer<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (negative, Bytes(magnitude)) = Deserialize::deserialize(deserializer)?;
        let integer = Self::new(negative, magnitude);
        let minimal = integer.negative == negative && integer.magnitude.len() == magnitude.len();
        if minimal { Ok(integer) } else { Err(D::Error::custom("an integer must be minimal")) }
    }
}

/// An exact integer of a fixed width, owned: its magnitude is below `256^BYTES`.
///
/// `Number<16>` comes from the primitive integers, and its `as_integer` is how a small operand is
/// made: `Number::from(-5).as_integer()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const BYTES: usize> {
    /// Never true of zero.
    negative: bool,
    magnitude: Magnitude<BYTES>,
}

/// The magnitude is past the width of a [`Number`]: nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooLarge;

impl<const BYTES: usize> Number<BYTES> {
    /// Zero.
    pub const ZERO: Self =
        Self { negative: false, magnitude: Magnitude::from_le_bytes([0; BYTES]) };

    /// One.
    pub const ONE: Self = {
        let mut bytes = [0; BYTES];
        if let Some(lowest) = bytes.first_mut() {
            *lowest = 1;
        }
        Self { negative: false, magnitude: Magnitude::from_le_bytes(bytes) }
    };

    /// Takes an integer into this width.
    ///
    /// # Errors
    /// `TooLarge` when its magnitude has more than `BYTES` bytes.
    pub fn new(integer: Integer<'_>) -> Result<Self, TooLarge> {
        let mut bytes = [0; BYTES];
        let taken = bytes.get_mut(..integer.magnitude.len()).ok_or(TooLarge)?;
        taken.iter_mut().zip(integer.magnitude).for_each(|(to, from)| *to = *from);
        Ok(Self { negative: integer.negative, magnitude: Magnitude::from_le_bytes(bytes) })
    }

    /// Reads a decimal integer: an optional sign and at least one digit, nothing else.
    ///
    /// Takes time in the square of the text's length.
    #[must_use]
    pub fn from_decimal(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] | digits => (false, digits),
        };
        if digits.is_empty() {
            return None;
        }
        let mut bytes = [0; BYTES];
        for digit in digits {
            append_digit(&mut bytes, digit_value(*digit)?)?;
        }
        Self::new(Integer::new(negative, &bytes)).ok()
    }

    /// The same integer, borrowed.
    #[must_use]
    pub const fn as_integer(&self) -> Integer<'_> {
        Integer::new(self.negative, self.magnitude.as_bytes())
    }

    /// Adds `other`, exactly.
    ///
    /// # Errors
    /// `TooLarge` when the sum does not fit the width; nothing has changed.
    pub fn add(&mut self, other: &Self) -> Result<(), TooLarge> {
        if self.negative == other.negative {
            return self.set(self.negative, self.magnitude.overflowing_add(other.magnitude));
        }
        if self.is_nearer_to_zero(other) {
            return self.set(other.negative, other.magnitude.overflowing_sub(self.magnitude));
        }
        self.set(self.negative, self.magnitude.overflowing_sub(other.magnitude))
    }

    /// Multiplies by `other`, exactly.
    ///
    /// # Errors
    /// `TooLarge` when the product does not fit the width; nothing has changed.
    pub fn multiply(&mut self, other: &Self) -> Result<(), TooLarge> {
        let negative = self.negative != other.negative;
        self.set(negative, self.magnitude.overflowing_mul(other.magnitude))
    }

    /// Changes the sign.
    pub fn negate(&mut self) {
        self.negative = !self.negative && !self.is_zero();
    }

    /// Takes over the result of an operation, unless it has overflowed.
    fn set(&mut self, negative: bool, result: (Magnitude<BYTES>, bool)) -> Result<(), TooLarge> {
        let (magnitude, overflow) = result;
        if overflow {
            return Err(TooLarge);
        }
        self.magnitude = magnitude;
        self.negative = negative && !self.is_zero();
        Ok(())
    }

    fn is_nearer_to_zero(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.magnitude.as_bytes(), other.magnitude.as_bytes());
        ours.iter().rev().lt(theirs.iter().rev())
    }

    fn is_zero(&self) -> bool {
        self.magnitude.as_bytes().iter().all(|byte| *byte == 0)
    }
}

impl Number<PRIMITIVE_BYTES> {
    /// Takes a primitive integer; it always fits.
    #[must_use]
    pub const fn from_i128(value: i128) -> Self {
        let magnitude = value.unsigned_abs().to_le_bytes();
        Self { negative: value < 0, magnitude: Magnitude::from_le_bytes(magnitude) }
    }
}

impl From<i128> for Number<PRIMITIVE_BYTES> {
    fn from(value: i128) -> Self {
        Self::from_i128(value)
    }
}

impl From<i64> for Number<PRIMITIVE_BYTES> {
    fn from(value: i64) -> Self {
        Self::from_i128(i128::from(value))
    }
}

impl<const BYTES: usize> Default for Number<BYTES> {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(feature = "defmt")]
impl<const BYTES: usize> defmt::Format for Number<BYTES> {
    fn format(&self, fmt: defmt::Formatter<'_>) {
        self.as_integer().format(fmt);
    }
}

/// Multiplies little-endian bytes by ten and adds a digit; none when they run over.
fn append_digit(bytes: &mut [u8], digit: u8) -> Option<()> {
    let mut carry = digit;
    for byte in bytes {
        let [low, high] =
            u16::from(*byte).saturating_mul(10).saturating_add(u16::from(carry)).to_le_bytes();
        *byte = low;
        carry = high;
    }
    (carry == 0).then_some(())
}

fn digit_value(digit: u8) -> Option<u8> {
    digit.checked_sub(b'0').filter(|value| *value < 10)
}

/// Arithmetic on it wraps (`WRAP`) and says so, whatever profile it is compiled in.
type Magnitude<const BYTES: usize> = Uint<BYTES, 0, WRAP>;

const WRAP: u8 = 0;

const PRIMITIVE_BYTES: usize = 16;

#[cfg(test)]
mod tests;
