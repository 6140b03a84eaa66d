//! The registry: one file a model, one line here.
//!
//! A model is a pure function from [`Embedded`] to logits. It never sees ids, labels or files.

mod afm;
mod autoint;
mod dcnv2;
mod dcnv3;
mod deepfm;
mod ffm;
mod finalmlp;
mod fm;
mod fwfm;
mod gdcn;
mod lr;
mod masknet;
mod nfm;
mod pairs;
mod secn;
mod xdeepfm;

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

pub use self::{
    afm::{Afm, AfmConfig},
    autoint::{AutoInt, AutoIntConfig},
    dcnv2::{DcnV2, DcnV2Config},
    dcnv3::{DcnV3, DcnV3Config},
    deepfm::{DeepFm, DeepFmConfig},
    ffm::{Ffm, FfmConfig},
    finalmlp::{FinalMlp, FinalMlpConfig},
    fm::{Fm, FmConfig},
    fwfm::{FwFm, FwFmConfig},
    gdcn::{Gdcn, GdcnConfig},
    lr::{Lr, LrConfig},
    masknet::{MaskNet, MaskNetConfig},
    nfm::{Nfm, NfmConfig},
    secn::{Secn, SecnConfig},
    xdeepfm::{XDeepFm, XDeepFmConfig},
};
use crate::ranges::Count;
pub use crate::{
    embedding::{Embedded, FeatureVectors, Needs, Shape, Vectors},
    layers::parameters::Parameters,
};

/// What `secn models` tells about a model.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ModelInfo {
    /// The name of the table in the config: `[model.NAME]`.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// A config to start from.
    pub config: &'static str,
}

/// What a model says of a batch.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[batch]`: what is evaluated and predicted.
    pub logits: Tensor<1>,
    /// The networks behind them that are trained on the labels too.
    pub towers: Towers,
}

/// `[batch]` each: the logits of a model's networks.
#[derive(Clone, Debug)]
pub enum Towers {
    /// The model's logits alone are trained.
    None,
    /// Those that are trained beside the model's logits, each by as much as it lags behind them.
    Lagging(Vec<Tensor<1>>),
    /// Those that are trained instead of the model's logits, each for itself.
    Alone(Vec<Tensor<1>>),
}

impl From<Tensor<1>> for Logits {
    fn from(logits: Tensor<1>) -> Self {
        Self { logits, towers: Towers::None }
    }
}

/// What every model's config answers.
trait Settings {
    /// Which tables the model reads.
    fn needs(&self) -> Needs;

    /// Holds the keys to the rules between them and `embedding.dim`.
    ///
    /// # Errors
    /// What was expected and found, with the names of both keys.
    fn check(&self, _dim: usize) -> Result<(), String> {
        Ok(())
    }
}

/// A default above 0.
fn count(value: usize) -> Count {
    Count::new(value).expect("defaults are above 0")
}

/// A default of `layers` equal layers.
fn counts(units: usize, layers: usize) -> Vec<Count> {
    vec![count(units); layers]
}

macro_rules! registry {
    ($($name:literal $variant:ident $config:ident: $summary:literal, $paper:literal;)+) => {
        /// `[model.NAME]`: the model's name and its settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum ModelConfig {
            $(#[serde(rename = $name)] $variant($config),)+
        }

        /// Any registered model, with its weights.
        #[derive(Module, Debug)]
        #[expect(clippy::large_enum_variant, reason = "there is one model a run")]
        pub enum Model {
            $($variant($variant),)+
        }

        /// All registered models, in the order of the tables.
        pub const MODELS: &[ModelInfo] = &[$(ModelInfo {
            name: $name,
            summary: $summary,
            paper: $paper,
            config: concat!("configs/criteo/", $name, ".toml"),
        },)+];

        impl ModelConfig {
            /// The model's name, as `[model.NAME]` spells it.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }

            /// The model's default settings.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant($config::default())),)+ _ => None }
            }

            /// Which tables the model reads.
            pub fn needs(&self) -> Needs {
                match self { $(Self::$variant(config) => config.needs(),)+ }
            }

            /// Holds the model's keys to the rules between them and `embedding.dim`.
            ///
            /// # Errors
            /// What was expected and found, with the names of both keys.
            pub fn check(&self, dim: usize) -> Result<(), String> {
                match self { $(Self::$variant(config) => config.check(dim),)+ }
            }

            /// A model with new weights.
            pub fn init(&self, shape: Shape, parameters: &Parameters) -> Model {
                match self { $(Self::$variant(config) => Model::$variant(config.init(shape, parameters)),)+ }
            }
        }

        impl Model {
            /// # Shapes
            /// - embedded: `batch` rows
            /// - returns: `[batch]` logits
            pub fn forward(&self, embedded: &Embedded) -> Logits {
                match self { $(Self::$variant(model) => model.forward(embedded).into(),)+ }
            }
        }
    };
}

registry! {
    "lr" Lr LrConfig: "logistic regression: a weight a feature", "";
    "fm" Fm FmConfig: "factorization machine: a weight a feature and the products of all pairs", "Rendle, ICDM 2010";
    "ffm" Ffm FfmConfig: "FM with a vector a partner field, optionally with an MLP on the pairs", "Juan, RecSys 2016";
    "fwfm" FwFm FwFmConfig: "FM with a weight a pair of fields", "arXiv 1806.03514";
    "nfm" Nfm NfmConfig: "an MLP on the sum of all pairs' products", "arXiv 1708.05027";
    "afm" Afm AfmConfig: "FM whose pairs are weighted by attention", "arXiv 1708.04617";
    "deepfm" DeepFm DeepFmConfig: "FM beside a multi-layer perceptron on the same vectors", "arXiv 1703.04247";
    "xdeepfm" XDeepFm XDeepFmConfig: "compressed interaction network beside an MLP", "arXiv 1803.05170";
    "dcnv2" DcnV2 DcnV2Config: "cross layers with full or low-rank matrices, beside or before an MLP", "arXiv 2008.13535";
    "autoint" AutoInt AutoIntConfig: "self-attention over the fields, optionally beside an MLP", "arXiv 1810.11921";
    "masknet" MaskNet MaskNetConfig: "layers masked by the row's own vectors", "arXiv 2102.07619";
    "finalmlp" FinalMlp FinalMlpConfig: "two MLPs, fused by a bilinear product", "arXiv 2304.00902";
    "gdcn" Gdcn GdcnConfig: "DCNv2's cross layers with a gate", "arXiv 2311.04635";
    "dcnv3" DcnV3 DcnV3Config: "an exponential and a linear cross network, trained by three losses", "arXiv 2407.13349";
    "secn" Secn SecnConfig: "separation-embedding cross network, optionally with self-attention", "arXiv 2410.15026";
}
