//! Where the linker finds the memory's layout, and what else it is told.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where output goes"));
    fs::write(out.join("memory.x"), include_str!("memory.x")).expect("memory.x can be written");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    // Those that log.
    for kind in ["tests", "examples", "bin=cost"] {
        println!("cargo:rustc-link-arg-{kind}=-Tdefmt.x");
    }
    // The tests run on QEMU's mps2-an385: a rule holds a whole cluster and all of its mail, which no
    // member does. The images that are measured have what a TI LM3S6965 has.
    for (kind, flash, ram, stack) in [
        ("tests", "4M", "4M", "1M"),
        ("examples", "256K", "64K", "24K"),
        ("bins", "256K", "64K", "16K"),
    ] {
        for (symbol, bytes) in [("flash", flash), ("ram", ram), ("stack", stack)] {
            println!("cargo:rustc-link-arg-{kind}=--defsym={symbol}_bytes={bytes}");
        }
    }
    println!("cargo:rerun-if-changed=memory.x");
}
