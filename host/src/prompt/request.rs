//! What a line at the prompt asks for.

use std::fmt;

use coracle::NodeId;
use coracle_machines::{Command, Query};

use crate::cluster::{Action, Who};
use crate::commands::{
    self, Encoded, IntegerLine, LineError, encode, parse_integer_line, parse_sum, split_verb,
};
use crate::faults::OrderError;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Change the state.
    Change(Encoded),
    /// Add two numbers, as an entry of the log.
    Sum(i64, i64, Encoded),
    /// Show the integer.
    Integer,
    /// Show a key's value.
    Value {
        /// The key, as it was typed.
        key: String,
        /// The same for the nodes.
        query: Query,
    },
    /// Ask for the last command again.
    Retry,
    /// Do something to nodes or to the network.
    Act(Action),
    /// Show all nodes.
    Status,
    /// Explain these commands.
    Help(Vec<&'static Form>),
    /// End.
    Quit,
    /// The line is empty.
    Nothing,
}

/// A command that there is.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// Its first word.
    pub verb: &'static str,
    /// What follows it.
    pub operands: &'static str,
    /// What it does.
    pub does: &'static str,
}

/// Why a line asks for nothing; nothing happened.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There is no such command, or its operands are wrong.
    Line(LineError),
    /// Its operands are wrong.
    Operand(OrderError),
    /// This is no node's id.
    NotAnId(String),
}

impl Request {
    /// Understands a line.
    ///
    /// # Errors
    /// When it is none of [`FORMS`].
    pub fn parse(line: &str) -> Result<Self, RequestError> {
        let (verb, rest) = split_verb(line);
        let alone = |request: Self, form| {
            if rest.is_empty() { Ok(request) } else { Err(LineError::Usage(form).into()) }
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        if let ("add", [left, right]) = (verb, words.as_slice()) {
            return sum(left, right);
        }
        match verb {
            "" => Ok(Self::Nothing),
            "set" => Ok(Self::Change(commands::parse_set(rest)?)),
            "get" if !rest.is_empty() => {
                let query = commands::parse_key(rest)?;
                Ok(Self::Value { key: rest.to_owned(), query })
            }
            "del" => delete(rest),
            "retry" => alone(Self::Retry, "retry"),
            "status" => alone(Self::Status, "status"),
            "kill" => Ok(Self::Act(Action::Kill(who(rest, "kill ID")?))),
            "restart" => Ok(Self::Act(Action::Restart(who(rest, "restart ID")?))),
            "pause" => Ok(Self::Act(Action::Pause(who(rest, "pause ID")?))),
            "resume" => Ok(Self::Act(Action::Resume(who(rest, "resume ID")?))),
            "partition" => Ok(Self::Act(Action::Partition(groups(rest)?))),
            "loss" => Ok(Self::Act(Action::Loss(rest.parse()?))),
            "duplicate" => Ok(Self::Act(Action::Duplicate(rest.parse()?))),
            "delay" => Ok(Self::Act(Action::Delay(rest.parse()?))),
            "heal" => alone(Self::Act(Action::Heal), "heal"),
            "members" => alone(Self::Act(Action::Members), "members"),
            "transfer" if rest.is_empty() => Ok(Self::Act(Action::Transfer(None))),
            "transfer" => Ok(Self::Act(Action::Transfer(Some(who(rest, "transfer [ID]")?)))),
            "join" => alone(Self::Act(Action::Join), "join"),
            "remove" => Ok(Self::Act(Action::Remove(who(rest, "remove ID")?))),
            "promote" => Ok(Self::Act(Action::Promote(who(rest, "promote ID")?))),
            "demote" => Ok(Self::Act(Action::Demote(who(rest, "demote ID")?))),
            "recover" => Ok(Self::Act(Action::Recover(who(rest, "recover ID")?))),
            "help" => help(rest),
            "quit" => alone(Self::Quit, "quit"),
            _ => match parse_integer_line(line)? {
                IntegerLine::Change(command) => Ok(Self::Change(command)),
                IntegerLine::Get => Ok(Self::Integer),
            },
        }
    }
}

fn sum(left: &str, right: &str) -> Result<Request, RequestError> {
    let (left, right) = parse_sum(left, right)?;
    Ok(Request::Sum(left, right, encode(&Command::Sum(left, right))))
}

fn delete(rest: &str) -> Result<Request, RequestError> {
    if rest.is_empty() || rest.contains(char::is_whitespace) {
        return Err(LineError::Usage("del KEY").into());
    }
    // Whether a key is too long is decided as for `get`.
    commands::parse_key(rest)?;
    Ok(Request::Change(encode(&Command::Delete { key: rest.as_bytes() })))
}

fn who(rest: &str, form: &'static str) -> Result<Who, RequestError> {
    if rest.is_empty() || rest.contains(char::is_whitespace) {
        return Err(LineError::Usage(form).into());
    }
    if rest == LEADER {
        return Ok(Who::Leader);
    }
    let is_number = rest.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_number { rest.parse().ok() } else { None };
    id.map(|id| Who::Node(NodeId(id))).ok_or_else(|| RequestError::NotAnId(rest.to_owned()))
}

fn groups(rest: &str) -> Result<Vec<Vec<Who>>, RequestError> {
    const FORM: &str = "partition A,B | C";
    let group = |group: &str| {
        let ids = group.split([',', ' ', '\t']).filter(|id| !id.is_empty());
        let ids = ids.map(|id| who(id, FORM)).collect::<Result<Vec<Who>, RequestError>>()?;
        if ids.is_empty() { Err(LineError::Usage(FORM).into()) } else { Ok(ids) }
    };
    rest.split('|').map(group).collect()
}

fn help(topic: &str) -> Result<Request, RequestError> {
    let forms: Vec<&Form> =
        FORMS.iter().filter(|form| topic.is_empty() || form.verb == topic).collect();
    if forms.is_empty() {
        return Err(LineError::Unknown(topic.to_owned()).into());
    }
    Ok(Request::Help(forms))
}

impl From<LineError> for RequestError {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

impl From<OrderError> for RequestError {
    fn from(error: OrderError) -> Self {
        Self::Operand(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error @ LineError::Unknown(_)) => {
                write!(f, "{error}: help lists those that there are")
            }
            Self::Line(error) => error.fmt(f),
            Self::Operand(error) => error.fmt(f),
            Self::NotAnId(word) => write!(
                f,
                "{:?} is no node's id: use a number, as in status, or leader",
                word.chars().take(QUOTED_CHARACTERS).collect::<String>()
            ),
        }
    }
}

/// Every command that there is.
pub const FORMS: [Form; 28] = [
    form("add", "N", "add to the integer"),
    form("sub", "N", "subtract from it"),
    form("mul", "N", "multiply it"),
    form("get", "", "show it"),
    form("add", "A B", "add two numbers by an entry of the log, which changes nothing"),
    form("set", "KEY VALUE", "give a key a value"),
    form("get", "KEY", "show a key's value"),
    form("del", "KEY", "take a key out"),
    form("retry", "", "ask again for the last command: in all it takes effect once"),
    form("status", "", "show the nodes"),
    form("kill", "ID", "end a node, as a power cut would"),
    form("restart", "ID", "start it again"),
    form("pause", "ID", "have a node do nothing at all"),
    form("resume", "ID", "have it go on"),
    form(
        "partition",
        "A,B | C",
        "cut groups of nodes off from each other; who is not named is one more",
    ),
    form("loss", "P", "lose each datagram between nodes with this probability"),
    form("duplicate", "P", "send each one twice with this probability"),
    form("delay", "MIN..MAX", "have each one come later, by 5ms..20ms for example"),
    form("heal", "", "end what is wrong with the network"),
    form("members", "", "show the members, and the version of the configuration"),
    form("transfer", "[ID]", "hand leadership over, to this node or to one the leader chooses"),
    form("join", "", "start one more node, which the members take in"),
    form("remove", "ID", "take a member out, whose node ends"),
    form("promote", "ID", "give a learner a vote"),
    form("demote", "ID", "take a voter its vote"),
    form("recover", "ID", "have a node go on alone when a majority has forgotten everything"),
    form("help", "[COMMAND]", "show this"),
    form("quit", "", "end the prompt and the nodes"),
];

/// Stands for the id of whoever leads.
pub const LEADER: &str = "leader";

const fn form(verb: &'static str, operands: &'static str, does: &'static str) -> Form {
    Form { verb, operands, does }
}

const QUOTED_CHARACTERS: usize = 40;

#[cfg(test)]
mod tests {
    use coracle_machines::Key;

    use super::*;

    fn act(line: &str) -> Action {
        match Request::parse(line) {
            Ok(Request::Act(action)) => action,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        Request::parse(line).unwrap_err().to_string()
    }

    #[test]
    fn every_form_of_the_help_is_understood() {
        for Form { verb, operands, .. } in &FORMS {
            let operands = match *operands {
                "N" => "-5",
                "A B" => "5 3",
                "KEY VALUE" => "key a value",
                "KEY" => "key",
                "ID" => "2",
                "A,B | C" => "1,2 | 3",
                "P" => "30%",
                "MIN..MAX" => "5ms..20ms",
                "[COMMAND]" => "loss",
                "[ID]" => "3",
                other => other,
            };
            let line = format!(" {verb} {operands} ");
            assert!(Request::parse(&line).is_ok(), "{line}");
        }
        assert_eq!(Request::parse(" retry "), Ok(Request::Retry));
        assert_eq!(Request::parse("quit"), Ok(Request::Quit));
        assert_eq!(Request::parse("  "), Ok(Request::Nothing));
    }

    #[test]
    fn get_is_for_the_integer_or_for_a_key() {
        assert_eq!(Request::parse("get"), Ok(Request::Integer));
        let (key, query) = ("A".to_owned(), Query::Get(Key::from_slice(b"A").unwrap()));
        assert_eq!(Request::parse("get A"), Ok(Request::Value { key, query }));
        assert_eq!(error("get A B"), "the command has the form get KEY");
    }

    #[test]
    fn add_is_for_the_integer_or_for_two_numbers() {
        assert!(matches!(Request::parse("add 5"), Ok(Request::Change(_))));
        assert!(matches!(Request::parse("add 10 -2"), Ok(Request::Sum(10, -2, _))));
        let (least, most) = (i64::MIN, i64::MAX);
        assert!(Request::parse(&format!("add {least} +{most}")).is_ok());
        assert_eq!(
            error("add 1 9223372036854775808"),
            "the integer does not fit 64 bits, its sign included"
        );
        assert_eq!(error("add 1 x"), "\"x\" is not an integer");
        assert_eq!(error("add 1 2 3"), "the command has the form add N");
    }

    #[test]
    fn a_node_has_an_id_or_leads() {
        let two = Who::Node(NodeId(2));
        assert_eq!(act("kill 2"), Action::Kill(two));
        assert_eq!(act("restart leader"), Action::Restart(Who::Leader));
        assert_eq!(act("transfer 2"), Action::Transfer(Some(two)));
        assert_eq!(act("transfer"), Action::Transfer(None));
        assert_eq!(error("kill"), "the command has the form kill ID");
        assert_eq!(error("pause 1 2"), "the command has the form pause ID");
        let wrong = "is no node's id: use a number, as in status, or leader";
        assert_eq!(error("kill two"), format!("\"two\" {wrong}"));
        assert_eq!(error("kill 4294967296"), format!("\"4294967296\" {wrong}"));
        assert_eq!(error("kill +1"), format!("\"+1\" {wrong}"));
    }

    #[test]
    fn groups_are_parted_by_bars_and_ids_by_commas_or_spaces() {
        let node = |id| Who::Node(NodeId(id));
        let groups = vec![vec![node(1), node(2)], vec![node(3)]];
        for line in ["partition 1,2 | 3", "partition 1 2|3", "partition  1 , 2 |3,"] {
            assert_eq!(act(line), Action::Partition(groups.clone()), "{line}");
        }
        assert_eq!(act("partition leader"), Action::Partition(vec![vec![Who::Leader]]));
        for line in ["partition", "partition |", "partition 1 |", "partition | 1", "partition 1||2"]
        {
            assert_eq!(error(line), "the command has the form partition A,B | C", "{line}");
        }
    }

    #[test]
    fn more_words_than_needed_and_other_words_are_no_command() {
        for line in [
            "quit now",
            "status 1",
            "help me",
            "retry it",
            "heal all",
            "members all",
            "join 4",
            "transfer 1 2",
            "remove",
            "loss",
            "loss 3",
            "loss 30",
            "loss 30% 2",
            "duplicate x",
            "delay",
            "delay 5",
            "del",
            "del a b",
            "frob",
        ] {
            assert!(Request::parse(line).is_err(), "{line}");
        }
    }
}
