//! Rules on the target, chapter by chapter.
#![no_std]
#![no_main]

coracle_firmware::reporting!();

#[defmt_test::tests]
mod tests {
    use coracle_firmware::rules::run;
    use coracle_rules::chapters;

    #[test]
    fn hostile() {
        run("hostile", chapters::hostile());
    }

    #[test]
    fn reads() {
        run("reads", chapters::reads());
    }

    #[test]
    fn sessions() {
        run("sessions", chapters::sessions());
    }

    #[test]
    fn vectors() {
        run("vectors", chapters::vectors());
    }

    #[test]
    fn wire() {
        run("wire", chapters::wire());
    }
}
