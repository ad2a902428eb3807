//! Rules on the target, chapter by chapter.
#![no_std]
#![no_main]

coracle_firmware::reporting!();

#[defmt_test::tests]
mod tests {
    use coracle_firmware::rules::run;
    use coracle_rules::chapters;

    #[test]
    fn candidacy() {
        run("candidacy", chapters::candidacy());
    }

    #[test]
    fn formation() {
        run("formation", chapters::formation());
    }

    #[test]
    fn joining() {
        run("joining", chapters::joining());
    }

    #[test]
    fn leadership() {
        run("leadership", chapters::leadership());
    }

    #[test]
    fn time() {
        run("time", chapters::time());
    }

    #[test]
    fn votes() {
        run("votes", chapters::votes());
    }
}
