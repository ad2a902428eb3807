//! Every rule on the target. Each is named before it runs, so that `tests/run` can compare what ran
//! with what there is; the first that fails ends the image.
#![no_std]
#![no_main]

coracle_firmware::reporting!();

#[defmt_test::tests]
mod tests {
    #[test]
    fn every_rule_holds() {
        for (chapter, name, rule) in coracle_rules::RULES {
            defmt::println!("rule {=str}::{=str}", chapter, name);
            rule();
        }
    }
}
