//! What people type, understood: shared by a node's console and the cluster's prompt.

use std::fmt;

use coracle_machines::{
    Answer, Command, Integer, Key, LIMIT_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, Number, Query,
    Refusal,
};
use num_bigint::{BigInt, Sign};
use serde::Deserialize;

/// A command to the cluster, in the bytes that travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded(pub Vec<u8>);

/// A line about the integer.
#[derive(Debug, PartialEq, Eq)]
pub enum IntegerLine {
    /// `add N`, `sub N` or `mul N`.
    Change(Encoded),
    /// `get`.
    Get,
}

/// Understands `add N`, `sub N`, `mul N` and `get`.
///
/// # Errors
/// `LineError` for everything else.
pub fn parse_integer_line(line: &str) -> Result<IntegerLine, LineError> {
    let (verb, rest) = split_verb(line);
    match verb {
        "add" => Ok(change(&Command::Add(parse_operand(rest, "add N")?.as_integer()))),
        "sub" => Ok(change(&Command::Sub(parse_operand(rest, "sub N")?.as_integer()))),
        "mul" => Ok(change(&Command::Mul(parse_operand(rest, "mul N")?.as_integer()))),
        "get" if rest.is_empty() => Ok(IntegerLine::Get),
        "get" => Err(LineError::Usage("get")),
        _ => Err(LineError::Unknown(verb.to_owned())),
    }
}

/// Understands `KEY VALUE`; the value is everything behind the key.
///
/// # Errors
/// `LineError` when one is missing or too long.
pub fn parse_set(rest: &str) -> Result<Encoded, LineError> {
    let (key, value) = split_verb(rest);
    if key.is_empty() || value.is_empty() {
        return Err(LineError::Usage("set KEY VALUE"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(LineError::KeyTooLong);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(LineError::ValueTooLong);
    }
    Ok(encode(&Command::Set { key: key.as_bytes(), value: value.as_bytes() }))
}

/// Understands `KEY`.
///
/// # Errors
/// `LineError` when it is missing, more than one or too long.
pub fn parse_key(rest: &str) -> Result<Query, LineError> {
    let (key, more) = split_verb(rest);
    if key.is_empty() || !more.is_empty() {
        return Err(LineError::Usage("get KEY"));
    }
    Key::from_slice(key.as_bytes()).map(Query::Get).map_err(|_| LineError::KeyTooLong)
}

/// Understands two integers to be added up.
///
/// # Errors
/// `LineError` when one is no integer, or does not fit 64 bits.
pub fn parse_sum(left: &str, right: &str) -> Result<(i64, i64), LineError> {
    let operand = |text| {
        parse_integer(text)?.try_into().map_err(|_| LineError::OutOfRange { bits: i64::BITS })
    };
    Ok((operand(left)?, operand(right)?))
}

/// Whether a word begins as an integer does.
pub fn is_numeric(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    digits.starts_with(|digit: char| digit.is_ascii_digit())
}

/// A command as people write it; the addition as it is known to those who watch the log.
pub fn describe(command: &Command<'_>) -> String {
    match command {
        Command::Add(operand) => format!("add {}", to_big(*operand)),
        Command::Sub(operand) => format!("sub {}", to_big(*operand)),
        Command::Mul(operand) => format!("mul {}", to_big(*operand)),
        Command::Sum(left, right) => format!("Add({left}, {right})"),
        Command::Set { key, value } => format!("set {} {}", printable(key), printable(value)),
        Command::Delete { key } => format!("del {}", printable(key)),
    }
}

/// Text that somebody else wrote, on one line whatever is in it.
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(char::is_control) {
        return text.into_owned();
    }
    let shown = |letter: char| {
        if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() }
    };
    text.chars().map(shown).collect()
}

/// The first word, and the rest without the spaces around it.
pub fn split_verb(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (verb, rest.trim_start())
}

/// Understands a node's initial value.
///
/// # Errors
/// `LineError` when it is no integer, or too large for a node to tell others.
pub fn parse_init(text: &str) -> Result<BigInt, LineError> {
    let init = parse_integer(text)?;
    to_number::<INIT_BYTES>(&init).ok_or(LineError::TooLarge { bits: INIT_BYTES * 8 })?;
    Ok(init)
}

/// An integer for the machine; none when it does not fit.
pub fn to_number<const BYTES: usize>(integer: &BigInt) -> Option<Number<BYTES>> {
    let (sign, magnitude) = integer.to_bytes_le();
    Number::new(Integer::new(sign == Sign::Minus, &magnitude)).ok()
}

fn to_big(integer: Integer<'_>) -> BigInt {
    let sign = if integer.is_negative() { Sign::Minus } else { Sign::Plus };
    BigInt::from_bytes_le(sign, integer.magnitude())
}

/// The value of the integer; none when the answer is not about it.
pub fn value(answer: &Answer<'_>) -> Option<BigInt> {
    match *answer {
        Answer::Integer { a, b, init } => Some(to_big(a) * to_big(init) + to_big(b)),
        Answer::Value(_) => None,
    }
}

/// Reads a value and nothing behind it.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

/// Why the state machine changed nothing.
pub fn refusal(why: Refusal) -> String {
    match why {
        Refusal::TooLarge => format!("the integer would go past {} bits", LIMIT_BYTES * 8),
        Refusal::KeyTooLong => LineError::KeyTooLong.to_string(),
        Refusal::ValueTooLong => LineError::ValueTooLong.to_string(),
        Refusal::TooManyKeys => "there is no room for another key".to_owned(),
        Refusal::OutOfSpace => "there is no room for the value".to_owned(),
        other => format!("{other:?}"),
    }
}

/// How many bytes a node's initial value may have.
pub const INIT_BYTES: usize = 4 * LIMIT_BYTES;

/// Why a line is no command; nothing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// Its first word is none that we know.
    Unknown(String),
    /// It is not of this form.
    Usage(&'static str),
    /// This word is no integer.
    NotAnInteger(String),
    /// The integer has more bits than a command can carry.
    TooLarge {
        /// The limit.
        bits: usize,
    },
    /// The integer does not fit so many bits with its sign.
    OutOfRange {
        /// How many there are.
        bits: u32,
    },
    /// The key has too many bytes.
    KeyTooLong,
    /// The value has too many bytes.
    ValueTooLong,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(verb) => write!(f, "unknown command {}", Quoted(verb)),
            Self::Usage(form) => write!(f, "the command has the form {form}"),
            Self::NotAnInteger(word) => write!(f, "{} is not an integer", Quoted(word)),
            Self::TooLarge { bits } => write!(f, "the integer has more than {bits} bits"),
            Self::OutOfRange { bits } => {
                write!(f, "the integer does not fit {bits} bits, its sign included")
            }
            Self::KeyTooLong => write!(f, "the key has more than {MAX_KEY_BYTES} bytes"),
            Self::ValueTooLong => write!(f, "the value has more than {MAX_VALUE_BYTES} bytes"),
        }
    }
}

impl std::error::Error for LineError {}

/// What somebody typed: shortened, and without characters that would make a second line of it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED_CHARACTERS) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

fn change(command: &Command<'_>) -> IntegerLine {
    IntegerLine::Change(encode(command))
}

fn parse_operand(rest: &str, form: &'static str) -> Result<Number<LIMIT_BYTES>, LineError> {
    if rest.is_empty() || rest.contains(char::is_whitespace) {
        return Err(LineError::Usage(form));
    }
    let operand = parse_integer(rest)?;
    to_number(&operand).ok_or(LineError::TooLarge { bits: LIMIT_BYTES * 8 })
}

/// A sign, if need be, and decimal digits; the library would also take underscores.
fn parse_integer(text: &str) -> Result<BigInt, LineError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let integer = if is_integer { text.parse().ok() } else { None };
    integer.ok_or_else(|| LineError::NotAnInteger(text.to_owned()))
}

/// A command in the bytes that travel.
pub fn encode(command: &Command<'_>) -> Encoded {
    let mut buffer = [0; MAX_COMMAND_BYTES];
    let used = postcard::to_slice(command, &mut buffer).map_or(&[] as &[u8], |used| used);
    Encoded(used.to_vec())
}

/// Room for the largest command: a key, a value and what frames them.
const MAX_COMMAND_BYTES: usize = MAX_KEY_BYTES + MAX_VALUE_BYTES + 16;
const QUOTED_CHARACTERS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(line: &str, command: &Command<'_>) {
        assert_eq!(parse_integer_line(line), Ok(change(command)), "{line}");
    }

    fn fails(line: &str, error: &str) {
        assert_eq!(parse_integer_line(line).unwrap_err().to_string(), error, "{line}");
    }

    #[test]
    fn operands_are_integers_of_either_sign() {
        changes("add 10", &Command::Add(Integer::new(false, &[10])));
        changes("add -5", &Command::Add(Integer::new(true, &[5])));
        changes("sub +7", &Command::Sub(Integer::new(false, &[7])));
        changes("  mul   -0 \t", &Command::Mul(Integer::ZERO));
        changes("mul 00256\r", &Command::Mul(Integer::new(false, &[0, 1])));
        assert_eq!(parse_integer_line("get "), Ok(IntegerLine::Get));
    }

    #[test]
    fn the_limit_is_4096_bits() {
        let largest: BigInt = (BigInt::from(1) << 4096) - 1;
        let bytes = [0xff; LIMIT_BYTES];
        changes(&format!("add {largest}"), &Command::Add(Integer::new(false, &bytes)));
        changes(&format!("sub -{largest}"), &Command::Sub(Integer::new(true, &bytes)));
        fails(&format!("mul {}", largest + 1), "the integer has more than 4096 bits");
    }

    #[test]
    fn a_line_that_is_no_command_says_why() {
        fails("foo", "unknown command \"foo\"");
        fails("ADD 1", "unknown command \"ADD\"");
        fails("   ", "unknown command \"\"");
        fails("add", "the command has the form add N");
        fails("add 1 2", "the command has the form add N");
        fails("get it", "the command has the form get");
        fails("add ten", "\"ten\" is not an integer");
        fails("add -", "\"-\" is not an integer");
        fails("add 1_000", "\"1_000\" is not an integer");
        fails("add 1\u{1b}[31m", "\"1\\u{1b}[31m\" is not an integer");
        let long = "x".repeat(100);
        fails(&long, &format!("unknown command \"{}\"...", &long[..QUOTED_CHARACTERS]));
    }

    #[test]
    fn a_value_is_everything_behind_its_key() {
        let command = Command::Set { key: b"greeting", value: b"good  morning" };
        assert_eq!(parse_set(" greeting good  morning "), Ok(encode(&command)));
        assert_eq!(parse_set("greeting"), Err(LineError::Usage("set KEY VALUE")));
        let longest = "k".repeat(MAX_KEY_BYTES);
        let value = "v".repeat(MAX_VALUE_BYTES);
        let command = Command::Set { key: longest.as_bytes(), value: value.as_bytes() };
        let parsed = parse_set(&format!("{longest} {value}")).unwrap();
        assert_eq!(parsed, encode(&command));
        assert!(parsed.0.len() > MAX_KEY_BYTES + MAX_VALUE_BYTES);
        assert_eq!(parse_set(&format!("{longest}k v")), Err(LineError::KeyTooLong));
        assert_eq!(parse_set(&format!("k {value}v")), Err(LineError::ValueTooLong));
    }

    #[test]
    fn the_two_numbers_of_a_sum_fit_64_bits() {
        assert_eq!(parse_sum("10", "-2"), Ok((10, -2)));
        let (least, most) = (i64::MIN.to_string(), i64::MAX.to_string());
        assert_eq!(parse_sum(&least, &most), Ok((i64::MIN, i64::MAX)));
        let above = LineError::OutOfRange { bits: 64 };
        assert_eq!(parse_sum("0", "9223372036854775808"), Err(above.clone()));
        assert_eq!(parse_sum("-9223372036854775809", "0"), Err(above));
        assert_eq!(parse_sum("1.5", "0"), Err(LineError::NotAnInteger("1.5".to_owned())));
        assert!(is_numeric("-2x") && is_numeric("+3") && !is_numeric("-x") && !is_numeric(""));
    }

    #[test]
    fn a_command_is_described_on_one_line() {
        let negative = Integer::new(true, &[5]);
        assert_eq!(describe(&Command::Mul(negative)), "mul -5");
        assert_eq!(describe(&Command::Sum(5, 3)), "Add(5, 3)");
        let set = Command::Set { key: b"A", value: b"good\nmorning\x1b[2J" };
        assert_eq!(describe(&set), "set A good\\nmorning\\u{1b}[2J");
        assert_eq!(describe(&Command::Delete { key: b"caf\xc3\xa9" }), "del caf\u{e9}");
    }

    #[test]
    fn a_key_is_one_word() {
        let key = Key::from_slice(b"A").unwrap();
        assert_eq!(parse_key("A"), Ok(Query::Get(key)));
        assert_eq!(parse_key(""), Err(LineError::Usage("get KEY")));
        assert_eq!(parse_key("A B"), Err(LineError::Usage("get KEY")));
        assert_eq!(parse_key(&"k".repeat(MAX_KEY_BYTES + 1)), Err(LineError::KeyTooLong));
    }

    #[test]
    fn an_initial_value_may_be_larger_than_an_operand() {
        let largest: BigInt = (BigInt::from(1) << (INIT_BYTES * 8)) - 1;
        assert_eq!(parse_init(&largest.to_string()), Ok(largest.clone()));
        let error = LineError::TooLarge { bits: INIT_BYTES * 8 };
        let above: BigInt = largest + 1;
        assert_eq!(parse_init(&above.to_string()), Err(error));
        assert_eq!(to_big(Integer::new(true, &[0, 1])), BigInt::from(-256));
    }
}
