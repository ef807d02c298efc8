//! What a misspelt name was meant to be.

/// Similarity from which a name counts as a slip of another.
const SIMILAR_ENOUGH: f64 = 0.6;

/// The known name most like `name`, if one is like it at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let similarity = |known: &str| strsim::normalized_damerau_levenshtein(&lower, &known.to_lowercase());
    let (best, similarity) = known
        .into_iter()
        .map(|known| (known, similarity(known)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    (similarity >= SIMILAR_ENOUGH).then_some(best)
}

/// A hint for the unknown name `name`: the nearest known one, or all of them where none is near.
pub fn hint(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_lists_all() {
        let known = ["modelnet10", "modelnet40", "points"];
        assert_eq!(nearest("modelnet4", known), Some("modelnet40"));
        assert_eq!(nearest("PIONTS", known), Some("points"));
        assert_eq!(hint("zzz", &known), "known: modelnet10, modelnet40, points");
    }
}
