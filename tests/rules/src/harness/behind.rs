//! A leader, node 2, with a follower, node 3, that lacks what the leader's log has dropped.

use coracle::message::Message;
use coracle::{Checksum, Member, Memory, NodeId, Options, wire};

use super::{
    Bench, DATAGRAM_BYTES, HEARTBEAT, Large, ONE, THREE, TWO, chunk_taken, entries, matched,
    member, options,
};

/// Options with a window of so many chunks.
#[must_use]
pub fn tight(window: usize) -> Options {
    let mut options = options(TWO);
    options.window_bytes = window * usize::from(CHUNK_BYTES);
    options
}

/// Node 2 leads term 2. Node 3 lacks what the log has dropped and has just said so.
#[must_use]
pub fn behind(window: usize) -> Bench<Large> {
    behind_with(&tight(window))
}

/// The same with these options.
#[must_use]
#[inline(never)]
pub fn behind_with(options: &Options) -> Bench<Large> {
    let of = |id: u32, datagram| Member::voter(member(NodeId(id)), datagram);
    let members = [of(1, DATAGRAM_BYTES), of(2, DATAGRAM_BYTES), of(3, 128)];
    let members = heapless::Vec::from_slice(&members).expect("a few members");
    let mut bench = Bench::tuned(options, Large::fresh(), members, (1, None), &[1]);
    bench.disk.is_forgetful = true;
    let sent = bench.get_elected();
    bench.accepts(&sent, ONE);
    commit_by_one(&mut bench, 6);
    bench.shelf.padding = 300;
    bench.compact();
    assert!(bench.raft.is_sending_snapshot(), "node 3 has not got what was dropped");
    bench
}

/// Node 1 acknowledges so many commands; node 3 says nothing.
pub fn commit_by_one(bench: &mut Bench<Large>, commands: usize) {
    for _command in 0..commands {
        bench.propose(b"c");
        answer_appends(bench, ONE);
    }
    assert_eq!(bench.raft.applied(), bench.raft.last().index);
}

/// A peer acknowledges all that the node has to send.
pub fn answer_appends<M: Memory>(bench: &mut Bench<M>, from: NodeId) {
    for _exchange in 0..20 {
        let (term, mut echo, mut upto) = (bench.raft.term().0, 0, 0);
        bench.drive_into(&mut |to, bytes| {
            if let Ok((header, Message::Append(append))) = wire::decode(bytes, &Checksum)
                && to == from
            {
                let count = u64::try_from(entries(append.run).count());
                echo = header.number;
                upto = upto.max(append.prev.index.0 + count.expect("few entries"));
            }
        });
        if echo == 0 {
            return;
        }
        bench.hears(from, matched(term, echo, upto));
    }
}

/// The chunks that leave now, each with its datagram's number. Node 1 answers what it gets.
pub fn chunks(bench: &mut Bench<Large>) -> heapless::Vec<(u64, u32), 64> {
    let mut sent = heapless::Vec::new();
    let (mut echo, mut matched_upto) = (0, 0);
    bench.drive_into(&mut |to, bytes| match wire::decode(bytes, &Checksum) {
        Ok((header, Message::Chunk(chunk))) => {
            assert_eq!((to, chunk.chunk_bytes), (THREE, CHUNK_BYTES));
            assert!(bytes.len() <= 128, "the follower's datagram");
            sent.push((header.number, chunk.number)).expect("a few chunks");
        }
        Ok((header, Message::Append(append))) if to == ONE => {
            (echo, matched_upto) = (header.number, append.prev.index.0);
        }
        _ => {}
    });
    // Node 1 keeps the leader in office.
    if echo > 0 {
        bench.hears(ONE, matched(2, echo, matched_upto));
    }
    sent
}

/// Their places in the snapshot.
pub fn numbers(bench: &mut Bench<Large>) -> heapless::Vec<u32, 64> {
    chunks(bench).iter().map(|(_, chunk)| *chunk).collect()
}

/// The follower answers the datagram `echo`.
pub fn answer(bench: &mut Bench<Large>, echo: u64, upto: u32, taken: u64) {
    let last = bench.raft.kept_snapshot().expect("it keeps one").last.index.0;
    bench.hears(THREE, chunk_taken(2, echo, last, upto, taken));
}

/// The number of the newest datagram to node 3, which a heartbeat later is an append.
pub fn newest(bench: &mut Bench<Large>) -> u64 {
    let mut newest = 0;
    bench.raft.tick(HEARTBEAT);
    bench.drive_into(&mut |to, bytes| {
        let (header, _) = wire::decode(bytes, &Checksum).expect("what is sent can be read");
        newest = if to == THREE { header.number } else { newest };
    });
    newest
}

/// How many chunks there are.
#[must_use]
pub fn count(bench: &Bench<Large>) -> u32 {
    let length = u32::try_from(bench.shelf.kept.len()).expect("a small snapshot");
    length.div_ceil(u32::from(CHUNK_BYTES))
}

/// Where a chunk's bytes are.
#[must_use]
pub fn bytes_of(bench: &Bench<Large>, chunk: u32) -> core::ops::Range<usize> {
    let size = usize::from(CHUNK_BYTES);
    let start = usize::try_from(chunk).expect("a small number") * size;
    start..bench.shelf.kept.len().min(start + size)
}

/// What a datagram of 128 bytes has room for.
pub const CHUNK_BYTES: u16 = 15;
