//! What a misspelt name was meant to be.

/// Known names that lie near `typed`, the nearest first; empty where nothing is near.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&typed.to_lowercase(), &name.to_lowercase()), name))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take_while(|(score, _)| *score > 0.8).map(|(_, name)| name).take(3).collect()
}

/// A hint for the unknown name `typed`: the nearest known names, or all of them where none is near.
pub fn hint<'a>(typed: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let near = nearest(typed, known.clone());
    if near.is_empty() {
        let all: Vec<&str> = known.into_iter().collect();
        return format!("known: {}", all.join(", "));
    }
    format!("did you mean {}?", near.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_lists_all() {
        let known = ["modelnet10", "modelnet40", "points"];
        assert_eq!(nearest("modelnet4", known)[0], "modelnet40");
        assert_eq!(nearest("pionts", known), ["points"]);
        assert_eq!(hint("zzz", known), "known: modelnet10, modelnet40, points");
    }
}
