//! What the thin member costs on this machine, in instructions, stack and datagrams: three of them
//! in one image, on a network that loses nothing. `tests/firmware/figures` runs it and reads what
//! it prints.
#![no_std]
#![no_main]

use coracle::{Array, Destination, Event, NodeId, RoleName, Slot, Ticks};
use coracle_firmware::count::Counter;
use coracle_firmware::semihosting::process::exit;
use coracle_firmware::stack::Painted;
use coracle_firmware::thin::{self, DATAGRAM, Log, Member};
use heapless::{Deque, Vec};
use static_cell::{ConstStaticCell, StaticCell};

coracle_firmware::reporting!();

const MEMBERS: usize = 3;

const IDS: [NodeId; MEMBERS] = [NodeId(1), NodeId(2), NodeId(3)];

static LOGS: [ConstStaticCell<Log>; MEMBERS] =
    [const { ConstStaticCell::new(Array::zeroed()) }; MEMBERS];
static PLACES: [StaticCell<Member>; MEMBERS] = [const { StaticCell::new() }; MEMBERS];

#[cortex_m_rt::entry]
fn main() -> ! {
    let peripherals = cortex_m::Peripherals::take().expect("nobody has taken them");
    let mut bench = Bench::new(Counter::new(peripherals.SYST));
    bench.form();
    bench.idle();
    bench.heartbeats(16);
    bench.commands("one", 32, 1);
    bench.commands("batch", 4, 16);
    bench.stack();
    sizes();
    exit(0)
}

/// A datagram under way.
struct Packet {
    from: usize,
    to: usize,
    bytes: Vec<u8, DATAGRAM>,
}

/// What is done to a member.
#[derive(Clone, Copy)]
enum Call {
    Tick,
    Receive,
    Poll,
    Propose,
}

/// How much of what there was.
#[derive(Clone, Copy, Default)]
struct Tally {
    /// Instructions, by [`Call`], of the leader and of all others together.
    instructions: [[u32; 2]; 4],
    /// The deepest stack, by [`Call`].
    stack: [usize; 4],
    datagrams: u32,
    bytes: u32,
}

struct Bench {
    counter: Counter,
    members: Vec<&'static mut Member, MEMBERS>,
    leader: usize,
    queue: Deque<Packet, 8>,
    tally: Tally,
    /// Whether the stack is measured instead of instructions.
    is_painting: bool,
}

impl Bench {
    fn new(counter: Counter) -> Self {
        let mut members = Vec::new();
        let mut deepest = 0;
        for (id, (log, place)) in IDS.into_iter().zip(LOGS.iter().zip(&PLACES)) {
            let others: Vec<_, MEMBERS> = IDS.into_iter().filter(|other| *other != id).collect();
            let painted = Painted::new();
            let member = set_up(log.take(), place, id, &others);
            deepest = deepest.max(painted.used());
            let member = member.expect("a sound set-up");
            assert!(members.push(member).is_ok(), "there is room for all");
        }
        defmt::println!("stack.set_up {=usize}", deepest);
        let (queue, tally) = (Deque::new(), Tally::default());
        Self { counter, members, leader: 0, queue, tally, is_painting: false }
    }

    /// Waits until one leads and all have applied its first entry.
    fn form(&mut self) {
        for _tick in 0..1000 {
            self.pass(Ticks(10));
            let leads = |member: &&'static mut Member| {
                member.raft().role() == RoleName::Leader
                    && member.raft().applied() == member.raft().last().index
            };
            if let Some(leader) = self.members.iter().position(leads) {
                self.leader = leader;
                return;
            }
        }
        panic!("nobody leads");
    }

    /// A tick in which nothing is due.
    fn idle(&mut self) {
        self.pass(Ticks(1));
        self.tally = Tally::default();
        let follower = (self.leader + 1) % MEMBERS;
        self.call(Call::Tick, self.leader, |member| tick(member, Ticks(1)));
        self.call(Call::Tick, follower, |member| tick(member, Ticks(1)));
        let [leader, follower] = self.tally.instructions[Call::Tick as usize];
        defmt::println!("tick.leader {=u32}", leader);
        defmt::println!("tick.follower {=u32}", follower);
    }

    /// From a heartbeat's becoming due to its last answer, on all three.
    fn heartbeats(&mut self, rounds: u32) {
        self.settle();
        for _round in 0..rounds {
            let wait = self.members[self.leader].next_timeout().expect("a leader waits");
            self.pass(wait);
        }
        let all = self.tally.instructions.iter().flatten().sum::<u32>();
        defmt::println!("heartbeat.all {=u32}", all / rounds);
        defmt::println!("heartbeat.datagrams {=u32}", 1000 * self.tally.datagrams / rounds);
    }

    /// So many times so many commands, each time driven until nothing is to do.
    fn commands(&mut self, name: &str, rounds: u32, batch: u32) {
        self.settle();
        let before = self.members[self.leader].machine().0;
        for _round in 0..rounds {
            for _command in 0..batch {
                self.call(Call::Propose, self.leader, |member| propose(member, 1));
            }
            self.drive();
        }
        let count = rounds * batch;
        let after = self.members[self.leader].machine().0;
        assert!(after == before + u64::from(count), "every command has taken effect");
        let Tally { instructions, datagrams, bytes, .. } = self.tally;
        for (call, [leader, followers]) in CALLS.into_iter().zip(instructions) {
            defmt::println!("{=str}.{=str}.leader {=u32}", name, call, leader / count);
            defmt::println!("{=str}.{=str}.followers {=u32}", name, call, followers / count);
        }
        let all = instructions.iter().flatten().sum::<u32>();
        defmt::println!("{=str}.all {=u32}", name, all / count);
        defmt::println!("{=str}.datagrams {=u32}", name, 1000 * datagrams / count);
        defmt::println!("{=str}.bytes {=u32}", name, bytes / count);
    }

    /// The deepest stack while time passes and commands are committed.
    fn stack(&mut self) {
        self.is_painting = true;
        self.settle();
        for _round in 0..8 {
            self.call(Call::Propose, self.leader, |member| propose(member, 1));
            self.drive();
            self.pass(Ticks(30));
        }
        for (call, deepest) in CALLS.into_iter().zip(self.tally.stack) {
            defmt::println!("stack.{=str} {=usize}", call, deepest);
        }
    }

    /// Makes all equal, and the counts zero.
    fn settle(&mut self) {
        for _beat in 0..4 {
            self.pass(Ticks(50));
        }
        self.tally = Tally::default();
    }

    fn pass(&mut self, elapsed: Ticks) {
        for place in 0..MEMBERS {
            self.call(Call::Tick, place, |member| tick(member, elapsed));
        }
        self.drive();
    }

    /// Delivers and polls until nothing is to do.
    fn drive(&mut self) {
        (0..MEMBERS).for_each(|place| self.poll(place));
        while let Some(Packet { from, to, bytes }) = self.queue.pop_front() {
            let address = IDS[from].0.to_le_bytes()[0];
            self.call(Call::Receive, to, |member| receive(member, address, &bytes));
            self.poll(to);
        }
    }

    fn poll(&mut self, place: usize) {
        let mut buffer = [0; DATAGRAM];
        loop {
            let polled = self.call(Call::Poll, place, |member| poll(member, &mut buffer));
            match polled {
                Polled::Nothing => return,
                Polled::Something => {}
                Polled::Send(id, length) => {
                    let to = IDS.iter().position(|other| *other == id).expect("it is a member");
                    let bytes = Vec::from_slice(&buffer[..length]).expect("within its limit");
                    self.tally.datagrams += 1;
                    self.tally.bytes += u32::try_from(length).expect("a datagram is short");
                    let packet = Packet { from: place, to, bytes };
                    self.queue.push_back(packet).ok().expect("few are under way");
                }
            }
        }
    }

    /// Does something with a member, and counts what it takes.
    fn call<T>(&mut self, call: Call, place: usize, act: impl FnOnce(&mut Member) -> T) -> T {
        let member = &mut *self.members[place];
        if self.is_painting {
            let painted = Painted::new();
            let outcome = act(member);
            let deepest = &mut self.tally.stack[call as usize];
            *deepest = painted.used().max(*deepest);
            return outcome;
        }
        let start = self.counter.start();
        let outcome = act(member);
        let instructions = self.counter.since(start);
        self.tally.instructions[call as usize][usize::from(place != self.leader)] += instructions;
        outcome
    }
}

const CALLS: [&str; 4] = ["tick", "receive", "poll", "propose"];

/// What there was to do.
enum Polled {
    Nothing,
    Something,
    Send(NodeId, usize),
}

// Each of these is a function of its own, so that all of its stack is below the caller's.

#[inline(never)]
fn set_up(
    log: &'static mut Log,
    place: &'static StaticCell<Member>,
    id: NodeId,
    others: &[NodeId],
) -> Option<&'static mut Member> {
    thin::member(place, log, id, others)
}

#[inline(never)]
fn tick(member: &mut Member, elapsed: Ticks) {
    member.tick(elapsed);
}

#[inline(never)]
fn receive(member: &mut Member, from: u8, datagram: &[u8]) {
    assert!(member.receive(from, datagram).is_ok(), "members understand each other");
}

#[inline(never)]
fn poll(member: &mut Member, buffer: &mut [u8]) -> Polled {
    match member.poll(buffer) {
        Ok(None) => Polled::Nothing,
        Ok(Some(Event::Send { to: Destination::Peer(id, _), datagram })) => {
            Polled::Send(id, datagram.len())
        }
        Ok(Some(Event::Applied { .. })) => Polled::Something,
        Ok(Some(_)) | Err(_) => panic!("there are no clients and no failures here"),
    }
}

#[inline(never)]
fn propose(member: &mut Member, number: u64) {
    assert!(member.propose(&number).is_ok(), "a leader with room takes proposals");
}

/// What the thin member takes of the RAM, and what more of something takes.
fn sizes() {
    defmt::println!("ram.node {=usize}", size_of::<Member>());
    defmt::println!("ram.protocol {=usize}", size_of::<thin::Protocol>());
    defmt::println!("ram.log {=usize}", size_of::<Log>());
    defmt::println!("ram.datagram {=usize}", DATAGRAM);
    let more = [
        ("member", size_of::<Member<5>>()),
        ("session", size_of::<Member<4, 5>>()),
        ("pending", size_of::<Member<4, 4, 5>>()),
    ];
    for (name, size) in more {
        defmt::println!("price.{=str} {=usize}", name, size - size_of::<Member>());
    }
    defmt::println!("price.slot {=usize}", size_of::<Slot>());
}
