//! Rules on the target, chapter by chapter.
#![no_std]
#![no_main]

coracle_firmware::reporting!();

#[defmt_test::tests]
mod tests {
    use coracle_firmware::rules::run;
    use coracle_rules::chapters;

    #[test]
    fn appends() {
        run("appends", chapters::appends());
    }

    #[test]
    fn commit() {
        run("commit", chapters::commit());
    }

    #[test]
    fn limits() {
        run("limits", chapters::limits());
    }

    #[test]
    fn persistence() {
        run("persistence", chapters::persistence());
    }

    #[test]
    fn replication() {
        run("replication", chapters::replication());
    }

    #[test]
    fn scripts() {
        run("scripts", chapters::scripts());
    }
}
