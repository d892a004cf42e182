//! Bounds of histograms and quantiles of summaries, each set of them kept once.

use super::streams::NONE;

/// The sets that the streams of a target have.
///
/// There are few: all series of a metric have the same, and so have most metrics.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Box<[f64]>>);

/// Beyond these, a shape is not kept, and the end of a stream is told without it.
const MOST: usize = 4096;

impl Shapes {
    /// The number of a set; `near` is one to try first.
    pub(super) fn find_or_add(&mut self, near: u32, bounds: &[f64]) -> u32 {
        if self.get(near) == bounds && near != NONE {
            return near;
        }
        let known = self.0.iter().position(|known| **known == *bounds);
        let at = match known {
            Some(at) => at,
            None if self.0.len() >= MOST => return NONE,
            None => {
                self.0.push(bounds.into());
                self.0.len() - 1
            }
        };
        u32::try_from(at).unwrap_or(NONE)
    }

    /// The set of a number.
    pub(super) fn get(&self, at: u32) -> &[f64] {
        self.0.get(at as usize).map_or(&[], |bounds| bounds)
    }
}
