//! Runs in which nothing is stored and nodes are reset on purpose: they leave an image of themselves
//! in memory, which may not be what it was when the next process looks at it.

use coracle::{Index, RetireError};

use super::{Run, Trace};
use crate::invariants::{Verdict, ensure};
use crate::peer::{Peer, known, view};
use crate::queue::Micros;
use crate::run::step::Stage;

/// What a node has left in its memory.
#[derive(Clone, Debug)]
pub struct Image {
    /// The memory, with more than the image takes.
    pub bytes: Vec<u8>,
    /// Whether it must be believed.
    pub is_intact: bool,
}

impl Run {
    /// A node ends: it leaves an image, or, where the others can bear it, nothing, or an image that is
    /// damaged.
    pub(super) fn reset(&mut self, node: usize, down: Micros) {
        if self.hosts[node].peer.is_none() {
            return;
        }
        let may_forget = self.calm.is_none() && self.may_forget(node);
        if may_forget && self.chance.permille(300) {
            self.counts.add("ends without an image", 1);
            // What the life before left, and this one has taken up, is still there.
            let void = self.hosts[node].image.take();
            self.fall(node, down);
            self.lose_disk(node);
            self.hosts[node].image = void;
            return;
        }
        let Some(mut image) = self.retire(node) else { return self.fall(node, down) };
        self.fall(node, down);
        if may_forget && self.chance.permille(500) {
            self.counts.add("images damaged", 1);
            self.damage(&mut image);
            self.lose_disk(node);
        }
        self.counts.add("images left", 1);
        self.hosts[node].image = Some(image);
    }

    /// The last thing that a node does. What it has in memory counts as durable from here on.
    fn retire(&mut self, node: usize) -> Option<Image> {
        let peer = self.hosts[node].peer.as_mut()?;
        let Err(RetireError::TooSmall { needed }) = peer.retire(&mut []) else { return None };
        let beyond = self.chance.below(64) as usize;
        let mut bytes = vec![0xa5; needed + beyond];
        peer.retire(&mut bytes).ok()?;
        let view = view(&**peer);
        let mut entries = Vec::new();
        let mut index: Index = view.base.index.next();
        while index <= view.last.index {
            entries.extend(known(&**peer, index));
            index = index.next();
        }
        self.disks[node].0.borrow_mut().remember(view.hard, view.last.index, &entries);
        Some(Image { bytes, is_intact: true })
    }

    /// Memory was without power for too long, or something else wrote to it.
    fn damage(&mut self, image: &mut Image) {
        image.is_intact = false;
        let length = image.bytes.len();
        match self.chance.below(3) {
            0 => {
                // What lies behind the image does not count: it has fewer than 64 bytes.
                let byte = self.chance.below(length as u64 - 64) as usize;
                image.bytes[byte] ^= 1 << self.chance.below(8);
            }
            1 => image.bytes.truncate(self.chance.below(length as u64 - 64) as usize),
            _ => {
                for _ in 0..self.chance.between(10, 100) {
                    let byte = self.chance.below(length as u64 - 64) as usize;
                    image.bytes[byte] ^= self.chance.between(1, 255) as u8;
                }
            }
        }
    }

    /// A node was started with an image that had to be believed: it is as it was (invariant 14).
    pub(super) fn on_resumed(&mut self, node: usize, peer: &dyn Peer) -> Verdict {
        let view = view(peer);
        if self.trace == Trace::On {
            self.note(|| format!("n{node} goes on: {view:?}"));
        }
        self.counts.add("images taken up", 1);
        let stage = Stage { peer, disks: &self.disks, ids: &self.plan.ids };
        self.chronicle.resume(node, &view, &stage)
    }
}

/// An image that was looked at is none any more.
///
/// # Errors
/// Invariant 14.
pub fn is_void(image: &[u8]) -> Verdict {
    ensure(14, image.iter().take(8).all(|byte| *byte == 0), || {
        "an image that was looked at may be taken up again".to_owned()
    })
}
