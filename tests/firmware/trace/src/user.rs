//! A client and what it wants.

use coracle::{
    Checksum, Client, ClientEvent, ClientOptions, ClusterId, NodeId, Outcome, Server, Ticks,
};
use coracle_machines::{Command, Number, Query, Response};
use coracle_rules::harness::Random;

use crate::cluster::MEMBERS;
use crate::hash::Hash;
use crate::network::DATAGRAM_BYTES;

/// A client that asks for one thing after the other.
pub struct User {
    client: Client<usize, Checksum, Random, MEMBERS, 256>,
    random: Random,
    /// How many answers it still wants.
    wanted: u32,
    /// What the command under way adds to the integer.
    adding: i64,
    /// What its commands have added.
    pub added: i64,
    /// How many of its commands took effect.
    pub commands: u32,
}

impl User {
    /// A client of the three members which wants so many answers.
    pub fn new(seed: u64, cluster: ClusterId, wanted: u32) -> Self {
        let options = ClientOptions {
            cluster,
            retry_min: Ticks(40),
            retry_max: Ticks(400),
            datagram: DATAGRAM_BYTES,
        };
        let ids = [NodeId(1), NodeId(2), NodeId(3)];
        let mut servers = [Server { address: 0, id: None }; MEMBERS];
        for (address, (server, id)) in servers.iter_mut().zip(ids).enumerate() {
            *server = Server { address, id: Some(id) };
        }
        let client = Client::new(options, &servers, Random::new(seed), Checksum);
        let client = client.expect("a sound set-up");
        let random = Random::new(seed ^ 0x7573_6572);
        Self { client, random, wanted, adding: 0, added: 0, commands: 0 }
    }

    /// Whether it has had all its answers.
    pub fn is_done(&self) -> bool {
        self.wanted == 0
    }

    /// How long it may be left alone.
    pub fn next_timeout(&self) -> Option<Ticks> {
        if self.client.is_idle() && !self.is_done() {
            return Some(Ticks(1));
        }
        self.client.next_timeout()
    }

    /// Lets time pass.
    pub fn tick(&mut self, elapsed: Ticks) {
        self.client.tick(elapsed);
        if self.client.is_idle() && !self.is_done() {
            self.begin();
        }
    }

    /// Takes a datagram; whether it was one for this client, and new.
    pub fn receive(&mut self, from: usize, datagram: &[u8]) -> bool {
        self.client.receive(from, datagram).is_ok()
    }

    /// What is to be sent, to whom; answers go into the hash.
    pub fn poll<'b>(&mut self, buffer: &'b mut [u8], hash: &mut Hash) -> Option<(usize, &'b [u8])> {
        match self.client.poll(buffer)? {
            ClientEvent::Send { to, datagram } => return Some((to, datagram)),
            ClientEvent::Finished { from, epoch, outcome } => {
                hash.add_number(u64::from(from.0));
                hash.add_number(epoch.0);
                self.wanted -= 1;
                match outcome {
                    Outcome::Applied { entry, response } => {
                        hash.add_number(entry.term.0);
                        hash.add_number(entry.index.0);
                        hash.add(response);
                        let response = postcard::from_bytes::<Response>(response);
                        let is_applied = matches!(response, Ok(Response::Done | Response::Sum(_)));
                        assert!(is_applied, "every command here can be carried out");
                        self.added += self.adding;
                        self.commands += 1;
                    }
                    Outcome::Answered { index, answer } => {
                        hash.add_number(index.0);
                        hash.add(answer);
                    }
                    Outcome::Status(_)
                    | Outcome::Peers { .. }
                    | Outcome::Admin(_)
                    | Outcome::Refused { .. }
                    | Outcome::SessionExpired
                    | Outcome::EpochEnded
                    | Outcome::AnswerTooLong { .. } => panic!("nothing here is refused"),
                }
            }
        }
        None
    }

    /// Draws what to ask next.
    #[inline(never)]
    fn begin(&mut self) {
        let drawn = self.random.next();
        let [key, value @ ..] = drawn.to_le_bytes();
        let key = [b'k', key % KEYS];
        let operand = i64::from(i32::from_le_bytes([value[0], value[1], value[2], value[3]]));
        let number = Number::<16>::from(operand);
        self.adding = 0;
        let command = match drawn % 8 {
            0 | 1 => {
                self.adding = operand;
                Command::Add(number.as_integer())
            }
            2 => {
                self.adding = -operand;
                Command::Sub(number.as_integer())
            }
            3 => Command::Sum(operand, i64::MAX),
            4 | 5 => Command::Set { key: &key, value: &value },
            _ => return self.ask(drawn, &key),
        };
        let mut bytes = [0; 64];
        let command = postcard::to_slice(&command, &mut bytes).expect("commands here are short");
        self.client.command(command).expect("it is idle");
    }

    fn ask(&mut self, drawn: u64, key: &[u8]) {
        let query = match drawn % 8 {
            6 => Query::Integer,
            _ => Query::Get(heapless::Vec::from_slice(key).expect("a short key")),
        };
        let mut bytes = [0; 64];
        let query = postcard::to_slice(&query, &mut bytes).expect("queries here are short");
        self.client.query(query).expect("it is idle");
    }
}

/// Few, so that they are written again and again.
const KEYS: u8 = 5;
