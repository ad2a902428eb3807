//! The mistakes that the model must find, one switch each.

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mistake {
    /// Rule 1: a process that lost everything goes on under its old incarnation.
    SameIdentity,
    /// Rule 1: a message to an earlier incarnation is taken.
    DestinationUnchecked,
    /// Rule 3: a majority of blank nodes forms an epoch.
    MajorityFormation,
    /// Rule 3: blank answers are enough, nobody is asked to accept.
    OneRoundFormation,
    /// Rule 5: the member is swapped by one entry, without a joint configuration.
    OneEntrySwap,
    /// Rule 6: a vote counts for every incarnation of its id.
    VotesById,
    /// Rule 6: a learner's acknowledgement counts for the member that it will replace.
    LearnersCounted,
    /// Rule 5: the joint configuration is left before it is committed.
    JointLeftEarly,
    /// Rule 6: of a joint configuration the new half alone counts.
    NewHalfOnly,
    /// Rule 2: joining an epoch does not drop the evidence.
    EvidenceKept,
    /// Rule 2: an answer to an old question counts.
    AnyNonce,
    /// Rule 4: a blank member takes no vote request.
    BlankNeverVotes,
    /// Rule 9: who resets forgets all but its incarnation.
    ResetWithoutRedraw,
    /// Rule 9: who holds clients' commands redraws where it should halt.
    HaltForgets,
    /// Rule 9: who holds clients' commands, and whom its log does not name, redraws.
    UnnamedForgets,
    /// First start: who is in an epoch comes back from its disk blank, and joins another.
    BindingForgotten,
    /// First start: quorums are of those that are named with a life, and not of all ids.
    QuorumOfThePresent,
    /// First start: a disk is lost, and its node says again that this is the first start.
    LostDiskStarts,
}

impl Mistake {
    /// Each with its name on the command line.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::SameIdentity, "same-identity"),
        (Self::DestinationUnchecked, "destination-unchecked"),
        (Self::MajorityFormation, "majority-formation"),
        (Self::OneRoundFormation, "one-round-formation"),
        (Self::OneEntrySwap, "one-entry-swap"),
        (Self::VotesById, "votes-by-id"),
        (Self::LearnersCounted, "learners-counted"),
        (Self::JointLeftEarly, "joint-left-early"),
        (Self::NewHalfOnly, "new-half-only"),
        (Self::EvidenceKept, "evidence-kept"),
        (Self::AnyNonce, "any-nonce"),
        (Self::BlankNeverVotes, "blank-never-votes"),
        (Self::ResetWithoutRedraw, "reset-without-redraw"),
        (Self::HaltForgets, "halt-forgets"),
        (Self::UnnamedForgets, "unnamed-forgets"),
        (Self::BindingForgotten, "binding-forgotten"),
        (Self::QuorumOfThePresent, "quorum-of-the-present"),
        (Self::LostDiskStarts, "lost-disk-starts"),
    ];

    /// Whether it is found by walks through a first start.
    #[must_use]
    pub fn is_of_first_start(self) -> bool {
        matches!(self, Self::BindingForgotten | Self::QuorumOfThePresent | Self::LostDiskStarts)
    }

    /// Whether nothing unsafe comes of it: votes that are not given elect nobody.
    #[must_use]
    pub fn costs_only_service(self) -> bool {
        matches!(self, Self::BlankNeverVotes)
    }

    /// The mistake of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(mistake, _)| *mistake)
    }
}
