#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_pdata::Signal;
use tidegate_pdata::testing::laws::json_prints_as_itself;

fuzz_target!(|bytes: &[u8]| json_prints_as_itself(Signal::Metrics, bytes));
