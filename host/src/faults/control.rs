//! Orders to a running node: one line each on its standard input, one line of answer each on its
//! standard output.
//!
//! The first line of a node's output says that it listens, or that it cannot since its port is in
//! use. A line that is followed is answered `ok LINE`, any other one `error: WHY; nothing has
//! changed`. The end of input ends the node, a paused one too.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use log::info;
use mio::Waker;

use super::Faults;
use super::order::{Order, OrderError, parse_line};
use crate::lines::{Line, read_line};

/// The loop's side: what was ordered and is not followed yet.
pub struct Control {
    lines: Receiver<Line>,
    is_paused: bool,
}

/// Whether the node goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does.
    GoesOn,
    /// There will be no further order.
    Ends,
}

/// The other side: what reads the lines.
pub struct Orders {
    lines: SyncSender<Line>,
}

impl Control {
    /// Both sides; the node is not paused.
    pub fn new() -> (Orders, Self) {
        let (sender, lines) = sync_channel(MOST_WAITING);
        (Orders { lines: sender }, Self { lines, is_paused: false })
    }

    /// Follows the orders that have arrived, and while the node is paused those that will.
    ///
    /// # Errors
    /// When they cannot be answered.
    pub fn follow(&mut self, faults: &mut Faults) -> io::Result<Life> {
        loop {
            let line = if self.is_paused {
                self.lines.recv().unwrap_or(Line::End)
            } else {
                match self.lines.try_recv() {
                    Ok(line) => line,
                    Err(TryRecvError::Empty) => return Ok(Life::GoesOn),
                    Err(TryRecvError::Disconnected) => Line::End,
                }
            };
            match line {
                Line::End => return Ok(Life::Ends),
                Line::Unreadable(why) => {
                    answer(&format!("{NOT_FOLLOWED}{why}; nothing has changed"))?;
                }
                Line::Text(line) => match self.obey(&line, faults) {
                    Ok(()) => {
                        info!("following the order: {line}");
                        answer(&format!("{FOLLOWED}{line}"))?;
                    }
                    Err(why) => answer(&format!("{NOT_FOLLOWED}{why}; nothing has changed"))?,
                },
            }
        }
    }

    fn obey(&mut self, line: &str, faults: &mut Faults) -> Result<(), OrderError> {
        let orders = parse_line(line)?;
        faults.apply(&orders)?;
        for order in orders {
            match order {
                Order::Pause => self.is_paused = true,
                Order::Resume => self.is_paused = false,
                Order::Heal | Order::Meet(..) | Order::Set { .. } => {}
            }
        }
        Ok(())
    }
}

impl Orders {
    /// Reads standard input to its end. The end of this value ends the node.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(self, waker: &Waker) -> io::Result<()> {
        let mut input = io::stdin().lock();
        let result = loop {
            match read_line(&mut input) {
                Ok(Line::End) => break Ok(()),
                Ok(line) => {
                    if self.lines.send(line).is_err() {
                        break Ok(());
                    }
                    waker.wake()?;
                }
                Err(error) => break Err(error),
            }
        };
        drop(self);
        waker.wake()?;
        result
    }
}

/// Takes the address for a node under control, and says whether it got it: none when it is in use.
///
/// From then on the node ends when its parent does, however that ends. The end of its input is
/// enough for that, unless a signal has stopped the node, which then notices nothing: where the
/// system has a signal for the death of a parent, it is asked for.
///
/// # Errors
/// When the address cannot be had for another reason, or nobody reads what is said.
pub fn bind_controlled(address: SocketAddr) -> io::Result<Option<UdpSocket>> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    match UdpSocket::bind(address) {
        Ok(socket) => {
            answer(&format!("{LISTENING}{address}"))?;
            Ok(Some(socket))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            answer(&format!("{IN_USE}{address}"))?;
            Ok(None)
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("{address}: {error}"))),
    }
}

/// What a node says of itself, for whoever started it.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// It listens.
    Listening,
    /// It does not, since its address is in use, and has ended.
    InUse,
    /// It has followed this line.
    Followed(&'a str),
    /// It has not followed a line, for this reason.
    NotFollowed(&'a str),
}

impl<'a> Said<'a> {
    /// Understands a line of a node's output; none is of another form.
    pub fn parse(line: &'a str) -> Option<Self> {
        if line.starts_with(LISTENING) {
            Some(Self::Listening)
        } else if line.starts_with(IN_USE) {
            Some(Self::InUse)
        } else if let Some(line) = line.strip_prefix(FOLLOWED) {
            Some(Self::Followed(line))
        } else {
            line.strip_prefix(NOT_FOLLOWED).map(Self::NotFollowed)
        }
    }
}

fn answer(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

const LISTENING: &str = "listening on ";
const IN_USE: &str = "in use: ";
const FOLLOWED: &str = "ok ";
const NOT_FOLLOWED: &str = "error: ";
const MOST_WAITING: usize = 16;
