//! The thread that writes: whatever has come while it was busy is one batch, with one sync.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::DiskError;
use crate::files::Files;
use crate::log::RECORD_OVERHEAD;
use crate::medium::{Batch, Medium};

/// What the node's thread and the writing thread share.
pub(crate) struct Shared<F: Files, T> {
    queue: Mutex<Queue<T>>,
    /// Something in the queue has changed.
    changed: Condvar,
    /// Locked while something is written.
    medium: Mutex<Medium<F>>,
}

struct Queue<T> {
    batch: Batch,
    /// The receipt for the batch.
    receipt: Option<T>,
    /// What is durable and was not told.
    durable: Option<T>,
    failure: Option<DiskError>,
    /// How many bytes of commands are sure to find room.
    room: u64,
    is_writing: bool,
    is_closed: bool,
}

impl<F: Files, T: Copy> Shared<F, T> {
    pub(crate) fn new(medium: Medium<F>) -> Arc<Self> {
        let queue = Queue {
            batch: Batch::default(),
            receipt: None,
            durable: None,
            failure: None,
            room: medium.room(),
            is_writing: false,
            is_closed: false,
        };
        let changed = Condvar::new();
        Arc::new(Self { queue: Mutex::new(queue), changed, medium: Mutex::new(medium) })
    }

    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn medium(&self) -> MutexGuard<'_, Medium<F>> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to what is written next.
    pub(crate) fn submit(&self, more: Batch, receipt: T) -> Result<(), DiskError> {
        let mut queue = self.queue();
        if let Some(failure) = &queue.failure {
            return Err(failure.clone());
        }
        let bytes: usize = more.runs.iter().map(|(_, run)| run.len()).sum();
        queue.room = queue.room.saturating_sub(bytes as u64 + RECORD_OVERHEAD);
        queue.batch.hard = more.hard.or(queue.batch.hard);
        queue.batch.runs.extend(more.runs);
        queue.receipt = Some(receipt);
        self.changed.notify_all();
        Ok(())
    }

    /// The last receipt for what has become durable since it was asked for last.
    pub(crate) fn take_durable(&self) -> Result<Option<T>, DiskError> {
        let mut queue = self.queue();
        match &queue.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(queue.durable.take()),
        }
    }

    pub(crate) fn room(&self) -> u64 {
        self.queue().room
    }

    /// Does something with the medium when all that was submitted is durable.
    pub(crate) fn after_all<R>(
        &self,
        act: impl FnOnce(&mut Medium<F>) -> Result<R, DiskError>,
    ) -> Result<R, DiskError> {
        let mut queue = self.queue();
        while queue.failure.is_none() && (queue.is_writing || queue.receipt.is_some()) {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(failure) = &queue.failure {
            return Err(failure.clone());
        }
        let mut medium = self.medium();
        let done = act(&mut medium);
        queue.room = medium.room();
        if let Err(error) = &done {
            queue.failure = Some(error.clone());
        }
        done
    }

    /// Ends the thread when it has written all.
    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
        self.changed.notify_all();
    }

    /// Writes until it is closed, or something fails. `wake` is called when there is news.
    pub(crate) fn run(&self, wake: &impl Fn()) {
        let mut queue = self.queue();
        // When room for the next segment was looked for last, and not found.
        let mut missed_at: Option<Instant> = None;
        while queue.failure.is_none() {
            if let Some(receipt) = queue.receipt.take() {
                let batch = std::mem::take(&mut queue.batch);
                queue = self.work(queue, wake, |medium| medium.write(&batch), Some(receipt));
            } else if queue.is_closed {
                return;
            }
            let (is_settled, is_prepared) = {
                let medium = self.medium();
                (medium.is_settled(), medium.is_prepared())
            };
            let is_idle = queue.receipt.is_none() && !queue.is_closed;
            if !is_prepared && missed_at.is_none_or(|at| at.elapsed() >= RESERVE_INTERVAL) {
                // However busy it is: without a reserve no commands are taken in the end.
                queue = self.work(queue, wake, Medium::prepare, None);
                missed_at = (!self.medium().is_prepared()).then(Instant::now);
            } else if is_idle && !is_settled {
                queue = self.wait(queue, Some(SETTLE_AFTER));
                if queue.receipt.is_none() && !queue.is_closed {
                    queue = self.work(queue, wake, Medium::settle, None);
                }
            } else if is_idle {
                queue = self.wait(queue, (!is_prepared).then_some(RESERVE_INTERVAL));
            }
        }
    }

    /// Does something with the medium, while more may be submitted, and tells what came of it.
    fn work<'q>(
        &'q self,
        mut queue: MutexGuard<'q, Queue<T>>,
        wake: &impl Fn(),
        act: impl FnOnce(&mut Medium<F>) -> Result<(), DiskError>,
        receipt: Option<T>,
    ) -> MutexGuard<'q, Queue<T>> {
        queue.is_writing = true;
        drop(queue);
        let mut medium = self.medium();
        let done = act(&mut medium);
        let mut queue = self.queue();
        queue.is_writing = false;
        match done {
            Ok(()) => queue.durable = receipt.or(queue.durable),
            Err(error) => queue.failure = Some(error),
        }
        // What has come meanwhile is not written yet.
        let waiting: usize = queue.batch.runs.iter().map(|(_, run)| run.len()).sum();
        let overhead = RECORD_OVERHEAD * queue.batch.runs.len() as u64;
        queue.room = medium.room().saturating_sub(waiting as u64 + overhead);
        drop(medium);
        self.changed.notify_all();
        if receipt.is_some() || queue.failure.is_some() {
            wake();
        }
        queue
    }

    fn wait<'q>(
        &self,
        queue: MutexGuard<'q, Queue<T>>,
        patience: Option<Duration>,
    ) -> MutexGuard<'q, Queue<T>> {
        match patience {
            None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.changed.wait_timeout(queue, patience);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

/// How long nothing is to be written before the last mark is made durable.
const SETTLE_AFTER: Duration = Duration::from_millis(20);
/// How often room for the next segment is looked for where there is none.
const RESERVE_INTERVAL: Duration = Duration::from_millis(200);
