//! Entries of the log, in words.

use coracle::{Entry, EntryKind};
use coracle_machines::Command;

use crate::commands::{decode, describe};

/// What stands in an entry, in words.
pub fn content(entry: Option<Entry<'_>>) -> String {
    let Some(entry) = entry else { return "no longer in the log".to_owned() };
    match entry.kind {
        EntryKind::Noop => "a leader's first entry".to_owned(),
        EntryKind::Configuration => "the members".to_owned(),
        EntryKind::Command => command(entry.data).unwrap_or_else(|| "not understood".to_owned()),
    }
}

/// What a command's entry holds, as WIRE.md says.
fn command(data: &[u8]) -> Option<String> {
    let (tag, rest) = data.split_first()?;
    let bytes = match tag {
        0 => rest,
        1 => return Some("a client's session".to_owned()),
        2 => postcard::take_from_bytes::<(u64, u64)>(rest).ok()?.1,
        _ => return None,
    };
    decode::<Command<'_>>(bytes).as_ref().map(describe)
}

#[cfg(test)]
mod tests {
    use coracle_machines::Integer;

    use super::*;

    #[test]
    fn an_entry_is_told_in_words() {
        let mut buffer = [0; 64];
        let sum = postcard::to_slice(&(2u8, 300u64, 1u64, Command::Sum(5, 3)), &mut buffer);
        assert_eq!(command(sum.unwrap()).as_deref(), Some("Add(5, 3)"));
        let add = Command::Add(Integer::new(true, &[5]));
        let add = postcard::to_slice(&(0u8, add), &mut buffer).unwrap();
        assert_eq!(command(add).as_deref(), Some("add -5"));
        assert_eq!(command(&[1, 2, 3]).as_deref(), Some("a client's session"));
        for garbage in [&[][..], &[3], &[2], &[2, 1, 1, 99], &[0, 3, 1]] {
            assert_eq!(command(garbage), None, "{garbage:?}");
        }
        assert_eq!(content(None), "no longer in the log");
    }
}
