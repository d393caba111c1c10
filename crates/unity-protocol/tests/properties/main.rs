//! What holds for any bytes. The fuzzer checks the same, with the same harness, on bytes that it finds.

mod calls;
mod corpus;
mod harness;
mod model;
