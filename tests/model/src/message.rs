//! What processes say to each other, and what a log holds.

/// The largest cluster that the model knows.
pub const MEMBERS_MAX: usize = 5;

/// One process: an id, and which life of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Member {
    /// The place in the list of ids.
    pub id: u8,
    /// Never 0, which stands for nobody, or for whoever is there.
    pub incarnation: u8,
}

/// The incarnation of each id; 0 where there is none.
pub type Members = [u8; MEMBERS_MAX];

/// The members of its formation stand for an epoch; all zero is none.
pub type Epoch = Members;

/// No epoch: the process is BLANK.
pub const BLANK: Epoch = [0; MEMBERS_MAX];

/// Who counts: two halves if joint.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Configuration {
    /// The members, or the old half.
    pub old: Members,
    /// The new half, if joint.
    pub new: Option<Members>,
}

impl Configuration {
    /// Whether either half names this process.
    #[must_use]
    pub fn names(&self, member: Member) -> bool {
        self.halves().any(|half| half[usize::from(member.id)] == member.incarnation)
    }

    /// The one half, or both.
    pub fn halves(&self) -> impl Iterator<Item = &Members> {
        [&self.old].into_iter().chain(&self.new)
    }
}

/// All that is in these members.
pub fn members_of(members: &Members) -> impl Iterator<Item = Member> + '_ {
    (0u8..)
        .zip(members)
        .filter(|(_, incarnation)| **incarnation != 0)
        .map(|(id, incarnation)| Member { id, incarnation: *incarnation })
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A new leader's first.
    Noop,
    /// A client's, by number.
    Command(u8),
    /// Who counts from here on.
    Configuration(Configuration),
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Entry {
    /// Its leader's.
    pub term: u8,
    /// What it is for.
    pub kind: Kind,
}

/// What a process says about itself to a hello: BLANK, or IN an epoch.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Answer {
    /// Who is there.
    pub incarnation: u8,
    /// [`BLANK`], or where it is in.
    pub epoch: Epoch,
    /// Rule 8.
    pub hopeless: bool,
}

/// What a message says.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Body {
    /// Rule 2.
    Hello { nonce: u16 },
    /// Rule 2.
    HelloReply { nonce: u16, answer: Answer },
    /// Rule 3.
    Boot { members: Members },
    /// Rule 3: still BLANK.
    BootReply { members: Members },
    /// Section 5.2.
    Vote { term: u8, last_term: u8, last: u8 },
    /// Section 5.2.
    VoteReply { term: u8, granted: bool },
    /// Section 5.3; `mark` is the leader's nonce, which the answer echoes.
    Append { term: u8, previous: u8, previous_term: u8, entries: Vec<Entry>, commit: u8, mark: u16 },
    /// Section 5.3.
    AppendReply { term: u8, matched: Option<u8>, mark: u16 },
}

/// A datagram.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Message {
    /// Who says it.
    pub from: Member,
    /// To whom; incarnation 0 is whoever is there.
    pub to: Member,
    /// The sender's, at the time.
    pub epoch: Epoch,
    /// What it says.
    pub body: Body,
}
