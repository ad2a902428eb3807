//! A lone node that keeps itself in flash, life after life.

use coracle::{
    Array, BadSnapshot, Checksum, Event, Full, Node, NodeError, Options, Platform, ProposeError,
    RoleName, Sink, Source, StateMachine, Ticks, Timing,
};
use coracle_flash::{Flash, FlashError, Layout};
use rand_core::{Rng, SeedableRng};

use crate::nor::{Dead, Nor};
use crate::script::{Chance, IDENTITY};

type Chip = Nor<1, 4, 1024>;

const PAGES: usize = 16;
const LAYOUT: Layout =
    Layout { offset: 1024, log_bytes: 4096, snapshot_bytes: 1024, memory_bytes: 2048 };

/// One command, of many bytes, so that the log has to be dropped several times.
const ADDEND: u64 = 1 << 60;
const COMMANDS: u64 = 300;
const LIVES: u64 = 4;

struct InFlash;

impl Platform for InFlash {
    type Memory = Array<2048, 64>;
    type Random = Chance;
    type Seal = Checksum;
    type Storage = Flash<Chip>;
    type Machine = Count;
    type Address = u8;
}

type Alone = Node<InFlash, 1, 1, 1>;
type Failure = NodeError<FlashError<Dead>>;

/// How many commands were applied, and as many bytes beside it as a state may have.
struct Count(u64, usize);

impl StateMachine for Count {
    type Command<'a> = u64;
    type Response = u64;
    type Query = ();
    type Answer<'a> = u64;

    fn apply(&mut self, command: u64) -> u64 {
        self.0 += command / ADDEND;
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&self.0.to_le_bytes())?;
        (0..self.1).try_for_each(|_| sink.write(&[1]))
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut bytes = [0; 8];
        source.read(&mut bytes)?;
        self.0 = u64::from_le_bytes(bytes);
        (0..self.1).try_for_each(|_| source.read(&mut [0]))
    }
}

/// A node that goes on with what is on the chip. Whether there was a snapshot.
fn begin(chip: &Chip, seed: u64, ballast: usize) -> (Alone, bool) {
    let mut flash = Flash::open(chip.clone(), LAYOUT, IDENTITY).unwrap();
    let found = flash.recovered();
    let options = Options::new(IDENTITY.cluster, IDENTITY.id, Timing::from_heartbeat(Ticks(10)));
    let parts = (Array::zeroed(), Chance::seed_from_u64(seed), Checksum);
    let raft = flash.start(&options, &[], parts, &mut [0; 512]).unwrap();
    let snapshot = found.and_then(|found| found.snapshot);
    let mut node: Alone = Node::new(raft, flash, Count(0, ballast));
    if let Some(snapshot) = snapshot {
        node.restore_kept(snapshot.length).unwrap();
    }
    (node, snapshot.is_some())
}

fn turn(node: &mut Alone) -> Result<(), Failure> {
    let mut buffer = [0; 1200];
    while let Some(event) = node.poll(&mut buffer)? {
        assert!(!matches!(event, Event::Send { .. }), "there is nobody to be told");
    }
    node.tick(Ticks(1));
    Ok(())
}

fn lead(node: &mut Alone) -> Result<(), Failure> {
    for _turn in 0..1000 {
        let raft = node.raft();
        if raft.role() == RoleName::Leader && raft.applied() == raft.last().index {
            return Ok(());
        }
        turn(node)?;
    }
    panic!("it never leads");
}

/// Has commands take effect until there are so many.
fn count_to(node: &mut Alone, count: u64) -> Result<(), Failure> {
    for _turn in 0..40_000 {
        if node.machine().0 == count {
            return Ok(());
        }
        match node.propose(&ADDEND) {
            Ok(_) | Err(ProposeError::LogFull) => {}
            Err(error) => panic!("{error:?}"),
        }
        turn(node)?;
    }
    panic!("it never counts to {count}");
}

#[test]
fn a_node_goes_on_in_each_life_with_all_that_it_has_committed() {
    let chip = Chip::new(PAGES);
    let mut snapshots = 0;
    for life in 0..LIVES {
        let (mut node, has_snapshot) = begin(&chip, life + 1, 0);
        snapshots += u64::from(has_snapshot);
        lead(&mut node).unwrap();
        assert_eq!(node.machine().0, life * COMMANDS);
        count_to(&mut node, (life + 1) * COMMANDS).unwrap();
        // It ends without a word, as if the power had gone between two writes.
    }
    assert_eq!(snapshots, LIVES - 1, "the log is far shorter than all commands together");
}

/// A command that was told to have taken effect has done so for ever, whenever the power goes.
#[test]
fn a_node_loses_no_command_whenever_the_power_goes() {
    let chip = Chip::new(PAGES);
    let mut chance = Chance::seed_from_u64(8);
    let (mut told, mut snapshots) = (0, 0);
    for life in 0..2000 {
        let (mut node, has_snapshot) = begin(&chip, life + 1, 0);
        snapshots += u64::from(has_snapshot);
        chip.die_at(chip.steps() + chance.next_u64() % 60, chance.next_u64());
        let mut run = || {
            lead(&mut node)?;
            assert!(node.machine().0 >= told, "{} of {told} in life {life}", node.machine().0);
            loop {
                let next = node.machine().0 + 1;
                count_to(&mut node, next)?;
                told = next;
            }
        };
        let ended: Result<(), Failure> = run();
        assert_eq!(ended, Err(NodeError::Storage(FlashError::Driver(Dead))));
        chip.restore_power();
        // Recovery loses its power now and then, too.
        if chance.next_u64().is_multiple_of(2) {
            chip.die_at(chip.steps() + chance.next_u64() % 8, chance.next_u64());
            let _recovered = Flash::open(chip.clone(), LAYOUT, IDENTITY).is_ok();
            chip.restore_power();
        }
    }
    assert!(told > 10_000 && snapshots > 1000, "{told} commands, {snapshots} snapshots");
}

#[test]
fn commands_wait_while_there_is_no_room_for_a_snapshot() {
    let chip = Chip::new(PAGES);
    let (mut node, _) = begin(&chip, 1, 1024);
    lead(&mut node).unwrap();
    let mut refused = 0;
    for _turn in 0..1000 {
        refused += u32::from(node.propose(&ADDEND) == Err(ProposeError::LogFull));
        turn(&mut node).unwrap();
    }
    let count = node.machine().0;
    assert!(refused > 500 && count > 20, "{refused} refused, {count} taken");
    // Started again with a smaller state, it goes on.
    drop(node);
    let (mut node, has_snapshot) = begin(&chip, 2, 0);
    assert!(!has_snapshot);
    lead(&mut node).unwrap();
    assert_eq!(node.machine().0, count);
    count_to(&mut node, count + 500).unwrap();
}

/// What a command costs in erases, so that the figure of the documentation stays true.
#[test]
fn ten_thousand_commands_cost_each_page_two_hundred_erases() {
    let chip = Chip::new(PAGES);
    let (mut node, _) = begin(&chip, 1, 0);
    lead(&mut node).unwrap();
    let before = chip.erases();
    count_to(&mut node, 10_000).unwrap();
    let after = chip.erases();
    let erases: Vec<u64> =
        after.iter().zip(&before).map(|(after, before)| after - before).collect();
    let used = &erases[1..11];
    let (most, least) = (used.iter().max().unwrap(), used.iter().min().unwrap());
    assert!(*most <= 200 && most - least <= 1, "{erases:?}");
    assert_eq!(erases[0], 0);
    assert_eq!(erases[11..], [0; 5]);
}
