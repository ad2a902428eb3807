use std::net::UdpSocket;

use super::*;

fn end() -> UdpSocket {
    let socket = UdpSocket::bind(any_port()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Two nodes and a client, and their relay.
fn network(seed: u64) -> (Relay, [UdpSocket; 3]) {
    let ends = [end(), end(), end()];
    let [a, b, client] = [0, 1, 2].map(|place: usize| ends[place].local_addr().unwrap());
    (Relay::start(seed, &[a, b], &[client]).unwrap(), ends)
}

const WAY: Way = Way { from: 0, to: 1 };
const BACK: Way = Way { from: 1, to: 0 };

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

/// Sends so many numbers from the first to the second, the last one over a good way, and gives
/// those that arrive.
fn arrivals(relay: &Relay, ends: &[UdpSocket], count: u32) -> Vec<u32> {
    let to = relay.address(WAY);
    for number in 0..count {
        ends[0].send_to(&number.to_le_bytes(), to).unwrap();
    }
    while relay.counts().forwarded + relay.counts().lost + relay.counts().cut < u64::from(count) {
        thread::yield_now();
    }
    relay.set(WAY, Faults::default());
    ends[0].send_to(&u32::MAX.to_le_bytes(), to).unwrap();
    let numbers = std::iter::repeat_with(|| receive(&ends[1]).0.try_into().unwrap());
    numbers.map(u32::from_le_bytes).take_while(|number| *number != u32::MAX).collect()
}

#[test]
fn each_end_knows_the_other_under_an_address_of_the_relay() {
    let (relay, ends) = network(1);
    ends[0].send_to(b"hello", relay.address(WAY)).unwrap();
    let (datagram, from) = receive(&ends[1]);
    assert_eq!((&datagram[..], from), (&b"hello"[..], relay.address(BACK)));
    ends[1].send_to(b"answer", from).unwrap();
    let (datagram, from) = receive(&ends[0]);
    assert_eq!((&datagram[..], from), (&b"answer"[..], relay.address(WAY)));
    ends[2].send_to(b"request", relay.address(Way { from: 2, to: 1 })).unwrap();
    let (datagram, from) = receive(&ends[1]);
    assert_eq!((&datagram[..], from), (&b"request"[..], relay.address(Way { from: 1, to: 2 })));
    assert_eq!(relay.counts(), Counts { forwarded: 3, ..Counts::default() });
}

#[test]
fn the_same_seed_loses_the_same_datagrams() {
    let lossy = |seed| {
        let (relay, ends) = network(seed);
        relay.set(WAY, Faults::losing(300));
        let arrived = arrivals(&relay, &ends, 100);
        assert_eq!(relay.counts().lost, 100 - arrived.len() as u64);
        arrived
    };
    let first = lossy(1);
    assert!((50..90).contains(&first.len()), "{} of 100", first.len());
    assert_eq!(first, lossy(1));
    assert_ne!(first, lossy(2));
}

#[test]
fn a_cut_has_one_direction_and_an_end() {
    let (relay, ends) = network(1);
    relay.set(WAY, Faults { is_cut: true, ..Faults::default() });
    assert_eq!(arrivals(&relay, &ends, 5), [] as [u32; 0]);
    relay.set(WAY, Faults { is_cut: true, ..Faults::default() });
    ends[1].send_to(b"back", relay.address(BACK)).unwrap();
    assert_eq!(receive(&ends[0]).0, b"back");
    assert_eq!(relay.counts().cut, 5);
}

#[test]
fn a_datagram_that_is_held_is_overtaken_and_a_doubled_one_arrives_twice() {
    let (relay, ends) = network(1);
    let hold = Duration::from_millis(20);
    relay.set(WAY, Faults { held: 1000, hold, ..Faults::default() });
    ends[0].send_to(b"first", relay.address(WAY)).unwrap();
    while relay.counts().delayed == 0 {
        thread::yield_now();
    }
    relay.set(WAY, Faults { doubled: 1000, ..Faults::default() });
    ends[0].send_to(b"second", relay.address(WAY)).unwrap();
    let all = [(); 3].map(|()| receive(&ends[1]).0);
    assert_eq!(all, [&b"second"[..], b"second", b"first"]);
    let Counts { forwarded, doubled, overtaken, delayed, .. } = relay.counts();
    assert_eq!((forwarded, doubled, overtaken, delayed), (3, 1, 1, 1));
}

#[test]
fn a_stranger_is_not_relayed() {
    let (relay, ends) = network(1);
    end().send_to(b"who", relay.address(WAY)).unwrap();
    while relay.counts().strange == 0 {
        thread::yield_now();
    }
    assert_eq!(arrivals(&relay, &ends, 1), [0]);
}
