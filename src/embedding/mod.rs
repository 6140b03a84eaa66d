//! The sparse table: a vector and a first-order weight for every id, their lookup and their row-wise optimizers.
//!
//! The table stays outside of autodiff. A batch's rows are leaf tensors that require a gradient: its distinct ones on the CPU,
//! one for each feature elsewhere. The leaves' gradients, summed over equal ids, update the touched rows alone. So a step costs
//! time by the batch, not by the vocabulary.

mod config;
mod dims;
mod leaves;
mod lookup;
mod optimizer;
mod pretrained;
mod rows;
mod storage;
mod table;

pub use self::{
    config::{EmbeddingConfig, LinearConfig, PretrainedConfig, RowOptimizer},
    dims::FieldDim,
    leaves::{Embedded, Leaves, TableGradients},
    lookup::FeatureVectors,
    optimizer::{Moment, RowStep},
    storage::Storage,
    table::Table,
};

use std::ops::Range;

use burn::tensor::Device;

use crate::{features::Batch, seed::Seed};

const VECTORS: &str = "vectors";
const LINEAR: &str = "linear";
const PARTNERS: &str = "partners";

/// What a model's size follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub fields: usize,
    pub dim: usize,
}

/// Which tables a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    pub vectors: Vectors,
    /// A first-order weight an id.
    pub linear: bool,
}

/// How many vectors of `dim` numbers an id has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    None,
    One,
    /// One for each field that it meets in a pair, one behind the other: FFM's.
    APartner,
    /// One, and in a table of its own one of `partner_dim` numbers for each field that it meets in a pair.
    OneAndPartners {
        partner_dim: usize,
    },
}

impl Vectors {
    /// Numbers an id.
    pub fn width(self, shape: Shape) -> usize {
        match self {
            Self::None => 0,
            Self::One | Self::OneAndPartners { .. } => shape.dim,
            Self::APartner => shape.fields * shape.dim,
        }
    }

    /// Numbers an id in the table of vectors for partners.
    pub fn partners_width(self, fields: usize) -> usize {
        match self {
            Self::None | Self::One | Self::APartner => 0,
            Self::OneAndPartners { partner_dim } => fields * partner_dim,
        }
    }
}

/// The tables of one model.
#[derive(Clone, Debug)]
pub struct Embedding {
    config: EmbeddingConfig,
    linear_config: EmbeddingConfig,
    vectors: Option<Table>,
    linear: Option<Table>,
    partners: Option<Table>,
    narrow: Vec<FieldDim>,
}

impl Embedding {
    /// New tables for the fields' id ranges: vectors from `N(0, init_std²)`, first-order weights from zero.
    pub fn new(config: &EmbeddingConfig, needs: Needs, fields: &[Range<u32>], seed: Seed) -> Self {
        let table = |name: &str, width: usize, deviation: f64, config: &EmbeddingConfig| {
            let start = |table: &mut Table| table.randomize(deviation, seed, name);
            (width > 0).then(|| Table::new(fields, width, config, start))
        };
        let linear_config = config.for_linear();
        let width = needs.vectors.width(Shape { fields: fields.len(), dim: config.dim.get() });
        let partners_width = needs.vectors.partners_width(fields.len());
        Self {
            config: config.clone(),
            vectors: table(VECTORS, width, config.init_std.value(), config),
            partners: table(PARTNERS, partners_width, config.init_std.value(), config),
            linear: table(LINEAR, usize::from(needs.linear), 0.0, &linear_config),
            linear_config,
            narrow: Vec::new(),
        }
    }

    /// All tables with their names, in a fixed order.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, &Table)> {
        [(VECTORS, &self.vectors), (LINEAR, &self.linear), (PARTNERS, &self.partners)]
            .into_iter()
            .filter_map(|(name, table)| table.as_ref().map(|table| (name, table)))
    }

    /// As [`Self::tables`], to be changed.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Table)> {
        [(VECTORS, &mut self.vectors), (LINEAR, &mut self.linear), (PARTNERS, &mut self.partners)]
            .into_iter()
            .filter_map(|(name, table)| table.as_mut().map(|table| (name, table)))
    }

    /// Takes the weights of tables of the same shape; the moments start anew.
    pub fn copy_weights(&mut self, other: &Self) {
        for (name, table) in self.tables_mut() {
            if let Some((_, from)) = other.tables().find(|(other, _)| *other == name) {
                table.set_part(0, from.part(0));
            }
        }
    }

    /// The number of trainable weights.
    pub fn parameters(&self) -> usize {
        self.tables().map(|(_, table)| table.rows() * table.dim()).sum::<usize>()
            - self.absent()
            - self.frozen_numbers()
    }

    /// Numbers that an id has in all tables.
    pub fn width(&self) -> usize {
        self.tables().map(|(_, table)| table.dim()).sum()
    }

    /// The table's learning rate, before the schedule.
    pub fn learning_rate(&self) -> f64 {
        self.config.learning_rate.value()
    }

    /// The batch's rows as tensors; on an autodiff device they require a gradient.
    pub fn gather(&self, batch: &Batch, device: &Device) -> Leaves {
        leaves::gather([&self.vectors, &self.linear, &self.partners].map(Option::as_ref), batch, device)
    }

    /// Lets the batch's rows take the decay that they missed, before they are gathered.
    pub fn catch_up(&mut self, batch: &Batch, moment: Moment) {
        self.for_each_table(moment, |table, step, _| table.catch_up(&batch.unique, &batch.unique_starts, step));
    }

    /// Lets all rows take the decay that they missed up to this step, so that an evaluation sees it.
    pub fn catch_up_all(&mut self, moment: Moment) {
        self.for_each_table(moment, |table, step, _| table.catch_up_all(step));
    }

    /// Updates the touched rows by the gradients' sums.
    pub fn apply(&mut self, batch: &Batch, gradients: &TableGradients, moment: Moment) {
        self.for_each_table(moment, |table, step, name| {
            let gradient = match name {
                VECTORS => &gradients.vectors,
                LINEAR => &gradients.linear,
                PARTNERS => &gradients.partners,
                _ => &None,
            };
            if let Some(gradient) = gradient {
                table.apply(&batch.unique, &batch.unique_starts, gradient, step);
            }
        });
    }

    fn for_each_table(&mut self, moment: Moment, mut change: impl FnMut(&mut Table, &RowStep, &str)) {
        let tables = [
            (VECTORS, &mut self.vectors, &self.config),
            (LINEAR, &mut self.linear, &self.linear_config),
            (PARTNERS, &mut self.partners, &self.config),
        ];
        for (name, table, config) in tables {
            if let Some(table) = table {
                change(table, &RowStep::new(config, moment), name);
            }
        }
    }
}
