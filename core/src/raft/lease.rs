//! Reads under a lease (thesis 6.4.1), for those who state how far their clocks may drift apart.
//!
//! A round that a quorum has answered proves that nobody else is elected for the shortest election
//! timeout after it began, since whoever answered votes for nobody else so long. Within that span,
//! shortened by what clocks may differ, the leader answers reads at once. Each heartbeat begins a
//! round, so that the lease is renewed while a quorum answers.
//!
//! A lease ends with the leadership, and with the first transfer of it: a successor that was told to
//! stand is not refused, however late its requests arrive.

use rand_core::Rng;

use super::Raft;
use super::role::Role;
use crate::log::Memory;
use crate::options::Lease;
use crate::seal::Seal;
use crate::types::Ticks;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Whether reads may be answered without a round now.
    #[inline]
    pub(super) fn has_lease(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if self.now < leader.lease_until)
    }

    /// A round that began then is confirmed by a quorum.
    pub(super) fn renew_lease(&mut self, began: Ticks) {
        let Some(lease) = self.options.lease else { return };
        let until = began.plus(lease.span(self.options.timing.election_min));
        if let Role::Leader(leader) = &mut self.role
            && leader.may_lease
        {
            leader.lease_until = leader.lease_until.max(until);
        }
    }

    /// No reads are answered under a lease any more in this leadership.
    pub(super) fn end_lease(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            leader.may_lease = false;
            leader.lease_until = Ticks(0);
        }
    }
}

impl Lease {
    /// How long a lease lasts, where voters are silent for `timeout` by clocks of their own.
    pub(crate) fn span(self, timeout: Ticks) -> Ticks {
        let drift = u64::from(self.drift_permille.min(1000));
        // The largest quotient of two clocks' rates is (1000 + drift) / (1000 - drift).
        let (whole, part) = (timeout.0 / (1000 + drift), timeout.0 % (1000 + drift));
        Ticks(whole * (1000 - drift) + part * (1000 - drift) / (1000 + drift))
    }
}
