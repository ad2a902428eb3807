//! Pages of commands, run from their first to their last.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::{Process, eventually, free_ports};
use crate::scratch::{Folder, Scratch};

/// Ports of the examples; the test takes others, which are free.
const PORTS: [&str; 9] =
    ["50051", "50052", "50053", "50059", "8001", "8002", "8003", "8004", "8005"];

/// A command or a line of input, and what is printed then.
#[derive(Debug)]
struct Step {
    /// The terminal; the shell has none.
    terminal: String,
    is_command: bool,
    typed: String,
    printed: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut terminal = None;
    for line in page.lines() {
        if let Some(information) = line.strip_prefix("```") {
            let name = information.strip_prefix("console").map(|name| name.trim().to_owned());
            terminal = if terminal.is_some() { None } else { name };
            continue;
        }
        let Some(terminal) = terminal.clone() else { continue };
        let command = line.strip_prefix("$ ");
        let input = line.strip_prefix('>').map(|text| text.strip_prefix(' ').unwrap_or(text));
        match (command.or(input), steps.last_mut()) {
            (Some(typed), _) => {
                let (is_command, typed) = (command.is_some(), typed.to_owned());
                steps.push(Step { terminal, is_command, typed, printed: Vec::new() });
            }
            (None, Some(step)) if step.terminal == terminal => step.printed.push(line.to_owned()),
            (None, _) => panic!("nothing was typed before {line:?}"),
        }
    }
    steps
}

/// Whether a line is what the page says, where each placeholder stands for one character at least.
fn fits(expected: &str, line: &str) -> bool {
    let Some(start) = expected.find('<') else { return expected == line };
    let (before, rest) = expected.split_at(start);
    let Some(line) = line.strip_prefix(before) else { return false };
    let places: [(&str, IsPart); 3] = [
        ("<n>", |letter| letter.is_ascii_digit()),
        ("<hex>", |letter| letter.is_ascii_hexdigit()),
        ("<any>", |_| true),
    ];
    let (rest, is_part) = places
        .into_iter()
        .find_map(|(name, is_part)| Some((rest.strip_prefix(name)?, is_part)))
        .expect("a placeholder");
    let ends = line.char_indices().take_while(|(_, letter)| is_part(*letter));
    ends.map(|(at, letter)| at + letter.len_utf8()).any(|end| fits(rest, &line[end..]))
}

/// Whether a character may be in what a placeholder stands for.
type IsPart = fn(char) -> bool;

/// One shell for all commands that end by themselves.
struct Shell {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Shell {
    fn start() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_coracle")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("sh")
            .env("PATH", path)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "exec 2>&1").unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// All lines that a command prints. Each ends by itself, in seconds.
    fn run(&mut self, command: &str) -> Vec<String> {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}\necho {END}").unwrap();
        let lines = self.output.by_ref().lines().map(Result::unwrap);
        lines.take_while(|line| line != END).collect()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It ends with its input, unless it hangs in a test that has failed.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

const END: &str = "the-command-has-ended";

/// Consecutive ports that are free, of those that the system gives to nobody by itself.
fn free_base(count: u16) -> u16 {
    let from = 20_000 + u16::try_from(std::process::id() % 1000).unwrap() * 10;
    let is_free = |base: &u16| {
        (*base..*base + count).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
    };
    (from..32_000).find(is_free).expect("free ports")
}

/// The text with the ports of this run in place of these.
fn with_ports(text: &str, names: &[&str], ports: impl Iterator<Item = u16>) -> String {
    // First to names that are in no text, lest one port is taken for another.
    let mut text = text.to_owned();
    for (at, port) in names.iter().enumerate() {
        text = text.replace(port, &format!("\u{1}{at}\u{2}"));
    }
    for (at, port) in (0..names.len()).zip(ports) {
        text = text.replace(&format!("\u{1}{at}\u{2}"), &port.to_string());
    }
    text
}

fn is_as_said(Step { printed, .. }: &Step, lines: &[String]) -> bool {
    let mut both = printed.iter().zip(lines);
    lines.len() == printed.len()
        && both.all(|(expected, line)| fits(expected.trim_end(), line.trim_end()))
}

#[track_caller]
fn compare(step: &Step, lines: &[String]) {
    let Step { typed, printed, .. } = step;
    let as_said = is_as_said(step, lines);
    assert!(as_said, "{typed}\nprints\n{lines:#?}\nand not\n{printed:#?}");
}

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::read_to_string(docs.join(name)).unwrap()
}

#[test]
fn every_command_of_the_examples_prints_what_is_shown() {
    let base = free_base(9);
    let nodes = Scratch::new("examples", "");
    let page = with_ports(&page("examples.md"), &PORTS, base..);
    let steps = steps(&page.replace("nodes.txt", nodes.path()));
    assert!(steps.iter().filter(|step| step.is_command).count() > 20, "{steps:#?}");
    run(&steps);
}

#[test]
fn every_command_of_the_page_of_members_prints_what_is_shown() {
    let ports: [u16; 7] = free_ports();
    let names = ["9001", "9002", "9003", "9004", "9005", "9006", "9007"];
    let folder = Folder::new("members-page");
    let page = page("members.md").replace("/var/lib/coracle", folder.path());
    let steps = steps(&with_ports(&page, &names, ports.into_iter()));
    let answered = steps.iter().filter(|step| step.is_command && !step.printed.is_empty());
    assert_eq!(answered.count(), 10, "{steps:#?}");
    run(&steps);
}

#[track_caller]
fn run(steps: &[Step]) {
    let mut shell = Shell::start();
    let mut terminals: BTreeMap<String, Process> = BTreeMap::new();
    for step in steps {
        if step.terminal.is_empty() {
            let mut lines = shell.run(&step.typed);
            // A member that is asked may hear a moment later than others that a change is done.
            if step.typed.starts_with("coracle member list ") {
                eventually(|| {
                    lines = shell.run(&step.typed);
                    is_as_said(step, &lines)
                });
            }
            compare(step, &lines);
            continue;
        }
        if step.is_command {
            let words: Vec<&str> = step.typed.split_whitespace().collect();
            assert_eq!(words.first(), Some(&"coracle"));
            terminals.insert(step.terminal.clone(), Process::start(&words[1..]));
        } else {
            terminals.get_mut(&step.terminal).expect("it runs").send(&step.typed);
        }
        let terminal = terminals.get_mut(&step.terminal).expect("it runs");
        for expected in &step.printed {
            if expected.starts_with('[') {
                let is_there = || terminal.errors().lines().any(|line| fits(expected, line));
                assert!(eventually(is_there), "{expected} in\n{}", terminal.errors());
            } else {
                let line = terminal.line();
                assert!(fits(expected.trim_end(), line.trim_end()), "{line:?} for {expected:?}");
            }
        }
        if step.typed.is_empty() {
            assert!(terminals.remove(&step.terminal).expect("it runs").status().success());
        }
    }
}

#[test]
fn a_placeholder_stands_for_one_character_at_least() {
    assert!(fits("term <n>, <any>", "term 12, x"));
    assert!(fits("<any>b<hex>", "abba"));
    assert!(fits("(<n>)", "(1)"));
    assert!(!fits("(<n>)", "()") && !fits("(<n>)", "(x)") && !fits("(<n>)", "(1) "));
    assert!(!fits("a", "ab") && !fits("<any>", ""));
}
