extern crate std;

use core::convert::Infallible;
use std::vec;
use std::vec::Vec;

use rand_core::TryRng;

use super::*;
use crate::message::{Admin, Answer, Message, Reply, Request, Want};
use crate::seal::Checksum;
use crate::types::{ClusterId, Term};
use crate::wire::{self, ClientRoute, Header, Route};

mod hostile;
mod lossy;
mod routing;
mod sessions;

const CLUSTER: ClusterId = ClusterId(0xc1);
const WORLD: Epoch = Epoch(0xe1);
const DATAGRAM: u16 = 600;
const RETRY_MIN: u64 = 100;
const RETRY_MAX: u64 = 1_500;

type Small = Client<u8, Checksum, Splitmix, 4, 200>;

/// splitmix64.
#[derive(Debug)]
struct Splitmix(u64);

impl TryRng for Splitmix {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| u32::try_from(word >> 32).unwrap())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            [*byte, ..] = self.try_next_u64()?.to_le_bytes();
        }
        Ok(())
    }
}

fn options() -> ClientOptions {
    ClientOptions {
        cluster: CLUSTER,
        retry_min: Ticks(RETRY_MIN),
        retry_max: Ticks(RETRY_MAX),
        datagram: DATAGRAM,
    }
}

/// A client of servers at the addresses 1, 2, ..., which are nodes 10, 20, ..., as it knows.
fn client(servers: u8) -> Small {
    let servers: Vec<_> = (1..=servers)
        .map(|address| Server { address, id: Some(NodeId(u32::from(address) * 10)) })
        .collect();
    Client::new(options(), &servers, Splitmix(1), Checksum).unwrap()
}

/// A client of the same servers, of which it knows only the addresses.
fn stranger(servers: u8) -> Small {
    let servers: Vec<_> = (1..=servers).map(|address| Server { address, id: None }).collect();
    Client::new(options(), &servers, Splitmix(1), Checksum).unwrap()
}

/// A request as a server sees it.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    to: u8,
    number: u64,
    route: ClientRoute,
    wish: Wish,
    bytes: usize,
    padding: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Wish {
    Open,
    Command { session: u64, sequence: u64, command: Vec<u8> },
    Query(Vec<u8>),
    Status,
    Peers(u8),
    Admin(Admin),
}

fn understand(to: u8, datagram: &[u8]) -> Asked {
    let (header, message) = wire::decode(datagram, &Checksum).unwrap();
    let Route::Client(route) = header.route else { panic!("not a client's route") };
    let Message::Request(Request { want, padding }) = message else { panic!("not a request") };
    assert!(padding.iter().all(|byte| *byte == 0));
    let wish = match want {
        Want::Open => Wish::Open,
        Want::Command { session, sequence, command } => {
            Wish::Command { session: session.0, sequence, command: command.to_vec() }
        }
        Want::Query { query } => Wish::Query(query.to_vec()),
        Want::Status => Wish::Status,
        Want::Peers { first } => Wish::Peers(first),
        Want::Admin(admin) => Wish::Admin(admin),
    };
    let (number, bytes, padding) = (header.number, datagram.len(), padding.len());
    Asked { to, number, route, wish, bytes, padding }
}

/// The one request that the client has to send.
fn asked(client: &mut Small) -> Asked {
    let mut buffer = [0; DATAGRAM as usize];
    let Some(ClientEvent::Send { to, datagram }) = client.poll(&mut buffer) else {
        panic!("nothing to send")
    };
    let asked = understand(to, datagram);
    assert_eq!(client.poll(&mut [0; DATAGRAM as usize]), None);
    asked
}

fn nothing(client: &mut Small) {
    assert_eq!(client.poll(&mut [0; DATAGRAM as usize]), None);
}

fn finished<'b>(client: &mut Small, buffer: &'b mut [u8]) -> Outcome<'b> {
    let Some(ClientEvent::Finished { outcome, .. }) = client.poll(buffer) else {
        panic!("not finished")
    };
    outcome
}

fn reply_in(epoch: Epoch, asked: &Asked, answer: Answer<'_>) -> Vec<u8> {
    let route = Route::Client(ClientRoute { epoch, ..asked.route });
    let from = NodeId(u32::from(asked.to) * 10);
    let reply = Message::Reply(Reply { echo: asked.number, from, answer });
    let mut buffer = [0; 2_000];
    let length = wire::encode(&Header { number: 1, route }, &reply, &Checksum, &mut buffer);
    buffer[..length.unwrap()].to_vec()
}

fn reply(asked: &Asked, answer: Answer<'_>) -> Vec<u8> {
    reply_in(WORLD, asked, answer)
}

fn answer(client: &mut Small, asked: &Asked, answer: Answer<'_>) {
    client.receive(asked.to, &reply(asked, answer)).unwrap();
}

fn drops(client: &mut Small, asked: &Asked, answer: Answer<'_>) -> ClientDropped {
    client.receive(asked.to, &reply(asked, answer)).unwrap_err()
}

fn entry(index: u64) -> EntryId {
    EntryId { term: Term(3), index: Index(index) }
}

fn applied(index: u64, response: &[u8]) -> Answer<'_> {
    Answer::Applied { entry: entry(index), response }
}

fn answered(index: u64, answer: &[u8]) -> Answer<'_> {
    Answer::Answered { index: Index(index), answer }
}

/// Starts a command in a session that is opened for it, and gives what the server is asked.
fn asked_in_session(client: &mut Small, command: &[u8]) -> Asked {
    client.command(command).unwrap();
    let open = asked(client);
    assert_eq!(open.wish, Wish::Open);
    answer(client, &open, Answer::Opened(SessionId(7)));
    asked(client)
}

fn command(sequence: u64, command: &[u8]) -> Wish {
    Wish::Command { session: 7, sequence, command: command.to_vec() }
}

/// Lets time pass to the next timeout and gives how long that was.
fn wait(client: &mut Small) -> u64 {
    let span = client.next_timeout().unwrap();
    assert_ne!(span, Ticks(0));
    client.tick(Ticks(span.0 - 1));
    nothing(client);
    client.tick(Ticks(1));
    span.0
}

fn status_bytes() -> &'static [u8] {
    let mut bytes = vec![0; 256];
    let length = postcard::to_slice(&status(), &mut bytes).unwrap().len();
    bytes.truncate(length);
    bytes.leak()
}

fn status() -> Status {
    Status {
        member: crate::types::MemberId::default(),
        epoch: WORLD,
        role: crate::status::RoleName::Leader,
        condition: crate::status::Condition::Ready,
        term: Term(3),
        leader: Some(NodeId(10)),
        commit: Index(9),
        applied: Index(9),
        base: entry(2),
        last: entry(9),
        durable: Index(9),
        log_bytes: 100,
        log_capacity: 4_096,
        limits: crate::status::Limits::default(),
        members: 3,
        expected: 3,
        answered: 0,
        counters: crate::status::Counters::default(),
    }
}

#[test]
fn a_microcontroller_has_room_for_a_client() {
    type Tiny = Client<u8, Checksum, Splitmix, 3, 64>;
    std::println!("client of 3 servers and 64 bytes: {} bytes", size_of::<Tiny>());
    std::println!("of that, what a finished status takes: {} bytes", size_of::<Phase>());
    assert!(size_of::<Tiny>() <= 1_024);
}

#[test]
fn a_client_that_makes_no_sense_is_refused() {
    let new = |options, servers: &[(u8, u32)]| {
        let servers: Vec<_> = servers
            .iter()
            .map(|(address, id)| Server { address: *address, id: Some(NodeId(*id)) })
            .collect();
        Small::new(options, &servers, Splitmix(1), Checksum).err()
    };
    let none = ClientOptions { retry_min: Ticks(0), ..options() };
    let swapped = ClientOptions { retry_max: Ticks(RETRY_MIN - 1), ..options() };
    let short = ClientOptions { datagram: 142, ..options() };
    let shortest = ClientOptions { datagram: 143, ..options() };
    assert_eq!(new(options(), &[]), Some(ClientSetupError::NoServers));
    assert_eq!(new(options(), &[(1, 10), (1, 20)]), Some(ClientSetupError::Servers));
    assert_eq!(new(options(), &[(1, 10), (2, 10)]), Some(ClientSetupError::Servers));
    assert_eq!(new(options(), &[(1, 0), (2, u32::MAX)]), None);
    assert_eq!(
        new(options(), &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]),
        Some(ClientSetupError::TooManyServers { limit: 4 })
    );
    assert_eq!(new(none, &[(1, 10)]), Some(ClientSetupError::Retry));
    assert_eq!(new(swapped, &[(1, 10)]), Some(ClientSetupError::Retry));
    assert_eq!(new(short, &[(1, 10)]), Some(ClientSetupError::DatagramTooSmall { minimum: 143 }));
    assert_eq!(new(shortest, &[(1, 10)]), None);
}

#[test]
fn an_operation_too_large_for_client_or_datagram_is_not_started() {
    let mut client = client(1);
    assert_eq!(client.command(&[0; 201]), Err(StartError::TooLarge { limit: 200 }));
    assert_eq!(client.query(&[0; 201]), Err(StartError::TooLarge { limit: 200 }));
    assert_eq!(client.command_with(|_| None), Err(StartError::TooLarge { limit: 200 }));
    assert_eq!(client.query_with(|_| Some(201)), Err(StartError::TooLarge { limit: 200 }));
    assert_eq!(client.next_timeout(), None);
    client.command(&[0; 200]).unwrap();
    assert_eq!(client.query(&[]), Err(StartError::Busy));

    let narrow = ClientOptions { datagram: 143, ..options() };
    let servers = [Server { address: 1, id: None }];
    let mut narrow = Small::new(narrow, &servers, Splitmix(1), Checksum).unwrap();
    let Err(StartError::TooLarge { limit }) = narrow.command(&[0; 200]) else { panic!() };
    narrow.command_with(|room| Some(room.len())).unwrap();
    let open = asked(&mut narrow);
    answer(&mut narrow, &open, Answer::Opened(SessionId(u64::MAX)));
    narrow.session.as_mut().unwrap().sequence = u64::MAX;
    let full = asked(&mut narrow);
    assert_eq!((limit, full.bytes, full.padding), (73, 143, 2));
}

#[test]
fn requests_are_as_long_as_the_longest_answer_expected() {
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"x");
    let longest = Asked { number: wire::MAX_NUMBER, to: 255, ..sent.clone() };
    let longest = reply(
        &longest,
        Answer::Applied {
            entry: EntryId { term: Term(u64::MAX), index: Index(u64::MAX) },
            response: &[0; 64],
        },
    );
    assert!(sent.bytes >= longest.len());
    assert!(sent.bytes <= longest.len() + 4);
    answer(&mut client, &sent, applied(9, b"y"));
    finished(&mut client, &mut [0; 600]);
    client.query(b"q").unwrap();
    assert_eq!(asked(&mut client).bytes, 256);
}

#[test]
fn padding_is_exact_wherever_it_can_be() {
    for missing in 0..40_000 {
        let zeros = request::zeros(missing, usize::MAX);
        let taken = zeros + usize::from(zeros >= 0x80) + usize::from(zeros >= 0x4000);
        assert_eq!(taken, missing + usize::from(missing == 0x80 || missing == 0x4001));
        let zeros = request::zeros(missing, missing);
        let taken = zeros + usize::from(zeros >= 0x80) + usize::from(zeros >= 0x4000);
        assert_eq!(taken, missing - usize::from(missing == 0x80 || missing == 0x4001));
    }
}

#[test]
fn a_request_has_the_bytes_that_encode_would_give_it() {
    for missing in [0, 1, 126, 127, 128, 129, 400] {
        let mut client = client(1);
        client.query(b"query").unwrap();
        client.query_room = 57 + missing;
        let mut buffer = [0; 600];
        let Some(ClientEvent::Send { datagram, .. }) = client.poll(&mut buffer) else { panic!() };
        let seen = understand(1, datagram);
        let request =
            Request { want: Want::Query { query: b"query" }, padding: &vec![0; seen.padding] };
        let header = Header { number: 1, route: Route::Client(seen.route) };
        let mut expected = [0; 600];
        let message = Message::Request(request);
        let length = wire::encode(&header, &message, &Checksum, &mut expected).unwrap();
        assert_eq!(datagram, &expected[..length]);
    }
}

#[test]
fn a_longer_answer_makes_requests_longer_once_and_for_all() {
    let mut client = client(1);
    client.query(b"q").unwrap();
    let short = asked(&mut client);
    let longer = Answer::Refused(Refusal::AnswerLongerThanRequest(400));
    answer(&mut client, &short, longer);
    let long = asked(&mut client);
    assert_eq!((long.bytes, long.number, &long.wish), (400, 2, &short.wish));
    assert_eq!(drops(&mut client, &short, longer), ClientDropped::Stale);
    answer(&mut client, &long, answered(4, &[5; 150]));
    assert_eq!(
        finished(&mut client, &mut [0; 600]),
        Outcome::Answered { index: Index(4), answer: &[5; 150] }
    );
    client.status(None).unwrap();
    assert_eq!(asked(&mut client).bytes, 400);
}

#[test]
fn an_answer_longer_than_a_datagram_ends_the_operation() {
    let mut client = client(1);
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    answer(&mut client, &sent, Answer::Refused(Refusal::AnswerLongerThanRequest(601)));
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::AnswerTooLong { bytes: 601 });
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    assert_eq!(sent.bytes, 256);
    answer(&mut client, &sent, Answer::Refused(Refusal::AnswerLongerThanRequest(256)));
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::AnswerTooLong { bytes: 256 });
}

#[test]
fn a_response_that_fits_nowhere_is_reported_and_the_command_is_spent() {
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    answer(&mut client, &sent, applied(9, &[1; 201]));
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::AnswerTooLong { bytes: 201 });
    client.command(b"two").unwrap();
    let sent = asked(&mut client);
    assert_eq!(sent.wish, command(2, b"two"));
    answer(&mut client, &sent, applied(10, &[1; 200]));
    assert_eq!(finished(&mut client, &mut [0; 199]), Outcome::AnswerTooLong { bytes: 200 });
    assert!(client.is_idle());
}
