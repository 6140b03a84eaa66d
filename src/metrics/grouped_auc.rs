//! GAUC: the AUC within each group (a user, a session), so that only comparisons a reader could see count (Zhu et al.
//! 2017, arXiv 1703.02091).

use rayon::prelude::*;

use super::{
    auc::area,
    pointwise::is_click,
    ranking::{Key, key, ties},
};

/// The mean of the groups' AUCs, each weighted by its rows, over the groups that have both classes; `None` without one.
///
/// # Panics
/// If there are not as many groups as logits.
pub(super) fn grouped_auc(logits: &[f32], labels: &[f32], groups: &[u64]) -> Option<f64> {
    assert_eq!(logits.len(), groups.len(), "there is one group a logit");
    let scored = logits.iter().zip(labels);
    let mut rows: Vec<Row> = groups
        .iter()
        .zip(scored)
        .map(|(&group, (&logit, &label))| Row { group, clicked: is_click(label), key: key(logit) })
        .collect();
    // equal rows are alike, so an unstable sort has one outcome
    rows.par_sort_unstable();

    let (mut positives, mut negatives) = (Vec::new(), Vec::new());
    let (mut sum, mut weight) = (0.0, 0.0);
    for group in rows.chunk_by(|left, right| left.group == right.group) {
        let (others, clicks) = group.split_at(group.partition_point(|row| !row.clicked));
        refill(&mut positives, clicks);
        refill(&mut negatives, others);
        if let Some(area) = area(ties(&positives, &negatives)) {
            sum += area * group.len() as f64;
            weight += group.len() as f64;
        }
    }
    (weight > 0.0).then(|| sum / weight)
}

/// Sorts by group, then class, then score.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    group: u64,
    clicked: bool,
    key: Key,
}

fn refill(keys: &mut Vec<Key>, rows: &[Row]) {
    keys.clear();
    keys.extend(rows.iter().map(|row| row.key));
}

#[cfg(test)]
mod tests {
    use super::{super::auc::auc, *};

    #[test]
    fn gauc_of_one_group_is_the_auc() {
        let (logits, labels) = ([0.5, 0.5, -1.0, 2.0, 0.1], [1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(grouped_auc(&logits, &labels, &[7; 5]), auc(&logits, &labels));
    }

    #[test]
    fn gauc_weighs_groups_by_their_rows_and_leaves_out_those_of_one_class() {
        let logits = [1.0, 2.0, 9.0, 1.0, 5.0, 6.0, 7.0];
        let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0];
        // group 3 = rows 0, 1: area 1; group 1 = rows 2, 3, 4: area 0; group 2 = rows 5, 6: clicks alone
        let groups = [3, 3, 1, 1, 1, 2, 2];
        assert_eq!(grouped_auc(&logits, &labels, &groups), Some(2.0 / 5.0));
    }

    #[test]
    fn gauc_without_a_group_of_both_classes_is_undefined() {
        assert_eq!(grouped_auc(&[1.0, 2.0], &[0.0, 1.0], &[1, 2]), None);
        assert_eq!(grouped_auc(&[], &[], &[]), None);
    }
}
