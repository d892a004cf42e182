#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_pdata::testing::laws::any_pieces_hold_the_whole;

fuzz_target!(|bytes: &[u8]| any_pieces_hold_the_whole(bytes));
