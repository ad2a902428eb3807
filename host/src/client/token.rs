//! A ticket as text, to be given from one process to the next by a person.

use coracle::Ticket;

/// The ticket in hexadecimal, with a checksum, so that no other command comes out of one that was
/// copied wrongly.
pub fn encode(ticket: &Ticket<'_>) -> Option<String> {
    let mut bytes = vec![0; ticket.command().len() + OVERHEAD_BYTES];
    let length = ticket.encode(&mut bytes)?;
    bytes.truncate(length);
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_le_bytes());
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The bytes of the ticket in a token.
///
/// # Errors
/// When it is none.
pub fn decode(token: &str) -> Result<Vec<u8>, String> {
    let none = || "this is no token: copy all of it".to_owned();
    let digits = token.trim().as_bytes();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(none());
    }
    let byte = |pair: &[u8]| {
        let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        u8::try_from(digit(0)? * 16 + digit(1)?).ok()
    };
    let bytes: Vec<u8> = pairs.map(byte).collect::<Option<_>>().ok_or_else(none)?;
    let (ticket, sum) = bytes.split_last_chunk::<4>().ok_or_else(none)?;
    let is_whole = crc32fast::hash(ticket) == u32::from_le_bytes(*sum);
    if !is_whole || Ticket::decode(ticket).is_none() {
        return Err(none());
    }
    Ok(ticket.to_vec())
}

/// More than a ticket has beside its command.
const OVERHEAD_BYTES: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    /// Client 1, epoch 2, session 3, sequence 4, first 5, last 6, command 07.
    const TICKET: [u8; 22] = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 4, 5, 6, 1, 7];

    #[test]
    fn a_token_is_its_ticket() {
        let ticket = Ticket::decode(&TICKET).unwrap();
        let token = encode(&ticket).unwrap();
        assert_eq!(decode(&format!(" {token}\n")).as_deref(), Ok(&TICKET[..]));
    }

    #[test]
    fn a_token_that_was_copied_wrongly_is_none() {
        let token = encode(&Ticket::decode(&TICKET).unwrap()).unwrap();
        for length in 0..token.len() {
            assert!(decode(&token[..length]).is_err(), "{length}");
        }
        for at in 0..token.len() {
            let digit = if token.as_bytes()[at] == b'0' { "1" } else { "0" };
            let mut wrong = token.clone();
            wrong.replace_range(at..=at, digit);
            assert!(decode(&wrong).is_err(), "{at}");
        }
        for text in ["\u{e9}\u{e9}", "zz", &"0".repeat(4000)] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
