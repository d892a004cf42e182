#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_pdata::Signal;
use tidegate_pdata::testing::laws::door_reads_as_prost;

fuzz_target!(|bytes: &[u8]| door_reads_as_prost(Signal::Logs, bytes));
