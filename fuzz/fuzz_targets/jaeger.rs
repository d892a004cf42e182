#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_receivers::hostile::jaeger;

fuzz_target!(|bytes: &[u8]| {
    if let Some((way, bytes)) = bytes.split_first() {
        jaeger(*way, bytes);
    }
});
