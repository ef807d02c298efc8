//! Weights that a training leaves as they are, named by patterns.

use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::tensor::parameters::Weights;
use glob::Pattern;
use tch::{Kind, Tensor};

/// What is frozen of a network.
pub(super) struct Frozen {
    /// Of the flat weights, true where they stay.
    pub mask: Tensor,
    /// In words.
    pub told: String,
}

/// The pattern of this text.
pub(super) fn pattern(text: &str) -> Result<Pattern> {
    Pattern::new(text).map_err(|error| {
        let expected = "names of weights with * for any letters and ? for one";
        Error::invalid("train.freeze", expected, format!("'{text}' ({})", error.msg))
    })
}

/// Freezes the weights that the patterns name, and the norms whose running statistics they name. `None` without
/// patterns. A pattern names a weight (`stem.0.weight`), or a module with all below it (`stem`, `cells.?`).
///
/// # Errors
/// A pattern that is none, or that names nothing; patterns that leave nothing to learn.
pub(super) fn freeze(weights: &Weights, patterns: &[String]) -> Result<Option<Frozen>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let compiled: Vec<Pattern> = patterns.iter().map(|text| pattern(text)).collect::<Result<_>>()?;
    for (text, pattern) in patterns.iter().zip(&compiled) {
        if !weights.iter().any(|(name, _)| names(pattern, name)) {
            let end = |name: &str| name.rfind('.').unwrap_or(name.len());
            let modules: Vec<&str> = weights.iter().map(|(name, _)| &name[..end(name)]).collect();
            let hint = match nearest(text, modules.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the network begins with {}", modules.first().copied().unwrap_or_default()),
            };
            return Err(Error::invalid("train.freeze", "patterns of this network's weights", format!("'{text}'"))
                .with_hint(hint));
        }
    }
    let is_frozen = |name: &str| compiled.iter().any(|pattern| names(pattern, name));
    let parameters = &weights.parameters;
    let mask = Tensor::f_zeros([parameters.flat().numel() as i64], (Kind::Bool, parameters.flat().device()))?;
    let (mut tensors, mut numbers) = (0, 0);
    for (_, first, length) in parameters.ranges().filter(|(name, ..)| is_frozen(name)) {
        let _ = mask.narrow(0, first, length).fill_(1);
        (tensors, numbers) = (tensors + 1, numbers + length);
    }
    if numbers == parameters.count() as i64 {
        return Err(Error::invalid("train.freeze", "weights that still learn", "patterns of all of them"));
    }
    weights.buffers.fix_norms(is_frozen);
    let norms = weights.buffers.iter().filter(|(name, _)| name.ends_with("running_mean") && is_frozen(name)).count();
    let told = format!(
        "frozen: {tensors} of {} weights ({numbers} of {} numbers), and {norms} batch norms, which go by their running \
         statistics and keep them",
        parameters.iter().count(),
        parameters.count()
    );
    Ok(Some(Frozen { mask, told }))
}

/// Whether a pattern names this weight, or a module that it belongs to.
fn names(pattern: &Pattern, name: &str) -> bool {
    let modules = name.match_indices('.').map(|(end, _)| &name[..end]);
    pattern.matches(name) || modules.into_iter().any(|module| pattern.matches(module))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_weights_and_modules_whole() {
        let is_named = |text: &str, name: &str| names(&pattern(text).unwrap(), name);
        for text in ["cells.1", "cells.?", "cells", "cells.1.a.weight", "*.weight", "cells.*.weight", "cells.[12].a"] {
            assert!(is_named(text, "cells.1.a.weight"), "{text}");
        }
        for text in ["cells.2", "cell", "weight", "cells.1.a.weigh", "cells.?.weight.x"] {
            assert!(!is_named(text, "cells.1.a.weight"), "{text}");
        }
        assert!(!is_named("cells.1", "cells.10.a.weight"));
        assert!(pattern("cells.[1").unwrap_err().to_string().starts_with("train.freeze: expected names of weights"));
    }
}
