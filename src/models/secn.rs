//! SECN, the separation-embedding cross network.
//!
//! Liu et al. 2024, "A Recommendation Model Utilizing Separation Embedding and Self-Attention for Feature Mining",
//! arXiv 2410.15026. Beyond the paper: first-order weights, other products, residuals and activations of the cross
//! layers, FwFM's pairs, FFM's vectors for partners (Juan et al., RecSys 2016), and a parallel MLP on the vectors or, as fwumious wabbit's deep FFM has it, on the products of
//! their pairs; `configs/criteo/secn-paper.toml` has the paper's own form. Several networks share the vectors' numbers between
//! them (as those of multi-embedding, Guo et al., ICML 2024, arXiv 2310.04400, have a table each), each trained on the labels
//! for itself, as the members of TabM are (Gorishniy et al., ICLR 2025, arXiv 2410.24210).

use std::ops::Range;

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{
    Embedded, FeatureVectors, Logits, Needs, Parameters, Settings, Shape, Towers, Vectors, count, counts,
    pairs::field_aware_products,
};
use crate::{
    layers::{
        attention::{Attention, AttentionConfig},
        cross_stack::{Activation, CrossStack, Form, Product, Residual, Sharing, StackConfig},
        mlp::{Mlp, MlpConfig},
        pairwise::{pair_count, pair_products},
    },
    ranges::{Count, Share, Within},
};

/// `[model.secn]`; the defaults are a network of the paper's form, an MLP on the pairs' products, first-order weights
/// and vectors for partners, which `docs/ablation.md` found best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecnConfig {
    /// Networks side by side, at most `embedding.dim`: each has its own share of every vector's numbers and its own loss, and
    /// the logit is the mean of theirs. Default 1; eight numbers a member are enough.
    pub members: Count,
    /// Number of cross layers; it bounds the order of the interactions. Default 3.
    pub layers: Count,
    /// `"shared"` (default): all dimensions share `W_C` and `W_R`; `"per-dimension"`: each has its own.
    pub weights: Sharing,
    /// `"square"` (default, the paper's) `W_C (H ⊙ H)`; `"gate"` `H ⊙ (W_C H)`; `"base"` `H(0) ⊙ (W_C H)`.
    pub product: Product,
    /// `"weighted"` (default, the paper's) `W_R H`; `"identity"` `H`; `"both"`.
    pub residual: Residual,
    /// `"relu"` (default): after the sum; `"gate-relu"`: inside the product; `"none"`.
    pub activation: Activation,
    /// What the pooled vector's weights `V` start from: `"zero"` (default), so that training starts as that of the other
    /// terms, or `"uniform"`, as published.
    pub head: HeadStart,
    /// First-order weights. Default true.
    pub linear: bool,
    /// Multi-head self-attention over the fields of `H(L)`, before the pooling. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionConfig>,
    /// FwFM's term: the pairs' inner products, with a weight for each pair of fields. Default false.
    pub pairs: bool,
    /// Numbers of the vectors that a feature has beside its own, one for each partner field (FFM's): the sum of these pairs'
    /// products is added to the logit, and an MLP that reads products reads them too. A feature has
    /// `fields * partner_dim` numbers for them. 0: none. Default 4 with one member, 0 with
    /// several, which have no such vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_dim: Option<Within<0, 4096>>,
    /// Units of a parallel MLP. Default `[64]`.
    pub mlp: Vec<Count>,
    /// What the MLP reads: `"vectors"`, `"products"` of all pairs of vectors (default), or `"both"`.
    pub mlp_input: MlpInput,
    /// The share of the MLP's hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether the MLP's hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

/// What SECN's last weights start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// `U(-1/√dim, 1/√dim)`.
    Uniform,
    /// What a seed draws has no say until the data has.
    #[default]
    Zero,
}

/// What SECN's parallel MLP reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MlpInput {
    /// All vectors, field after field.
    Vectors,
    /// The inner products of all pairs of vectors.
    #[default]
    Products,
    /// The vectors, then the products.
    Both,
}

impl MlpInput {
    fn width(self, Shape { fields, dim }: Shape, partners: bool) -> usize {
        let (vectors, products) = (fields * dim, pair_count(fields) * (1 + usize::from(partners)));
        match self {
            Self::Vectors => vectors,
            Self::Products => products,
            Self::Both => vectors + products,
        }
    }

    fn read(self, vectors: &Tensor<3>, products: impl FnOnce() -> Tensor<2>) -> Tensor<2> {
        let [batch, fields, dim] = vectors.dims();
        let concatenation = || vectors.clone().reshape([batch, fields * dim]);
        match self {
            Self::Vectors => concatenation(),
            Self::Products => products(),
            Self::Both => Tensor::cat(vec![concatenation(), products()], 1),
        }
    }
}

impl Default for SecnConfig {
    fn default() -> Self {
        Self {
            members: count(1),
            layers: count(3),
            weights: Sharing::default(),
            product: Product::default(),
            residual: Residual::default(),
            activation: Activation::default(),
            head: HeadStart::default(),
            linear: true,
            attention: None,
            pairs: false,
            partner_dim: None,
            mlp: counts(64, 1),
            mlp_input: MlpInput::default(),
            dropout: None,
            batch_norm: false,
        }
    }
}

impl Settings for SecnConfig {
    fn needs(&self) -> Needs {
        let vectors = match self.partner_dim() {
            0 => Vectors::One,
            partner_dim => Vectors::OneAndPartners { partner_dim },
        };
        Needs { vectors, linear: self.linear }
    }

    fn check(&self, _dim: usize) -> Result<(), String> {
        let (dim, members) = (self.partner_dim(), self.members.get());
        if dim > 0 && members > 1 {
            return Err(format!(
                "`model.secn.partner_dim`: expected 0 with `model.secn.members = {members}`, found {dim}; leave one of both"
            ));
        }
        Ok(())
    }
}

impl SecnConfig {
    /// Weights as [`StackConfig::init`], [`AttentionConfig::init`], [`MlpConfig::init`] and [`Parameters::head`] draw
    /// them.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> Secn {
        let member = |(number, share): (usize, Range<usize>)| {
            let shape = Shape { fields: shape.fields, dim: share.len() };
            match number {
                0 => self.init_member(shape, parameters),
                _ => self.init_member(shape, &parameters.scoped(&format!("members.{number}"))),
            }
        };
        let shares = shares(shape.dim, self.members.get().min(shape.dim));
        let partners = self.partner_dim() > 0;
        Secn { members: shares.enumerate().map(member).collect(), linear: self.linear, partners }
    }

    fn partner_dim(&self) -> usize {
        const USUAL: usize = 4;
        match self.partner_dim {
            Some(dim) => dim.get() as usize,
            None if self.members.get() == 1 => USUAL,
            None => 0,
        }
    }

    fn init_member(&self, shape: Shape, parameters: &Parameters) -> Member {
        let Shape { fields, dim } = shape;
        let form = Form { product: self.product, activation: self.activation };
        let stack = StackConfig { layers: self.layers.get(), sharing: self.weights, residual: self.residual, form };
        let pooled_dim = self.attention.map_or(dim, |attention| attention.output_dim());
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        Member {
            stack: stack.init(fields, dim, parameters),
            attention: self.attention.map(|attention| attention.init("attention", dim, parameters)),
            head: match self.head {
                HeadStart::Uniform => parameters.head("head", pooled_dim),
                HeadStart::Zero => parameters.zeros("head", [pooled_dim, 1]),
            },
            bias: parameters.zeros("bias", [1]),
            mlp: (!self.mlp.is_empty())
                .then(|| mlp.init("mlp", self.mlp_input.width(shape, self.partner_dim() > 0), parameters)),
            mlp_input: self.mlp_input,
            pairs: self.pairs.then(|| parameters.constant("pairs", [pair_count(fields), 1], 1.0)),
        }
    }
}

/// The mean of the members' logits, with the first-order term in each of them.
#[derive(Module, Debug)]
pub struct Secn {
    members: Vec<Member>,
    linear: bool,
    partners: bool,
}

/// `y = g(V · Σ_i h_i(L) + b)`, with `H(L)` of the cross layers (steps 3 to 6); returns the logit before `g`.
#[derive(Module, Debug)]
struct Member {
    stack: CrossStack,
    attention: Option<Attention>,
    /// `V`: `[dim, 1]`.
    head: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    mlp: Option<Mlp>,
    #[module(skip)]
    mlp_input: MlpInput,
    /// `[pairs, 1]`
    pairs: Option<Param<Tensor<2>>>,
}

impl Secn {
    /// # Shapes
    /// - returns: `[batch]` each
    pub fn forward(&self, embedded: &Embedded) -> Logits {
        let vectors = embedded.vectors();
        let [_, _, dim] = vectors.dims();
        let linear = self.linear.then(|| embedded.linear_sum());
        let with = |logits: Tensor<1>, linear: Option<&Tensor<1>>| match linear {
            Some(linear) => logits + linear.clone(),
            None => logits,
        };
        if let [member] = self.members.as_slice() {
            let partners = self.partners.then(|| embedded.partner_vectors());
            return with(member.forward(&vectors, partners), linear.as_ref()).into();
        }
        let linear = linear.map(|linear| shared(linear, self.members.len()));
        let shares = shares(dim, self.members.len()).map(|share| vectors.clone().slice_dim(2, share));
        let logits = |(member, vectors): (&Member, Tensor<3>)| with(member.forward(&vectors, None), linear.as_ref());
        let logits: Vec<Tensor<1>> = self.members.iter().zip(shares).map(logits).collect();
        Logits {
            logits: Tensor::stack::<2>(logits.clone(), 1).mean_dim(1).squeeze_dim(1),
            towers: Towers::Alone(logits),
        }
    }
}

/// A term of all members, whose losses are summed: it takes the mean of their gradients, so that it learns as fast as with
/// one member.
///
/// # Shapes
/// - term: `[batch]`
/// - returns: `[batch]`
fn shared(term: Tensor<1>, members: usize) -> Tensor<1> {
    #[expect(clippy::cast_precision_loss, reason = "at most as many members as a vector has numbers")]
    let share = 1.0 / members as f32;
    term.clone().mul_scalar(share) + term.detach().mul_scalar(1.0 - share)
}

/// The numbers of a vector that each member reads, as equally many as can be.
fn shares(dim: usize, members: usize) -> impl Iterator<Item = Range<usize>> {
    (0..members).map(move |member| member * dim / members..(member + 1) * dim / members)
}

impl Member {
    /// # Shapes
    /// - vectors: `[batch, fields, dim]`
    /// - partners: `[batch, fields, fields * partner_dim]`
    /// - returns: `[batch]`
    fn forward(&self, vectors: &Tensor<3>, partners: Option<&FeatureVectors>) -> Tensor<1> {
        const FIELDS: usize = 1;
        const PAIRS: usize = 1;
        let pooled: Tensor<2> = match &self.attention {
            None => self.stack.forward_pooled(vectors.clone()),
            Some(attention) => {
                attention.forward(self.stack.forward(vectors.clone())).sum_dim(FIELDS).squeeze_dim(FIELDS)
            }
        };
        let mut logits: Tensor<1> = pooled.matmul(self.head.val()).squeeze_dim(1) + self.bias.val();
        let of_partners = partners.map(field_aware_products);
        if let Some(products) = &of_partners {
            logits = logits + products.clone().sum_dim(PAIRS).squeeze_dim::<1>(PAIRS);
        }
        if let Some(mlp) = &self.mlp {
            let products = || {
                let own = pair_products(vectors.clone());
                match of_partners {
                    None => own,
                    Some(of_partners) => Tensor::cat(vec![own, of_partners], PAIRS),
                }
            };
            logits = logits + mlp.forward(self.mlp_input.read(vectors, products));
        }
        if let Some(pairs) = &self.pairs {
            logits = logits + pair_products(vectors.clone()).matmul(pairs.val()).squeeze_dim::<1>(1);
        }
        logits
    }
}
