//! Where the linker finds the memory's layout, and what else it is told.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where output goes"));
    fs::write(out.join("memory.x"), include_str!("memory.x")).expect("memory.x can be written");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    // Of those that log.
    println!("cargo:rustc-link-arg-tests=-Tdefmt.x");
    // The rest of the RAM is for variables.
    for (kind, bytes) in [("tests", "60K"), ("bins", "16K")] {
        println!("cargo:rustc-link-arg-{kind}=--defsym=stack_bytes={bytes}");
    }
    println!("cargo:rerun-if-changed=memory.x");
}
