//! Who is a member: the value of a configuration entry.

use crate::types::{ClusterId, Epoch, Incarnation, Index, MemberId, NodeId};
use crate::wire::hash::Hash;

/// One member of the cluster, as the configuration entry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Member {
    /// Which life of which node.
    pub member: MemberId,
    /// The largest datagram it takes, in bytes.
    pub datagram: u16,
}

/// The bytes of one member: id 4, incarnation 8, datagram 2, each little-endian.
pub(crate) const MEMBER_BYTES: usize = 14;

/// No node may be set up with smaller datagrams than this, in bytes.
pub const MIN_DATAGRAM: u16 = 256;

/// A member whose log is small states a smaller datagram, but never below this, in bytes.
pub(crate) const MIN_STATED_DATAGRAM: u16 = 128;

/// Members in their encoded form, checked: at least one, ids ascending, no incarnation zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Members<'a>(&'a [u8]);

impl<'a> Members<'a> {
    /// Checks encoded members. `None` if they are not well-formed.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let members = Self(bytes);
        let mut below = None;
        for member in members.iter() {
            let id = Some(member.member.id);
            if id <= below
                || member.member.incarnation.0 == 0
                || member.datagram < MIN_STATED_DATAGRAM
            {
                return None;
            }
            below = id;
        }
        let whole = bytes.chunks_exact(MEMBER_BYTES).remainder().is_empty();
        (whole && !bytes.is_empty()).then_some(members)
    }

    /// The members, by ascending id.
    pub fn iter(self) -> impl Iterator<Item = Member> + 'a {
        self.0.chunks_exact(MEMBER_BYTES).filter_map(decode_member)
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.chunks_exact(MEMBER_BYTES).len()
    }

    /// The encoded form.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The epoch that these members form: a hash of the cluster and of every life in it.
    #[must_use]
    pub fn epoch(self, cluster: ClusterId) -> Epoch {
        let mut hash = Hash::new(cluster.0);
        for member in self.iter() {
            hash.add(u64::from(member.member.id.0));
            hash.add(member.member.incarnation.0);
            hash.add(u64::from(member.datagram));
        }
        Epoch(hash.nonzero())
    }
}

fn decode_member(bytes: &[u8]) -> Option<Member> {
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    let (incarnation, rest) = rest.split_first_chunk::<8>()?;
    let (datagram, _) = rest.split_first_chunk::<2>()?;
    Some(Member {
        member: MemberId {
            id: NodeId(u32::from_le_bytes(*id)),
            incarnation: Incarnation(u64::from_le_bytes(*incarnation)),
        },
        datagram: u16::from_le_bytes(*datagram),
    })
}

/// The bytes of one member, as `Members` reads them.
pub(crate) fn encode_member(member: &Member) -> [u8; MEMBER_BYTES] {
    let mut bytes = [0; MEMBER_BYTES];
    let fields = (member.member.id.0.to_le_bytes().into_iter())
        .chain(member.member.incarnation.0.to_le_bytes())
        .chain(member.datagram.to_le_bytes());
    bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    bytes
}

/// The members that count, and the entry that says so. Always derived from the log that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Configuration<const N: usize> {
    /// Where the entry stands; zero while the log has none.
    pub index: Index,
    /// The voters, by ascending id.
    pub members: heapless::Vec<Member, N>,
}

impl<const N: usize> Configuration<N> {
    /// How many of the members are more than half of them (section 5.2).
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether this life of this node is a member.
    #[must_use]
    pub fn has(&self, member: MemberId) -> bool {
        self.members.iter().any(|voter| voter.member == member)
    }

    /// The largest datagram that every member takes, in bytes.
    #[must_use]
    pub fn smallest_datagram(&self) -> Option<u16> {
        self.members.iter().map(|voter| voter.datagram).min()
    }
}
