//! Lines of bounded length, whoever writes them.

use std::io::{self, BufRead, Read};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its newline and nothing else taken off.
    Text(String),
    /// A line that is too long, or no text. It was skipped.
    Unreadable(&'static str),
    /// There is no further line.
    End,
}

/// Reads the next line. The last one may lack its newline.
///
/// # Errors
/// Those of `input`.
pub fn read_line<R: BufRead>(input: &mut R) -> io::Result<Line> {
    let mut bytes = Vec::with_capacity(128);
    if input.take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(Line::End);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() as u64 == MAX_LINE_BYTES {
        input.skip_until(b'\n')?;
        return Ok(Line::Unreadable("the line is too long"));
    }
    Ok(String::from_utf8(bytes).map_or(Line::Unreadable("the line is not text"), Line::Text))
}

/// More than the longest command.
const MAX_LINE_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        loop {
            match read_line(&mut input).unwrap() {
                Line::End => return lines,
                line => lines.push(line),
            }
        }
    }

    fn text(line: &str) -> Line {
        Line::Text(line.to_owned())
    }

    #[test]
    fn only_the_newline_is_taken_off() {
        assert_eq!(lines(b"add 10 \r\n\n get"), [text("add 10 \r"), text(""), text(" get")]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_skipped_whole() {
        let mut input = vec![b'7'; 200_000];
        input.extend_from_slice(b"\nget\n\xff\xfe\nget\n");
        let too_long = Line::Unreadable("the line is too long");
        let no_text = Line::Unreadable("the line is not text");
        assert_eq!(lines(&input), [too_long, text("get"), no_text, text("get")]);
    }
}
