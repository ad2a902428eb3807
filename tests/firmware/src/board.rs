//! A board as small as can be: a serial line that carries datagrams, and a clock.

use cortex_m::peripheral::SYST;

/// Who is at the other end: the byte that precedes each datagram.
pub type Address = u8;

/// The first serial port of the LM3S6965. A frame is the address of its sender or receiver, two
/// bytes of length, and the datagram.
pub struct Line {
    /// Only one has the registers.
    _owned: (),
}

impl Line {
    /// The serial port.
    #[must_use]
    pub const fn new() -> Self {
        Self { _owned: () }
    }

    /// A datagram that has arrived, if it fits: from whom, and its length.
    pub fn receive(&mut self, into: &mut [u8]) -> Option<(Address, usize)> {
        if read(FLAGS) & NOTHING_RECEIVED != 0 {
            return None;
        }
        let from = self.take();
        let length = usize::from(u16::from_le_bytes([self.take(), self.take()]));
        let mut space = into.iter_mut();
        for _byte in 0..length {
            let byte = self.take();
            if let Some(to) = space.next() {
                *to = byte;
            }
        }
        (length <= into.len()).then_some((from, length))
    }

    /// Sends a datagram.
    pub fn send(&mut self, to: Address, datagram: &[u8]) {
        let Ok(length) = u16::try_from(datagram.len()) else { return };
        self.put(to);
        length.to_le_bytes().into_iter().for_each(|byte| self.put(byte));
        datagram.iter().for_each(|byte| self.put(*byte));
    }

    fn take(&mut self) -> u8 {
        while read(FLAGS) & NOTHING_RECEIVED != 0 {}
        read(DATA).to_le_bytes()[0]
    }

    fn put(&mut self, byte: u8) {
        while read(FLAGS) & CANNOT_SEND != 0 {}
        // SAFETY: the data register of a port that nobody else has.
        unsafe { DATA.write_volatile(u32::from(byte)) };
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

/// The time in milliseconds, by the timer of the core, which counts down.
pub struct Clock {
    timer: SYST,
    last: u32,
}

impl Clock {
    /// Starts the timer.
    #[must_use]
    pub fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(cortex_m::peripheral::syst::SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_counter();
        Self { timer, last: RELOAD }
    }

    /// How many whole milliseconds have passed since the call before. It must be called again
    /// before the timer comes round, within a second.
    pub fn elapsed(&mut self) -> u32 {
        let now = SYST::get_current();
        let passed = self.last.wrapping_sub(now) & RELOAD;
        let whole = passed / TICKS_PER_MILLISECOND;
        self.last = self.last.wrapping_sub(whole * TICKS_PER_MILLISECOND) & RELOAD;
        let _running = self.timer.is_counter_enabled();
        whole
    }
}

/// Nothing goes on.
pub fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

fn read(register: *const u32) -> u32 {
    // SAFETY: one of the registers below, which may be read at any time.
    unsafe { register.read_volatile() }
}

const DATA: *mut u32 = 0x4000_c000 as *mut u32;
const FLAGS: *const u32 = 0x4000_c018 as *const u32;
const NOTHING_RECEIVED: u32 = 1 << 4;
const CANNOT_SEND: u32 = 1 << 5;

const RELOAD: u32 = 0x00ff_ffff;
const TICKS_PER_MILLISECOND: u32 = 12_500;
