//! What the CPU and the operating system offer.

/// Answers to the questions that the tiers ask. The standard library's answers already say
/// whether the operating system saves the registers; a feature without it counts as absent.
#[derive(Clone, Copy, Default)]
pub(super) struct Features {
    pub avx2: bool,
    pub fma: bool,
    pub f16c: bool,
    pub avx512f: bool,
    pub avx512bw: bool,
    pub avx512vl: bool,
    pub avx512dq: bool,
    pub avx512vnni: bool,
}

impl Features {
    /// This machine's. The standard library asks the CPU once and remembers.
    pub fn detect() -> Self {
        Self {
            avx2: is_x86_feature_detected!("avx2"),
            fma: is_x86_feature_detected!("fma"),
            f16c: is_x86_feature_detected!("f16c"),
            avx512f: is_x86_feature_detected!("avx512f"),
            avx512bw: is_x86_feature_detected!("avx512bw"),
            avx512vl: is_x86_feature_detected!("avx512vl"),
            avx512dq: is_x86_feature_detected!("avx512dq"),
            avx512vnni: is_x86_feature_detected!("avx512vnni"),
        }
    }

    /// Whether the functions compiled for `avx2,fma,f16c` can run.
    pub fn run_avx2(self) -> bool {
        self.avx2 && self.fma && self.f16c
    }

    /// Whether the functions compiled for
    /// `avx512f,avx512bw,avx512vl,avx512dq,avx512vnni` can run; to the compiler those imply
    /// what the AVX2 tier needs.
    pub fn run_avx512_vnni(self) -> bool {
        let avx512 = self.avx512f && self.avx512bw && self.avx512vl && self.avx512dq;
        self.run_avx2() && avx512 && self.avx512vnni
    }
}

#[cfg(test)]
mod tests {
    use super::Features;

    const ALL: Features = Features {
        avx2: true,
        fma: true,
        f16c: true,
        avx512f: true,
        avx512bw: true,
        avx512vl: true,
        avx512dq: true,
        avx512vnni: true,
    };

    /// (avx2, avx512_vnni)
    fn tiers(features: Features) -> (bool, bool) {
        (features.run_avx2(), features.run_avx512_vnni())
    }

    #[test]
    fn everything_and_nothing() {
        assert_eq!(tiers(ALL), (true, true));
        assert_eq!(tiers(Features::default()), (false, false));
    }

    #[test]
    fn avx2_needs_each_of_its_features() {
        for features in [
            Features { avx2: false, ..ALL },
            Features { fma: false, ..ALL },
            Features { f16c: false, ..ALL },
        ] {
            assert_eq!(tiers(features), (false, false));
        }
    }

    #[test]
    fn avx512_without_one_of_its_parts_is_avx2() {
        for features in [
            // Skylake-X: AVX-512 without VNNI.
            Features {
                avx512vnni: false,
                ..ALL
            },
            // VNNI reported, but the operating system does not save the 512-bit registers.
            Features {
                avx512f: false,
                avx512bw: false,
                avx512vl: false,
                avx512dq: false,
                ..ALL
            },
            // Knights Mill: VNNI's cousins without the byte and word instructions.
            Features {
                avx512bw: false,
                ..ALL
            },
            Features {
                avx512vl: false,
                ..ALL
            },
            Features {
                avx512dq: false,
                ..ALL
            },
        ] {
            assert_eq!(tiers(features), (true, false));
        }
    }
}
