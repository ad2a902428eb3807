//! The prompt at a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;

const INTERRUPT: &str = "\x03";
const END: &str = "\x04";
const UP: &str = "\x1b[A";

/// A cluster whose input and output are a terminal.
struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<String>>,
    /// How much of what was shown was expected.
    seen: usize,
}

impl Terminal {
    /// A cluster at its first prompt.
    fn start() -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
        let [base] = free_ports();
        let child = Command::new(env!("CARGO_BIN_EXE_coracle"))
            .args(["cluster", "--base-port", &base.min(u16::MAX - 100).to_string()])
            .env("TERM", "xterm")
            .env_remove("RUST_LOG")
            .stdin(slave())
            .stdout(slave())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with an error when the last who has the terminal open closes it.
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                collected.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        let mut terminal = Self { child, keys, shown, seen: 0 };
        terminal.expect("ready: node ");
        terminal.expect("coracle> ");
        terminal
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, behind what was expected before.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let mut end = None;
        let is_shown = eventually(|| {
            let shown = self.shown.lock().unwrap();
            end = shown[self.seen..].find(text).map(|at| self.seen + at + text.len());
            end.is_some()
        });
        assert!(is_shown, "{text:?} is not shown: {:?}", self.shown.lock().unwrap());
        self.seen = end.unwrap();
    }

    /// Types a line, and waits for its answer and the next prompt.
    #[track_caller]
    fn answer(&mut self, line: &str, answer: &str) {
        self.type_in(&format!("{line}\r"));
        self.expect(answer);
        self.expect("coracle> ");
    }

    #[track_caller]
    fn expect_end(mut self) {
        let mut status = None;
        assert!(eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        }));
        assert!(status.unwrap().success(), "{status:?}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

#[test]
fn a_tab_completes_and_an_arrow_brings_back_the_line_before() {
    let mut terminal = Terminal::start();
    terminal.answer("add 5", "\r\ncommitted: add 5 (term ");
    terminal.answer("sta\t", "127.0.0.1:");
    terminal.answer("kill le\t", "killed node ");
    terminal.answer(&format!("{UP}{UP}{UP}"), "\r\ncommitted: add 5 (term ");
    terminal.answer("get", "\r\n10\r\n");
    terminal.type_in("quit\r");
    terminal.expect_end();
}

#[test]
fn what_may_follow_a_command_is_shown_while_it_is_typed() {
    let mut terminal = Terminal::start();
    terminal.type_in("partition");
    terminal.expect("A,B | C");
    terminal.type_in(INTERRUPT);
    terminal.expect("coracle> ");
}

#[test]
fn an_interrupt_takes_back_a_line_and_another_one_quits() {
    let mut terminal = Terminal::start();
    terminal.type_in("kill leader");
    terminal.expect("leader");
    terminal.type_in(INTERRUPT);
    terminal.expect("coracle> ");
    terminal.answer("status", "  leader  ");
    terminal.type_in(INTERRUPT);
    terminal.expect_end();
}

#[test]
fn the_end_of_input_quits_at_a_terminal_too() {
    let mut terminal = Terminal::start();
    terminal.type_in(END);
    terminal.expect_end();
}
