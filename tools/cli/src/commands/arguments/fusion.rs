//! Arguments that blend with the first stage's scores.

use clap::{Args, ValueEnum};
use lanerank::Fusion;

use crate::failure::Failure;

/// The constant of reciprocal rank fusion in the paper that proposed it.
const RRF_K: f32 = 60.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FuseMethod {
    /// Scale both scores to mean 0 and deviation 1, then take the weighted sum
    Zscore,
    /// Scale both scores to 0..1, then take the weighted sum
    Minmax,
    /// Reciprocal rank fusion: the sum of 1 / (60 + rank)
    Rrf,
}

/// Blend with the first stage's scores.
#[derive(Debug, Args)]
pub(crate) struct FusionArgs {
    /// Blend with the first stage's scores
    #[arg(long, value_enum, value_name = "METHOD")]
    fuse: Option<FuseMethod>,

    /// The model's share in the blend, 0 to 1 [default: 0.5]
    #[arg(long, requires = "fuse", value_name = "SHARE")]
    weight: Option<f32>,
}

impl FusionArgs {
    /// The requested blend.
    ///
    /// # Errors
    /// When the weight is out of range or has no effect.
    pub(crate) fn fusion(&self) -> Result<Option<Fusion>, Failure> {
        let weight = self.weight.unwrap_or(0.5);
        if !(0.0..=1.0).contains(&weight) {
            return Err(Failure::Usage(format!(
                "--weight {weight} is not in 0 to 1"
            )));
        }
        match self.fuse {
            None => Ok(None),
            Some(FuseMethod::Zscore) => Ok(Some(Fusion::ZScore { weight })),
            Some(FuseMethod::Minmax) => Ok(Some(Fusion::MinMax { weight })),
            Some(FuseMethod::Rrf) if self.weight.is_some() => Err(Failure::Usage(
                "--weight has no meaning with --fuse rrf".into(),
            )),
            Some(FuseMethod::Rrf) => Ok(Some(Fusion::ReciprocalRank { k: RRF_K })),
        }
    }
}
