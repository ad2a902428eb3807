//! Byte strings in derived encodings: one length and the bytes, not a sequence of single bytes.

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'de [u8], D::Error> {
    <&[u8]>::deserialize(deserializer)
}
