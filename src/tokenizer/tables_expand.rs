//! Unpacks the generated tables at compile time, which keeps their source short.

/// First value, step from one to the next, count.
pub type Run = (u16, i16, u16);

macro_rules! expand {
    ($name:ident, $kind:ty) => {
        /// The values of the runs, one after the other. There must be `N` of them.
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
