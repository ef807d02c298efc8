//! A word before a search whose alphas can't move.

/// The least distance that alphas must be able to go: then the shares of two primitives can differ by a fifth.
const LEAST_DISTANCE: f64 = 0.1;

/// Warns where no alpha can move far enough to matter: a step of Adam is about the learning rate at most.
pub(super) fn warn(steps: usize, rate: f64) {
    let distance = steps as f64 * rate;
    if distance < LEAST_DISTANCE {
        let enough = (LEAST_DISTANCE / rate).ceil();
        tracing::warn!(
            "the search takes {steps} steps, in which no alpha moves further than about {distance:.2} at \
             alphas.learning_rate = {rate}: decisions rest on little more than the initial draw. Take more steps: \
             --set search.steps={enough}"
        );
    }
}
