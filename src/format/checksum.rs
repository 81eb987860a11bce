//! XXH64 with seed 0, the checksum of headers and sections.
//!
//! The algorithm is Yann Collet's; its specification is `doc/xxhash_spec.md` of the xxHash project.

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

/// XXH64 of the bytes, seed 0.
pub fn xxh64(bytes: &[u8]) -> u64 {
    let (stripes, tail) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        PRIME_5
    } else {
        converge(stripes)
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    avalanche(absorb_tail(hash, tail))
}

fn converge(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [
        PRIME_1.wrapping_add(PRIME_2),
        PRIME_2,
        0,
        0u64.wrapping_sub(PRIME_1),
    ];
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let rotations = [1, 7, 12, 18];
    let sum = lanes.iter().zip(rotations).fold(0u64, |sum, (lane, by)| {
        sum.wrapping_add(lane.rotate_left(by))
    });
    lanes.iter().fold(sum, |hash, &lane| {
        (hash ^ round(0, lane))
            .wrapping_mul(PRIME_1)
            .wrapping_add(PRIME_4)
    })
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIME_2))
        .rotate_left(31)
        .wrapping_mul(PRIME_1)
}

fn absorb_tail(mut hash: u64, tail: &[u8]) -> u64 {
    let (words, tail) = tail.as_chunks::<8>();
    for word in words {
        hash = (hash ^ round(0, u64::from_le_bytes(*word)))
            .rotate_left(27)
            .wrapping_mul(PRIME_1)
            .wrapping_add(PRIME_4);
    }
    let (halves, tail) = tail.as_chunks::<4>();
    for half in halves {
        hash = (hash ^ u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIME_1))
            .rotate_left(23)
            .wrapping_mul(PRIME_2)
            .wrapping_add(PRIME_3);
    }
    for &byte in tail {
        hash = (hash ^ u64::from(byte).wrapping_mul(PRIME_5))
            .rotate_left(11)
            .wrapping_mul(PRIME_1);
    }
    hash
}

fn avalanche(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    /// Values from the reference implementation (`python-xxhash` 3.x, `xxh64_intdigest`).
    #[test]
    fn reference_values() {
        let bytes: Vec<u8> = (0..=255u8).cycle().take(1000).collect();
        for (len, expected) in EXPECTED {
            assert_eq!(xxh64(&bytes[..*len]), *expected, "{len} bytes");
        }
    }

    const EXPECTED: &[(usize, u64)] = &[
        (0, 0xef46db3751d8e999),
        (1, 0xe934a84adb052768),
        (3, 0xe5c7bb4533bc65dd),
        (4, 0xffced8604453cc1e),
        (7, 0x14cc643f630c72d2),
        (8, 0x884a173614b81b8d),
        (15, 0xa948f5f0f6abac2d),
        (31, 0xc346d2b59b4d8ee1),
        (32, 0xcbf59c5116ff32b4),
        (33, 0x0c535d1acafb8ead),
        (63, 0xe26aa9e2a95f8e4f),
        (64, 0xf7c67301db6713f0),
        (100, 0x6ac1e58032166597),
        (255, 0x0f7d97507caad693),
        (999, 0xb1eae3f7317cf1e9),
        (1000, 0x6ef436b00eba4078),
    ];
}
