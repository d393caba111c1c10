//! Any bytes from a client: what the harness checks has to hold.
#![no_main]

#[path = "../../tests/properties/harness.rs"]
mod harness;
#[path = "../../tests/properties/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    harness::run(input);
});
