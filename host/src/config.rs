//! A file that lists the nodes of a cluster: `node0: host:port`, one a line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use coracle::NodeId;

/// The nodes that a file lists, in its order.
#[derive(Debug, PartialEq, Eq)]
pub struct Config(Vec<(NodeId, String)>);

impl Config {
    /// Reads a file. `#` begins a comment, and lines may be blank.
    ///
    /// # Errors
    /// Names the file, and the line that is wrong.
    pub fn read(path: &Path) -> io::Result<Self> {
        let fail = |why: &dyn fmt::Display| io::Error::other(format!("{}: {why}", path.display()));
        let mut text = Vec::with_capacity(4096);
        let mut file = File::open(path).map_err(|error| fail(&error))?;
        file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| fail(&error))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(fail(&format_args!("it has more than {MAX_BYTES} bytes")));
        }
        Self::parse(&String::from_utf8_lossy(&text)).map_err(|error| {
            let Wrong { line, why } = error;
            io::Error::other(format!("{}:{line}: {why}", path.display()))
        })
    }

    /// Where this node is, and who the others are.
    ///
    /// # Errors
    /// When the file does not list it.
    pub fn split(mut self, number: NodeId) -> Result<(String, Vec<(NodeId, String)>), String> {
        let place = self.0.iter().position(|(id, _)| *id == number);
        let Some(place) = place else {
            let listed: Vec<String> = self.0.iter().map(|(id, _)| format!("node{id}")).collect();
            return Err(format!("it lists no node{number}, but {}", listed.join(", ")));
        };
        let (_, address) = self.0.remove(place);
        Ok((address, self.0))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let mut nodes: Vec<(NodeId, String)> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let (id, address) = node(text).map_err(|why| Wrong { line, why })?;
            if nodes.iter().any(|(other, _)| *other == id) {
                return Err(Wrong { line, why: format!("node{id} stands here a second time") });
            }
            nodes.push((id, address.to_owned()));
        }
        if nodes.is_empty() {
            let why = format!("there is no node in it; {FORM}");
            return Err(Wrong { line: text.lines().count().max(1), why });
        }
        Ok(Self(nodes))
    }
}

/// What is wrong in which line.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: usize,
    why: String,
}

fn node(text: &str) -> Result<(NodeId, &str), String> {
    let (name, address) = text.split_once(':').ok_or(FORM)?;
    let digits = name.trim_end().strip_prefix("node").ok_or(FORM)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.to_owned());
    }
    let number = digits.parse().map_err(|_| format!("the number must not exceed {}", u32::MAX))?;
    let address = address.trim();
    let (host, port) = address.rsplit_once(':').ok_or(FORM)?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(FORM.to_owned());
    }
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(format!("{port:?} is not a port: it must be a number from 1 to 65535"));
    }
    Ok((NodeId(number), address))
}

const FORM: &str = "a line has the form node0: host:port";
/// More than any list of nodes.
const MAX_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(u32, String)>, (usize, String)> {
        let nodes = Config::parse(text).map_err(|Wrong { line, why }| (line, why))?;
        Ok(nodes.0.into_iter().map(|(id, address)| (id.0, address)).collect())
    }

    #[test]
    fn comments_and_blank_lines_are_no_nodes() {
        let text = "# three\n\nnode0: localhost:18812\n  node1 :localhost:18813 # two\r\n\
            \t\nnode7:[::1]:18814";
        let nodes = [(0, "localhost:18812"), (1, "localhost:18813"), (7, "[::1]:18814")];
        assert_eq!(parse(text), Ok(nodes.map(|(id, address)| (id, address.to_owned())).into()));
    }

    #[test]
    fn an_error_names_its_line() {
        let first = "node0: localhost:18812\n";
        for (wrong, why) in [
            ("nonsense", FORM),
            ("node: localhost:1", FORM),
            ("node-1: localhost:1", FORM),
            ("node1: localhost", FORM),
            ("node1: :1", FORM),
            ("node1: local host:1", FORM),
            ("node1: localhost:0", "\"0\" is not a port"),
            ("node1: localhost:65536", "\"65536\" is not a port"),
            ("node4294967296: localhost:1", "the number must not exceed 4294967295"),
            ("node0: localhost:2", "node0 stands here a second time"),
            ("node00: localhost:2", "node0 stands here a second time"),
        ] {
            let (line, said) = parse(&format!("{first}{wrong}\n{first}")).unwrap_err();
            assert_eq!(line, 2, "{wrong}");
            assert!(said.starts_with(why), "{wrong}: {said}");
        }
        assert!(parse("").unwrap_err().1.starts_with("there is no node in it"));
        assert_eq!(parse("# none\n\n").unwrap_err().0, 2);
    }

    #[test]
    fn a_node_is_one_of_those_that_are_listed() {
        let config = || Config::parse("node0: a:1\nnode5: b:2\nnode2: c:3").unwrap();
        let others = vec![(NodeId(0), "a:1".to_owned()), (NodeId(2), "c:3".to_owned())];
        assert_eq!(config().split(NodeId(5)), Ok(("b:2".to_owned(), others)));
        let error = "it lists no node1, but node0, node5, node2".to_owned();
        assert_eq!(config().split(NodeId(1)), Err(error));
    }

    #[test]
    fn a_file_that_is_none_or_too_large_is_an_error() {
        let error = Config::read(Path::new("/nowhere/nodes")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/nodes: "), "{error}");
        let error = Config::read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.ends_with("it has more than 65536 bytes"), "{error}");
    }
}
