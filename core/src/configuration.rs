//! Who is a member, and what each counts for: the value of a configuration entry (thesis 4.3).

use heapless::Vec;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes::copy;
use crate::types::{ClusterId, Epoch, Incarnation, Index, MemberId, NodeId};
use crate::wire::hash::Hash;

/// One member of the cluster, as the configuration entry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Member {
    /// Which life of which node.
    pub member: MemberId,
    /// The largest datagram it takes, in bytes.
    pub datagram: u16,
    /// What it counts for.
    pub part: Part,
    /// How others reach it, if its operator has said.
    pub address: Address,
}

impl Member {
    /// A voter without an address.
    #[must_use]
    pub const fn voter(member: MemberId, datagram: u16) -> Self {
        Self { member, datagram, part: Part::Voter, address: Address::EMPTY }
    }
}

/// What a member counts for. While a change of voters is under way the configuration is **joint**:
/// it has an old half and a new one, and whatever takes a majority takes one of each (thesis 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// It gets everything and counts for nothing (thesis 4.2.1).
    Learner,
    /// A learner that the leader promotes when it has caught up.
    Recruit,
    /// It votes, in both halves if there are two.
    Voter,
    /// It votes in the new half only.
    Incoming,
    /// It votes in the old half only, and is no member afterwards.
    Outgoing,
    /// It votes in the old half only, and is a learner afterwards.
    Demoted,
}

impl Part {
    /// Whether it votes in the half that stays.
    #[must_use]
    pub const fn is_in_new_half(self) -> bool {
        match self {
            Self::Voter | Self::Incoming => true,
            Self::Learner | Self::Recruit | Self::Outgoing | Self::Demoted => false,
        }
    }

    /// Whether it votes in the half that goes; where nothing changes, that is the same.
    #[must_use]
    pub const fn is_in_old_half(self) -> bool {
        match self {
            Self::Voter | Self::Outgoing | Self::Demoted => true,
            Self::Learner | Self::Recruit | Self::Incoming => false,
        }
    }

    /// Whether only a joint configuration has it.
    #[must_use]
    pub const fn is_joint(self) -> bool {
        match self {
            Self::Incoming | Self::Outgoing | Self::Demoted => true,
            Self::Learner | Self::Recruit | Self::Voter => false,
        }
    }

    /// What it is when the change is done; `None` for who goes.
    #[must_use]
    pub const fn afterwards(self) -> Option<Self> {
        match self {
            Self::Learner | Self::Demoted => Some(Self::Learner),
            Self::Recruit => Some(Self::Recruit),
            Self::Voter | Self::Incoming => Some(Self::Voter),
            Self::Outgoing => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Learner => 0,
            Self::Recruit => 1,
            Self::Voter => 2,
            Self::Incoming => 3,
            Self::Outgoing => 4,
            Self::Demoted => 5,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Learner,
            1 => Self::Recruit,
            2 => Self::Voter,
            3 => Self::Incoming,
            4 => Self::Outgoing,
            5 => Self::Demoted,
            6.. => return None,
        })
    }
}

impl core::fmt::Display for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Learner => "learner",
            Self::Recruit => "recruit",
            Self::Voter => "voter",
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Demoted => "demoted",
        })
    }
}

/// How a node is reached, in a form that only drivers know: a host writes an IP address and a port.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Address {
    /// How many of the bytes count; the others are zero.
    length: u8,
    bytes: [u8; Self::MAX_BYTES],
}

impl Address {
    /// The most bytes that an address may have.
    pub const MAX_BYTES: usize = 18;

    /// No address.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; Self::MAX_BYTES] };

    /// An address of these bytes; `None` if they are more than [`MAX_BYTES`](Self::MAX_BYTES).
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let length = u8::try_from(bytes.len()).ok()?;
        let mut address = Self { length, ..Self::EMPTY };
        copy(address.bytes.get_mut(..bytes.len())?, bytes);
        Some(address)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// In hexadecimal: only drivers know what the bytes mean.
impl core::fmt::Debug for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Address(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&'de [u8]>::deserialize(deserializer)?;
        Self::new(bytes).ok_or_else(|| D::Error::invalid_length(bytes.len(), &"an address"))
    }
}

/// What a member takes beside its address: id 4, incarnation 8, datagram 2, part 1 and the length
/// of the address 1, numbers little-endian.
const FIXED_BYTES: usize = 16;

/// The most bytes that one member takes.
pub(crate) const MEMBER_BYTES_MAX: usize = FIXED_BYTES + Address::MAX_BYTES;

/// No node may be set up with smaller datagrams than this, in bytes.
pub const MIN_DATAGRAM: u16 = 256;

/// A member whose log is small states a smaller datagram, but never below this, in bytes.
pub(crate) const MIN_STATED_DATAGRAM: u16 = 128;

/// Members in their encoded form, checked: by ascending id and incarnation, and in each half a voter
/// whose incarnation is not zero. Zero is the life of a member that was absent when its cluster was
/// started by a majority: nobody speaks as it, so it counts among the voters and never votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Members<'a>(&'a [u8]);

impl<'a> Members<'a> {
    /// Checks encoded members. `None` if they are not well-formed.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut below = None;
        let mut has_voter = (false, false);
        let mut rest = bytes;
        // The rest gets shorter each time.
        while !rest.is_empty() {
            let (Member { member, datagram, part, address: _ }, after) = decode_member(rest)?;
            if Some(member) <= below || datagram < MIN_STATED_DATAGRAM {
                return None;
            }
            has_voter.0 |= part.is_in_new_half() && member.has_life();
            has_voter.1 |= part.is_in_old_half() && member.has_life();
            below = Some(member);
            rest = after;
        }
        (has_voter == (true, true)).then_some(Self(bytes))
    }

    /// The members, by ascending id and incarnation.
    pub fn iter(self) -> impl Iterator<Item = Member> + 'a {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (member, after) = decode_member(rest)?;
            rest = after;
            Some(member)
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.iter().count()
    }

    /// The encoded form.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether a change of voters is under way.
    #[must_use]
    pub fn is_joint(self) -> bool {
        self.iter().any(|member| member.part.is_joint())
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

fn decode_member(bytes: &[u8]) -> Option<(Member, &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    let (incarnation, rest) = rest.split_first_chunk::<8>()?;
    let (datagram, rest) = rest.split_first_chunk::<2>()?;
    let ([part, length], rest) = rest.split_first_chunk::<2>()?;
    let (address, rest) = rest.split_at_checked(usize::from(*length))?;
    let member = MemberId {
        id: NodeId(u32::from_le_bytes(*id)),
        incarnation: Incarnation(u64::from_le_bytes(*incarnation)),
    };
    let datagram = u16::from_le_bytes(*datagram);
    let (part, address) = (Part::from_code(*part)?, Address::new(address)?);
    Some((Member { member, datagram, part, address }, rest))
}

/// Writes members one behind the other, as [`Members`] reads them, and gives the bytes they take.
///
/// `None` if the space is too small.
#[must_use]
pub fn encode_members<'m>(
    members: impl IntoIterator<Item = &'m Member>,
    space: &mut [u8],
) -> Option<usize> {
    let mut length = 0;
    for Member { member, datagram, part, address } in members {
        let address = address.as_bytes();
        let end = FIXED_BYTES.checked_add(address.len())?.checked_add(length)?;
        let sizes = [part.code(), u8::try_from(address.len()).ok()?];
        let fields = (member.id.0.to_le_bytes().into_iter())
            .chain(member.incarnation.0.to_le_bytes())
            .chain(datagram.to_le_bytes())
            .chain(sizes)
            .chain(address.iter().copied());
        space.get_mut(length..end)?.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        length = end;
    }
    Some(length)
}

/// The members that count, and the entry that says so. Always derived from the log that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Configuration<const N: usize> {
    /// Where the entry stands; zero while the log has none.
    pub index: Index,
    /// The members, by ascending id and incarnation.
    pub members: Vec<Member, N>,
}

impl<const N: usize> Configuration<N> {
    /// The configuration of an entry; `None` if it names more than `N` members.
    #[must_use]
    pub fn of(index: Index, members: Members<'_>) -> Option<Self> {
        let mut named = Vec::new();
        for member in members.iter() {
            named.push(member).ok()?;
        }
        Some(Self { index, members: named })
    }

    /// Whether the log names no members yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a change of voters is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.members.iter().any(|member| member.part.is_joint())
    }

    /// What the configuration says of this life of a node.
    #[must_use]
    pub fn find(&self, member: MemberId) -> Option<&Member> {
        self.members.iter().find(|named| named.member == member)
    }

    /// How many voters there are, each half for itself.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.members.iter().filter(|member| member.part.is_in_new_half()).count()
    }

    /// The largest datagram that every member takes, in bytes.
    #[must_use]
    pub fn smallest_datagram(&self) -> Option<u16> {
        self.members.iter().map(|member| member.datagram).min()
    }
}
