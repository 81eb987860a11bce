//! Unpacks the generated tables at compile time, so that they stay readable in size.

/// First value, step from one to the next, count.
pub type Run = (u16, i16, u16);

macro_rules! expand {
    ($name:ident, $kind:ty) => {
        /// The values of the runs, one after the other; their number has to be `N`.
        pub const fn $name<const N: usize>(runs: &[Run]) -> [$kind; N] {
            let mut out = [0; N];
            let (mut at, mut run) = (0, 0);
            while run < runs.len() {
                let (mut value, step, count) = runs[run];
                let end = at + count as usize;
                while at < end {
                    out[at] = value as $kind;
                    value = value.wrapping_add_signed(step);
                    at += 1;
                }
                run += 1;
            }
            assert!(at == N);
            out
        }
    };
}

expand!(expand_u8, u8);
expand!(expand_u16, u16);

/// The `N` characters of a string.
pub const fn expand_char<const N: usize>(text: &str) -> [char; N] {
    let bytes = text.as_bytes();
    let mut out = ['\0'; N];
    let (mut at, mut i) = (0, 0);
    while i < bytes.len() {
        let (mut value, more) = match bytes[i] {
            b @ 0..0x80 => (b as u32, 0),
            b @ 0x80..0xE0 => (b as u32 & 0x1F, 1),
            b @ 0xE0..0xF0 => (b as u32 & 0x0F, 2),
            b => (b as u32 & 0x07, 3),
        };
        let end = i + 1 + more;
        i += 1;
        while i < end {
            value = value << 6 | (bytes[i] as u32 & 0x3F);
            i += 1;
        }
        out[at] = char::from_u32(value).expect("text is UTF-8");
        at += 1;
    }
    assert!(at == N);
    out
}
