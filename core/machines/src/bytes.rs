//! Byte strings that serialise in one piece, where serde would write a `&[u8]` byte by byte.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A borrowed byte string: in postcard its length and its bytes.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a [u8]>::deserialize(deserializer).map(Self)
    }
}

/// For `#[serde(serialize_with)]` on a field of bytes.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// For `#[serde(serialize_with)]` on a field of bytes that may be missing.
pub(crate) fn serialize_option<S: Serializer>(
    bytes: &Option<&[u8]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    bytes.map(Bytes).serialize(serializer)
}
