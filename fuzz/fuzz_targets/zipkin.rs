#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_receivers::hostile::zipkin;

fuzz_target!(|bytes: &[u8]| {
    if let Some((way, bytes)) = bytes.split_first() {
        zipkin(*way, bytes);
    }
});
