//! What can go wrong in training and in reading its checkpoints.

use std::path::PathBuf;

use thiserror::Error;

/// A failure of the loop or of a checkpoint.
#[derive(Debug, Error)]
pub enum TrainingError {
    #[error(
        "step {step} (epoch {epoch}): expected a finite loss, found `{loss}` with `training.learning_rate` \
         {learning_rate:e} and `embedding.learning_rate` {table_learning_rate:e}"
    )]
    NonFiniteLoss { step: u64, epoch: u64, loss: f64, learning_rate: f64, table_learning_rate: f64 },
    #[error("{}: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{}: the checkpoint does not fit the model: {reason}", path.display())]
    Mismatch { path: PathBuf, reason: String },
    #[error("{}: no checkpoint here", path.display())]
    Missing { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl TrainingError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NonFiniteLoss { .. } => Some(
                "lower the learning rates or `training.clip_norm`; standardize large numeric fields".to_owned(),
            ),
            Self::Damaged { .. } => {
                Some("the run's other checkpoint, `checkpoints/best` or `checkpoints/last`, may be whole".to_owned())
            }
            Self::Mismatch { .. } => Some(
                "use the config that made the checkpoint, see its `config.toml`; where that is the one, another version of secn \
                 made it, which has to serve it, or train it anew"
                    .to_owned(),
            ),
            Self::Missing { .. } | Self::Io { .. } => None,
        }
    }
}
