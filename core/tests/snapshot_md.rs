//! What `WIRE.md` says of a snapshot: the types below derive it, and read what a node has written.

use coracle::message::{Message, Request, Want};
use coracle::wire::{self, ClientRoute, Header, Route};
use coracle::{
    Array, BadSnapshot, Checksum, ClientId, ClusterId, Destination, Event, Full, Head, Members,
    Node, NodeId, Options, Platform, Raft, SessionId, Sink, Source, StateMachine, Ticks, Timing,
    Volatile,
};
use postcard::fixint::le;
use serde::{Deserialize, Serialize};

/// The protocol's own part; the members follow it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Front {
    version: u8,
    #[serde(with = "le")]
    epoch: u64,
    #[serde(with = "le")]
    term: u64,
    #[serde(with = "le")]
    index: u64,
    #[serde(with = "le")]
    named_at: u64,
    #[serde(with = "le")]
    member_bytes: u16,
}

/// The sessions follow it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SessionsFront {
    version: u8,
    count: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    id: u64,
    #[serde(with = "le")]
    client: u64,
    used: u64,
    last: Option<Last>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Last {
    sequence: u64,
    entry: (u64, u64),
    response: u64,
}

#[test]
fn a_snapshot_is_as_the_document_says() {
    let mut alone = alone();
    alone.asks(0x11, Want::Open);
    alone.asks(0x22, Want::Open);
    let session = SessionId(3);
    alone.asks(0x22, Want::Command { session, sequence: 1, command: &[0xac, 0x02] });
    let mut bytes = heapless::Vec::<u8, 256>::new();
    alone.node.snapshot(&mut bytes).expect("there is room");

    let (front, rest): (Front, _) = postcard::take_from_bytes(&bytes).expect("a front");
    let raft = alone.node.raft();
    let epoch = raft.hard_state().epoch;
    let Front { version, named_at, member_bytes, .. } = front;
    assert_eq!((front.epoch, front.term, front.index), (epoch.0, 1, 4));
    assert_eq!((version, named_at, member_bytes), (1, 1, 16));
    let (members, rest) = rest.split_at(16);
    let named = Members::parse(members).expect("a member list").iter().next().expect("a member");
    assert_eq!(named.member, raft.member());
    let (sessions, mut rest): (SessionsFront, _) =
        postcard::take_from_bytes(rest).expect("a front");
    assert_eq!(sessions, SessionsFront { version: 1, count: 2 });
    let last = Last { sequence: 1, entry: (1, 4), response: 300 };
    for (id, client, used, last) in [(2, 0x11, 2, None), (3, 0x22, 4, Some(last))] {
        let session: Session;
        (session, rest) = postcard::take_from_bytes(rest).expect("a session");
        assert_eq!(session, Session { id, client, used, last });
    }
    assert_eq!(rest, 300_u64.to_le_bytes(), "what the state machine wrote");

    let mut source = &bytes[..];
    let head = Head::<4>::read(&mut source).expect("a head");
    assert_eq!((head.epoch, head.last.index.0, head.configuration.members.len()), (epoch, 4, 1));
    let mut restored = self::alone();
    restored.node.restore(&mut &bytes[..]).expect("a snapshot");
    assert_eq!(restored.node.machine().0, 300);
    assert_eq!(restored.node.session_count(), 2);
}

/// Each byte of what is before the sessions counts: nothing else is taken for it.
#[test]
fn a_snapshot_with_another_front_is_none() {
    let mut bytes = heapless::Vec::<u8, 256>::new();
    alone().node.snapshot(&mut bytes).expect("there is room");
    let reads = |bytes: &[u8]| Head::<4>::read(&mut &*bytes).is_ok();
    assert!(reads(&bytes));
    let front = 1 + 4 * 8 + 2 + 16;
    for length in 0..front {
        assert!(!reads(&bytes[..length]), "{length} bytes");
    }
    let with = |place: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[place..place + value.len()].copy_from_slice(value);
        reads(&bytes)
    };
    assert!(!with(0, &[2]), "another version");
    assert!(!with(1, &[0; 8]), "no epoch");
    assert!(!with(9, &[0; 8]), "no term");
    assert!(!with(17, &[0; 8]), "members named behind the last entry");
    assert!(!with(25, &[0; 8]), "members named nowhere");
    assert!(!with(33, &[0, 0]), "no members");
    assert!(!with(33, &[15, 0]), "part of a member");
    assert!(!with(33, &[0xff, 0xff]), "more members than there is room for");
}

struct Sum(u64);

impl StateMachine for Sum {
    type Command<'a> = u64;
    type Response = u64;
    type Query = ();
    type Answer<'a> = u64;

    fn apply(&mut self, number: u64) -> u64 {
        self.0 += number;
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&self.0.to_le_bytes())
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut bytes = [0; 8];
        source.read(&mut bytes)?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

struct Board;

impl Platform for Board {
    type Memory = Array<1024, 16>;
    type Random = Dice;
    type Seal = Checksum;
    type Storage = Volatile;
    type Machine = Sum;
    type Address = u8;
}

/// A cluster of one node, and the number of its clients' last request.
struct Alone {
    node: Node<Board, 4, 4, 4>,
    number: u64,
}

fn alone() -> Alone {
    let options = Options::new(ClusterId(7), NodeId(1), Timing::from_heartbeat(Ticks(10)));
    let raft = Raft::new(&options, &[], Array::zeroed(), Dice(1), Checksum);
    let mut alone = Alone { node: Node::new(raft.expect("sound"), Volatile, Sum(0)), number: 0 };
    alone.node.tick(Ticks(0));
    alone.settle();
    alone
}

impl Alone {
    fn asks(&mut self, client: u64, want: Want<'_>) {
        self.number += 1;
        let epoch = self.node.raft().hard_state().epoch;
        let route = ClientRoute { cluster: ClusterId(7), epoch, client: ClientId(client) };
        let header = Header { number: self.number, route: Route::Client(route) };
        let request = Message::Request(Request { want, padding: &[0; 60] });
        let mut buffer = [0; 256];
        let length = wire::encode(&header, &request, &Checksum, &mut buffer).expect("it fits");
        self.node.receive(0, &buffer[..length]).expect("it is for this node");
        assert_eq!(self.settle(), 1, "one answer");
    }

    /// How many answers left.
    fn settle(&mut self) -> usize {
        let mut buffer = [0; 1200];
        let mut answers = 0;
        while let Some(event) = self.node.poll(&mut buffer).expect("the node is well") {
            if let Event::Send { to: Destination::Client(_), .. } = event {
                answers += 1;
            }
        }
        answers
    }
}

struct Dice(u64);

impl rand_core::TryRng for Dice {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(4)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        Ok(())
    }
}
