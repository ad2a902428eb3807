//! Real processes under test: each has its lines collected, and ends with its guard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take. Nothing comes near it unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

const CORACLE: &str = env!("CARGO_BIN_EXE_coracle");

/// A `coracle` process.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// All of its standard output that was taken.
    pub output: String,
    errors: Arc<Mutex<String>>,
    /// Closed when its standard error has ended.
    errors_end: Receiver<()>,
}

impl Process {
    /// Starts `coracle` with these arguments.
    pub fn start<A: AsRef<str>>(arguments: &[A]) -> Self {
        Self::start_in(arguments, &[])
    }

    /// Starts `coracle` with these arguments in this environment.
    pub fn start_in<A: AsRef<str>>(arguments: &[A], environment: &[(&str, &str)]) -> Self {
        Self::spawn(CORACLE, arguments, environment).heard()
    }

    /// Starts another program.
    pub fn start_program<A: AsRef<str>>(program: &str, arguments: &[A]) -> Self {
        Self::spawn(program, arguments, &[]).heard()
    }

    /// With its lines collected.
    fn heard(self) -> Self {
        let mut process = self;
        let (sender, lines) = channel();
        let mut output = BufReader::new(process.child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|length| length > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        process.lines = lines;
        process
    }

    /// Starts `coracle`, with nobody reading its standard output so far.
    pub fn start_mute<A: AsRef<str>>(arguments: &[A]) -> Self {
        Self::spawn(CORACLE, arguments, &[])
    }

    fn spawn<A: AsRef<str>>(program: &str, arguments: &[A], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .args(arguments.iter().map(AsRef::as_ref))
            .env_remove("RUST_LOG")
            .env_remove("CORACLE_SERVERS")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&errors);
        let mut standard_error = child.stderr.take().unwrap();
        let (open, errors_end) = channel();
        thread::spawn(move || {
            let _open: Sender<()> = open;
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = standard_error.read(&mut bytes) {
                collected.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines: channel().1, output: String::new(), errors, errors_end }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Writes to its standard input whatever becomes of it.
    pub fn try_send(&mut self, line: &str) -> bool {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).is_ok()
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Closes its standard output, for a process that was started mute.
    pub fn close_output(&mut self) {
        drop(self.child.stdout.take().unwrap());
    }

    /// Takes the next line of its standard output, without the newline.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.output.push_str(&line);
                line.trim_end_matches('\n').to_owned()
            }
            Err(RecvTimeoutError::Timeout) => self.fail("no further line of output in time"),
            Err(RecvTimeoutError::Disconnected) => self.fail("its output has ended"),
        }
    }

    /// Takes the next line, which must be this one.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        let line = self.line();
        if line != expected {
            self.fail(&format!("expected the line {expected:?}, not {line:?}"));
        }
    }

    /// Takes what is left of its output once it has ended.
    pub fn rest(&mut self) -> String {
        let start = self.output.len();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.output.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => return self.output[start..].to_owned(),
                Err(RecvTimeoutError::Timeout) => self.fail("its output does not end"),
            }
        }
    }

    /// What it has written to standard error.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Waits until this stands on its standard error.
    #[track_caller]
    pub fn expect_error(&self, part: &str) {
        if !eventually(|| self.errors().contains(part)) {
            self.fail(&format!("expected {part:?} on standard error"));
        }
    }

    /// Waits for its end, and that of everything that shares its standard error.
    #[track_caller]
    pub fn status(&mut self) -> ExitStatus {
        let mut status = None;
        if !eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        }) {
            self.fail("it does not end");
        }
        if self.errors_end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            self.fail("a process that it started does not end");
        }
        status.unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        let (output, errors) = (&self.output, self.errors());
        panic!("{why}\n-- standard output so far:\n{output}\n-- standard error:\n{errors}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Whether this holds before patience ends.
pub fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    holds()
}

/// UDP ports that were free a moment ago, in ascending order.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let sockets = [(); N].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut ports = sockets.map(|socket| socket.local_addr().unwrap().port());
    ports.sort_unstable();
    ports
}
