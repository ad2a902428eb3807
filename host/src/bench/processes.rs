//! The processes under measurement. They end with their guard.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::traffic::Counted;

/// Processes of this program, each with a UDP port, that answer lines with what they have counted.
pub struct Processes {
    processes: Vec<Process>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Processes {
    /// Starts one process for each of these lists of arguments.
    ///
    /// # Errors
    /// When one cannot be started; then none is left.
    pub fn start(arguments: &[Vec<String>]) -> io::Result<Self> {
        let mut all = Self { processes: Vec::with_capacity(arguments.len()) };
        for arguments in arguments {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
            if std::env::var_os("RUST_LOG").is_none() {
                command.env("RUST_LOG", "error");
            }
            let mut child = command.spawn()?;
            let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other("a process without pipes"));
            };
            all.processes.push(Process { child, input, output: BufReader::new(output) });
        }
        Ok(all)
    }

    /// What each process has counted.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn all_counted(&mut self) -> io::Result<Vec<Counted>> {
        self.processes.iter_mut().map(Process::counted).collect()
    }

    /// The processor time that all of them have taken.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn processor_time(&self) -> io::Result<Duration> {
        self.processes.iter().map(|process| processor_time(process.child.id())).sum()
    }

    /// Ends a process as a power cut would.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(&mut self, place: usize) -> io::Result<()> {
        let process = self.processes.get_mut(place).ok_or(io::ErrorKind::NotFound)?;
        process.child.kill()
    }
}

impl Process {
    fn counted(&mut self) -> io::Result<Counted> {
        self.input.write_all(b"\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|error| io::Error::other(format!("{line}: {error}")))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for Process { child, .. } in &mut self.processes {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                log::debug!("process {}: {error}", child.id());
            }
        }
    }
}

/// Ports of this machine that were free a moment ago.
///
/// # Errors
/// When there are none.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let sockets: io::Result<Vec<UdpSocket>> =
        (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    sockets?.iter().map(|socket| Ok(socket.local_addr()?.port())).collect()
}

/// The sum of all threads, to the nanosecond: the first number of each one's `schedstat`.
fn processor_time(process: u32) -> io::Result<Duration> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        sum += nanos.ok_or_else(|| io::Error::other(format!("not understood: {text}")))?;
    }
    Ok(Duration::from_nanos(sum))
}
