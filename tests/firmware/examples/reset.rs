//! A member that stores nothing and goes on in the same life after a reset that was meant: a
//! watchdog's, or an update of the firmware. It leaves an image of itself in memory that a reset
//! leaves alone, and the next start takes it up. After any other end there is no image, and the member
//! is a new one, which the others put in the place of the old one.
//!
//! Here a cluster of one resets itself twice. After the first reset its life and its sum must be as
//! they were; before the second one a bit of the image is flipped, as memory without power may flip
//! it, and then there must be a new life. The program ends with status 0.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use coracle::{
    Array, Checksum, ClusterId, Incarnation, Node, NodeId, Options, Raft, ResumeError, RoleName,
    Ticks, Timing, Volatile,
};
use coracle_firmware::thin::{Log, Member, Total};
use coracle_rules::harness::Random;
use cortex_m::peripheral::SCB;
use semihosting::process::exit;
use static_cell::{ConstStaticCell, StaticCell};

coracle_firmware::reporting!();

static LOG: ConstStaticCell<Log> = ConstStaticCell::new(Array::zeroed());
static MEMBER: StaticCell<Member> = StaticCell::new();

/// What a reset leaves alone. It holds anything at all when the power comes.
struct Kept {
    /// How many starts there were, and the same with all bits flipped, which tells that from anything.
    starts: [u32; 2],
    /// The life before, for the comparison.
    life: Incarnation,
    /// As long as the log and the sessions, and some 250 bytes more.
    image: [u8; 5000],
}

/// The runtime sets neither to zero nor to anything what is in this section.
#[unsafe(link_section = ".uninit.kept")]
static mut KEPT: MaybeUninit<Kept> = MaybeUninit::uninit();

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: nobody else has it, `main` is entered once, and any bytes at all are a `Kept`.
    let kept = unsafe { &mut *addr_of_mut!(KEPT).cast::<Kept>() };
    let starts = if kept.starts[0] == !kept.starts[1] { kept.starts[0] + 1 } else { 1 };
    kept.starts = [starts, !starts];

    let member = set_up(starts);
    let resumed = member.resume(&mut kept.image);
    let life = member.raft().member().incarnation;
    serve(member);
    let sum = member.machine().0;
    defmt::println!("start {=u32}: life {=u64:#x}, sum {=u64}", starts, life.0, sum);
    match starts {
        1 => assert!(resumed == Err(ResumeError::NoImage) && sum == 5),
        2 => assert!(resumed == Ok(()) && life == kept.life && sum == 10),
        _ => {
            assert!(resumed == Err(ResumeError::Damaged) && life != kept.life && sum == 5);
            exit(0);
        }
    }
    kept.life = life;
    let Ok(length) = member.retire(&mut kept.image) else { exit(1) };
    if starts == 2 {
        kept.image[length / 2] ^= 1;
    }
    SCB::sys_reset();
}

/// A blank member. Its randomness must differ from start to start: a product has a source of it.
#[inline(never)]
fn set_up(starts: u32) -> &'static mut Member {
    let options = Options::new(ClusterId(7), NodeId(1), Timing::from_heartbeat(Ticks(50)));
    let Some(log) = LOG.try_take() else { exit(1) };
    let raft = Raft::new(&options, &[], log, Random::new(u64::from(starts)), Checksum);
    let Ok(raft) = raft else { exit(1) };
    MEMBER.init_with(|| Node::new(raft, Volatile, Total(0)))
}

/// Does one command.
#[inline(never)]
fn serve(member: &mut Member) {
    let mut buffer = [0; 1200];
    for _beat in 0..20 {
        member.tick(Ticks(50));
        while let Ok(Some(_)) = member.poll(&mut buffer) {}
        if member.raft().role() == RoleName::Leader && member.propose(&5).is_ok() {
            while let Ok(Some(_)) = member.poll(&mut buffer) {}
            return;
        }
    }
    exit(1)
}
