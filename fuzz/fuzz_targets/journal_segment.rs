#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_journal::hostile::read_to_the_end;

fuzz_target!(|bytes: &[u8]| {
    let Some((settled, bytes)) = bytes.split_first() else {
        return;
    };
    read_to_the_end(bytes, settled & 1 == 1);
});
