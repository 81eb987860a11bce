#![doc = include_str!("assets/MODEL_CARD.md")]

/// The model file, if this build has it.
#[cfg(feature = "embedded-model")]
pub static FILE: Option<&[u8]> = Some(&ALIGNED.0);
/// The model file, if this build has it.
#[cfg(not(feature = "embedded-model"))]
pub static FILE: Option<&[u8]> = None;

/// Aligned like the format's sections, so that the file can be used in place.
#[cfg(feature = "embedded-model")]
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

#[cfg(feature = "embedded-model")]
static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!("assets/default.lane"));

#[cfg(all(test, feature = "embedded-model"))]
mod tests {
    use super::*;
    use crate::format::header::VERSION;
    use crate::format::storage::ALIGNMENT;

    #[test]
    fn the_file_is_aligned_small_and_of_this_version() {
        let file = FILE.expect("this build has it");
        assert_eq!(file.as_ptr().addr() % ALIGNMENT, 0);
        assert!(file.len() <= 5_000_000, "{}", file.len());
        assert_eq!(file[8..12], VERSION.to_le_bytes());
    }
}
