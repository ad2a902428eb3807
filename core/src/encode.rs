//! postcard's encoding of serde's values, for all outputs in one: a buffer, a sink, bytes to compare
//! with, or nothing but a length.
//!
//! postcard's own serialiser is compiled anew for each kind of output, which is a tenth of all that
//! a microcontroller has to hold, and whether its numbers can panic hangs on its version and on the
//! level of optimisation. The bytes are the same, which the tests below hold it to.

use core::fmt;

use serde::Serialize;
use serde::ser::{self, Serializer};

use crate::bytes::copy;
use crate::machine::{Full, Sink};
use crate::varint;

/// Writes a value at the front of `into` and gives its length; `None` when it does not fit, or has
/// no encoding.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, into: &mut [u8]) -> Option<usize> {
    run(value, Output::Buffer(into))
}

/// The same, compiled for this one output and type: for what every command does.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn encode_fast<T: Serialize + ?Sized>(value: &T, into: &mut [u8]) -> Option<usize> {
    let capacity = into.len();
    let mut encoder = Encoder(Buffer(into));
    value.serialize(&mut encoder).ok()?;
    capacity.checked_sub(encoder.0.0.len())
}

/// Writes a value into a sink.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    sink: &mut dyn Sink,
) -> Result<(), Full> {
    run(value, Output::Sink(sink)).map(|_| ()).ok_or(Full)
}

/// How many bytes a value takes; `None` when it has no encoding.
pub(crate) fn encoded_length<T: Serialize + ?Sized>(value: &T) -> Option<usize> {
    run(value, Output::Nothing)
}

/// Whether these bytes are a value's encoding.
pub(crate) fn is_encoding<T: Serialize + ?Sized>(bytes: &[u8], value: &T) -> bool {
    run(value, Output::Expected(bytes)) == Some(bytes.len())
}

fn run<T: Serialize + ?Sized>(value: &T, output: Output<'_>) -> Option<usize> {
    let mut encoder = Encoder(Counted { output, length: 0 });
    value.serialize(&mut encoder).ok()?;
    Some(encoder.0.length)
}

struct Encoder<O>(O);

/// The output takes no more, or expects other bytes, or the value has no length.
#[derive(Debug)]
pub(crate) struct CannotEncode;

/// Takes bytes.
trait Put {
    fn put(&mut self, bytes: &[u8]) -> Result<(), CannotEncode>;

    fn varint(&mut self, value: u64) -> Result<(), CannotEncode> {
        let mut bytes = [0; varint::MAX_BYTES];
        let length = varint::write_u64(value, &mut bytes).ok_or(CannotEncode)?;
        self.put(bytes.get(..length).ok_or(CannotEncode)?)
    }
}

/// What is left of a buffer.
struct Buffer<'o>(&'o mut [u8]);

impl Put for Buffer<'_> {
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), CannotEncode> {
        let rest = core::mem::take(&mut self.0);
        let (room, behind) = rest.split_at_mut_checked(bytes.len()).ok_or(CannotEncode)?;
        copy(room, bytes);
        self.0 = behind;
        Ok(())
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn varint(&mut self, value: u64) -> Result<(), CannotEncode> {
        let rest = core::mem::take(&mut self.0);
        let length = varint::write_u64(value, rest).ok_or(CannotEncode)?;
        self.0 = rest.get_mut(length..).ok_or(CannotEncode)?;
        Ok(())
    }
}

/// Any output, and how many bytes went there.
struct Counted<'o> {
    output: Output<'o>,
    length: usize,
}

enum Output<'o> {
    Nothing,
    Buffer(&'o mut [u8]),
    Expected(&'o [u8]),
    Sink(&'o mut dyn Sink),
}

impl Put for Counted<'_> {
    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), CannotEncode> {
        self.length = self.length.checked_add(bytes.len()).ok_or(CannotEncode)?;
        match &mut self.output {
            Output::Nothing => {}
            Output::Buffer(rest) => {
                let mut buffer = Buffer(core::mem::take(rest));
                buffer.put(bytes)?;
                *rest = buffer.0;
            }
            Output::Expected(rest) => *rest = rest.strip_prefix(bytes).ok_or(CannotEncode)?,
            Output::Sink(sink) => sink.write(bytes).map_err(|Full| CannotEncode)?,
        }
        Ok(())
    }
}

impl<O: Put> Encoder<O> {
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), CannotEncode> {
        self.0.put(bytes)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn varint(&mut self, value: u64) -> Result<(), CannotEncode> {
        self.0.varint(value)
    }

    /// The same of twice the width, which is rare.
    fn long_varint(&mut self, value: u128) -> Result<(), CannotEncode> {
        let mut rest = value;
        while rest > 0x7f {
            let [low, ..] = rest.to_le_bytes();
            self.put(&[low | 0x80])?;
            rest >>= 7;
        }
        let [last, ..] = rest.to_le_bytes();
        self.put(&[last])
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn count(&mut self, length: usize) -> Result<(), CannotEncode> {
        self.varint(u64::try_from(length).map_err(|_| CannotEncode)?)
    }
}

/// Small integers of either sign are short: 0, -1, 1, -2 are 0, 1, 2, 3.
const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

macro_rules! numbers {
    ($($name:ident: $number:ty => $value:ident -> $encoded:expr;)*) => { $(
        #[cfg_attr(target_pointer_width = "64", inline)]
        fn $name(self, $value: $number) -> Result<(), CannotEncode> {
            self.varint($encoded)
        }
    )* };
}

impl<O: Put> Serializer for &mut Encoder<O> {
    type Ok = ();
    type Error = CannotEncode;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    numbers! {
        serialize_i16: i16 => value -> zigzag(i64::from(value));
        serialize_i32: i32 => value -> zigzag(i64::from(value));
        serialize_i64: i64 => value -> zigzag(value);
        serialize_u16: u16 => value -> u64::from(value);
        serialize_u32: u32 => value -> u64::from(value);
        serialize_u64: u64 => value -> value;
    }

    fn serialize_bool(self, value: bool) -> Result<(), CannotEncode> {
        self.put(&[u8::from(value)])
    }

    fn serialize_i8(self, value: i8) -> Result<(), CannotEncode> {
        self.put(&value.to_le_bytes())
    }

    fn serialize_u8(self, value: u8) -> Result<(), CannotEncode> {
        self.put(&[value])
    }

    fn serialize_i128(self, value: i128) -> Result<(), CannotEncode> {
        self.long_varint((value.cast_unsigned() << 1) ^ (value >> 127).cast_unsigned())
    }

    fn serialize_u128(self, value: u128) -> Result<(), CannotEncode> {
        self.long_varint(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), CannotEncode> {
        self.put(&value.to_le_bytes())
    }

    fn serialize_f64(self, value: f64) -> Result<(), CannotEncode> {
        self.put(&value.to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), CannotEncode> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), CannotEncode> {
        self.serialize_bytes(value.as_bytes())
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), CannotEncode> {
        self.count(value.len())?;
        self.put(value)
    }

    fn serialize_none(self) -> Result<(), CannotEncode> {
        self.put(&[0])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CannotEncode> {
        self.put(&[1])?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), CannotEncode> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CannotEncode> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
    ) -> Result<(), CannotEncode> {
        self.varint(u64::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CannotEncode> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), CannotEncode> {
        self.varint(u64::from(variant))?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, CannotEncode> {
        self.count(length.ok_or(CannotEncode)?)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, CannotEncode> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, CannotEncode> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, CannotEncode> {
        self.varint(u64::from(variant))?;
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, CannotEncode> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, CannotEncode> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, CannotEncode> {
        self.varint(u64::from(variant))?;
        Ok(self)
    }

    /// The text is written twice, since its length goes first.
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), CannotEncode> {
        let mut nothing = Encoder(Counted { output: Output::Nothing, length: 0 });
        fmt::write(&mut Text(&mut nothing), format_args!("{value}")).map_err(|_| CannotEncode)?;
        self.count(nothing.0.length)?;
        fmt::write(&mut Text(self), format_args!("{value}")).map_err(|_| CannotEncode)
    }
}

/// Text is its bytes.
struct Text<'t, O>(&'t mut Encoder<O>);

impl<O: Put> fmt::Write for Text<'_, O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text.as_bytes()).map_err(|CannotEncode| fmt::Error)
    }
}

macro_rules! compounds {
    ($($kind:ident: $($method:ident($($name:ident)?)),*;)*) => { $(
        impl<O: Put> ser::$kind for &mut Encoder<O> {
            type Ok = ();
            type Error = CannotEncode;

            $(
                fn $method<T: Serialize + ?Sized>(
                    &mut self,
                    $($name: &'static str,)?
                    value: &T,
                ) -> Result<(), CannotEncode> {
                    value.serialize(&mut **self)
                }
            )*

            fn end(self) -> Result<(), CannotEncode> {
                Ok(())
            }
        }
    )* };
}

compounds! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(_name);
    SerializeStructVariant: serialize_field(_name);
}

impl fmt::Display for CannotEncode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be encoded here")
    }
}

impl ser::StdError for CannotEncode {}

impl ser::Error for CannotEncode {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
