//! What stands between a client and a node, and keeps the news from the client.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coracle::Checksum;
use coracle::message::{Answer, Message};
use coracle::wire;

/// Passes on what a client asks of a node, and its answers, but never that a command was applied.
pub struct Relay {
    pub address: SocketAddr,
    kept: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    pub fn start(node: u16) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").unwrap();
        back.connect(("127.0.0.1", node)).unwrap();
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        }
        let (kept, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let address = front.local_addr().unwrap();
        let client = Arc::new(std::sync::Mutex::new(address));
        let ways = [(front.try_clone().unwrap(), back.try_clone().unwrap()), (back, front)];
        let threads = ways.into_iter().enumerate().map(|(way, (from, to))| {
            let (kept, is_over) = (Arc::clone(&kept), Arc::clone(&is_over));
            let client = Arc::clone(&client);
            thread::spawn(move || {
                let mut buffer = [0; 2000];
                while !is_over.load(Ordering::Relaxed) {
                    let Ok((length, sender)) = from.recv_from(&mut buffer) else { continue };
                    let datagram = &buffer[..length];
                    if way == 0 {
                        *client.lock().unwrap() = sender;
                        to.send(datagram).unwrap();
                    } else if is_news(datagram) {
                        kept.fetch_add(1, Ordering::Relaxed);
                    } else {
                        to.send_to(datagram, *client.lock().unwrap()).unwrap();
                    }
                }
            })
        });
        let threads = threads.collect();
        Self { address, kept, is_over, threads }
    }

    /// How many answers it has kept to itself.
    pub fn kept(&self) -> u32 {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn is_news(datagram: &[u8]) -> bool {
    let (_, message) = wire::decode(datagram, &Checksum).unwrap();
    matches!(message, Message::Reply(reply) if matches!(reply.answer, Answer::Applied { .. }))
}
