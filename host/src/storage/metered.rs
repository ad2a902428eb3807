//! Files whose syncs are counted.

use std::io;

use coracle_disk::{File, Files};

use crate::traffic::Traffic;

/// Files, or one of them, and who counts.
#[derive(Clone)]
pub struct Metered<F> {
    inner: F,
    traffic: Traffic,
}

impl<F> Metered<F> {
    /// Counts from now on.
    pub const fn new(inner: F, traffic: Traffic) -> Self {
        Self { inner, traffic }
    }
}

impl<F: Files> Files for Metered<F> {
    type File = Metered<F::File>;

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> io::Result<Self::File> {
        self.inner.create(name).map(|file| Metered::new(file, self.traffic.clone()))
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        self.inner.open(name).map(|file| Metered::new(file, self.traffic.clone()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.traffic.synced();
        self.inner.sync_names()
    }

    fn path(&self, name: &str) -> String {
        self.inner.path(name)
    }
}

impl<F: File> File for Metered<F> {
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.inner.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.traffic.synced();
        self.inner.sync()
    }
}
