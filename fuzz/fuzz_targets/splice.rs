#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_pdata::testing::laws::any_edits_equal_those_on_prost;

fuzz_target!(|bytes: &[u8]| any_edits_equal_those_on_prost(bytes));
