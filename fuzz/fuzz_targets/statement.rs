#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_ottl::hostile::any_text;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        any_text(text);
    }
});
