//! The thousand rounds of MD5 that `crypt` (`$1$`) and Apache (`$apr1$`) make of a password.

use md5::{Digest, Md5};

/// The order in which the bytes of the digest are written.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The hash, without magic and salt.
pub(super) fn md5_crypt(password: &[u8], salt: &[u8], magic: &str) -> String {
    // More of it is not looked at.
    let salt = &salt[..salt.len().min(8)];
    let mut digest = first(password, salt, magic);
    for round in 0..1000_u32 {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &digest } else { password });
        digest = next.finalize().into();
    }
    encode(&digest)
}

/// What the rounds begin with.
fn first(password: &[u8], salt: &[u8], magic: &str) -> [u8; 16] {
    let mut inner = Md5::new();
    for part in [password, salt, password] {
        inner.update(part);
    }
    let inner: [u8; 16] = inner.finalize().into();
    let mut outer = Md5::new();
    for part in [password, magic.as_bytes(), salt] {
        outer.update(part);
    }
    let mut left = password.len();
    while left > 0 {
        outer.update(&inner[..left.min(16)]);
        left -= left.min(16);
    }
    let mut bits = password.len();
    while bits > 0 {
        match bits & 1 {
            1 => outer.update([0]),
            _ => outer.update(&password[..1]),
        }
        bits >>= 1;
    }
    outer.finalize().into()
}

fn encode(digest: &[u8; 16]) -> String {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(22);
    let mut write = |mut bits: u32, letters: usize| {
        for _ in 0..letters {
            text.push(char::from(LETTERS[(bits & 63) as usize]));
            bits >>= 6;
        }
    };
    for [high, middle, low] in ORDER {
        let byte = |at: usize| u32::from(digest[at]);
        write(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    write(u32::from(digest[11]), 2);
    text
}
