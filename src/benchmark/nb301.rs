//! A surrogate of NAS-Bench-301 (Zela, Siems and others 2022, arXiv 2008.09777): a network that estimates what a cell of
//! the DARTS space scores on CIFAR-10 after a training of 98 epochs, as YAHPO Gym publishes it (ONNX, and the encoding of
//! its inputs as JSON).

use super::onnx::Graph;
use super::{Benchmark, Quantity, Score};
use crate::error::{Error, Result};
use crate::genotype::{CellGenotype, Genotype, SpaceName};
use crate::panics;
use crate::reading;
use crate::topology::CellKind;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Kind, Tensor};

/// What is said beside every estimate.
pub const WARNING: &str =
    "an estimate, no measurement: the surrogate takes a cell of skip_connects alone for a good one";

/// The length of the trainings that are estimated.
const EPOCHS: f32 = 98.0;

/// What every input's name begins with.
const PREFIX: &str = "NetworkSelectorDatasetInfo_COLON_darts_COLON_";

/// The value of an input that a cell does not have: an edge that is not kept.
const ABSENT: &str = "#na#";

/// The kinds of cell that are encoded.
const KINDS: [CellKind; 2] = [CellKind::Normal, CellKind::Reduce];

/// Inner nodes of a cell.
const NODES: usize = 4;

/// The surrogate with the encoding of its inputs.
pub struct Nb301 {
    graph: Graph,
    origin: String,
    /// The inputs in their order: name, and the number of every value.
    encoding: Vec<(String, BTreeMap<String, i64>)>,
}

impl Nb301 {
    /// Reads both files.
    ///
    /// # Errors
    /// A file that can't be read; another network or encoding; an encoding that lacks a value of the space.
    pub fn open(surrogate: &Path, encoding: &Path) -> Result<Self> {
        let origin = surrogate.display().to_string();
        let graph = Graph::of_bytes(&reading::limited_bytes(surrogate, reading::BENCHMARK)?, &origin)?;
        let wanted = ["x_cat", "x_cont"];
        if !wanted.iter().all(|name| graph.inputs().contains(&(*name).to_owned())) {
            let expected = "the surrogate of NAS-Bench-301, with inputs x_cat and x_cont";
            return Err(Error::invalid(origin, expected, format!("inputs {}", graph.inputs().join(", "))));
        }
        let place = encoding.display().to_string();
        let encoding = read_encoding(&reading::text(encoding, reading::BENCHMARK)?, &place)?;
        Ok(Self { graph, origin, encoding })
    }

    /// The numbers of a cell's inputs, in their order.
    ///
    /// # Errors
    /// A cell that the surrogate does not know: of another shape, with a state that a node reads twice, or with a
    /// primitive that only retraining knows.
    pub fn encoded(&self, genotype: &Genotype) -> Result<Vec<i64>> {
        let values = values(genotype)?;
        let number = |(name, numbers): &(String, BTreeMap<String, i64>)| {
            let value = values.get(name.as_str()).map_or(ABSENT, String::as_str);
            numbers.get(value).copied().ok_or_else(|| {
                let known: Vec<&str> = numbers.keys().map(String::as_str).collect();
                Error::invalid("the cell", format!("one of {} for {name}", known.join(", ")), value)
            })
        };
        self.encoding.iter().map(number).collect()
    }

    /// The estimated accuracy on the validation images, from 0 to 1.
    fn accuracy(&self, numbers: &[i64]) -> Result<f64> {
        let inputs = [
            ("x_cat", Tensor::from_slice(numbers).unsqueeze(0)),
            ("x_cont", Tensor::from_slice(&[EPOCHS]).unsqueeze(0)),
        ];
        let estimated = panics::as_errors(|| self.graph.run(&inputs)).map_err(|error| match error {
            Error::Torch(text) => {
                let first = text.lines().next().unwrap_or_default().to_owned();
                Error::invalid(&self.origin, "the surrogate of NAS-Bench-301", first)
            }
            error => error,
        })?;
        let percent = Vec::<f32>::try_from(estimated.to_kind(Kind::Float).flatten(0, -1)).ok();
        let percent = percent.and_then(|values| values.first().copied()).filter(|value| (0.0..=100.0).contains(value));
        let expected = "an accuracy from 0 to 100 per cent as its first output";
        percent
            .map(|percent| f64::from(percent) / 100.0)
            .ok_or_else(|| Error::invalid(&self.origin, expected, "other numbers"))
    }
}

/// How many edges of each kind of cell are skip_connects.
pub fn skip_connects(genotype: &Genotype) -> Vec<(CellKind, usize)> {
    let count = |cell: &CellGenotype| cell.edges.iter().filter(|(primitive, _)| primitive == "skip_connect").count();
    KINDS.into_iter().filter_map(|kind| Some((kind, count(genotype.cell(kind)?)))).collect()
}

impl Benchmark for Nb301 {
    fn space(&self) -> SpaceName {
        SpaceName::IMAGE
    }

    fn scores(&self, genotype: &Genotype) -> Result<Vec<Score>> {
        let value = self.accuracy(&self.encoded(genotype)?)?;
        Ok(vec![Score { set: "cifar10".to_owned(), quantity: Quantity::ValidationAccuracy, value }])
    }
}

/// The values of the inputs that a cell has, by name.
fn values(genotype: &Genotype) -> Result<BTreeMap<String, String>> {
    genotype.require_space(SpaceName::IMAGE, "the cell")?;
    let mut values = BTreeMap::new();
    for kind in KINDS {
        let cell = genotype.cell(kind).expect("cells of the space have both kinds");
        let topology = cell.topology;
        let mut concat = cell.concat.clone();
        concat.sort_unstable();
        if topology.steps() != NODES || !concat.iter().copied().eq(topology.inputs()..topology.states()) {
            let expected = "four nodes, all of them the output, as the cells of the benchmark have them";
            return Err(Error::invalid(format!("the cell: {kind}"), expected, "another shape"));
        }
        for node in 0..NODES {
            let mut sources: Vec<usize> = Vec::new();
            for (_, primitive, source) in cell.edges_with_nodes().filter(|(of, ..)| *of == node) {
                let edge = topology.edges_into(node).start + source;
                values.insert(format!("{PREFIX}edge_{kind}_{edge}"), primitive.to_owned());
                sources.push(source);
            }
            sources.sort_unstable();
            let [first, second] = sources[..] else {
                return Err(Error::invalid(format!("the cell: {kind}"), "two edges into every node", "another number"));
            };
            if first == second {
                let place = format!("the cell: {kind} (node {node})");
                return Err(Error::invalid(place, "two states that a node reads", format!("state {first} twice"))
                    .with_hint("the benchmark has no such cells"));
            }
            values.insert(
                format!("{PREFIX}inputs_node_{kind}_{}", node + topology.inputs()),
                format!("{first}_{second}"),
            );
        }
        // Both inputs are all that the first node can read, so that is no input of the surrogate.
        values.remove(&format!("{PREFIX}inputs_node_{kind}_{}", topology.inputs()));
    }
    Ok(values)
}

/// Every input in the order of the file, which is that of the surrogate's numbers, each with the numbers of its values.
///
/// # Errors
/// Another text than the published encoding, as far as its names go.
pub fn read_encoding(text: &str, place: &str) -> Result<Vec<(String, BTreeMap<String, i64>)>> {
    let expected = "the encoding of NAS-Bench-301: an object of 34 inputs, each with its values and their numbers";
    let broken = |found: String| Error::invalid(place, expected, found);
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    let mut encoding = Vec::with_capacity(object.len());
    for (name, numbers) in object {
        let numbers: BTreeMap<String, i64> =
            serde_json::from_value(numbers).map_err(|error| broken(format!("{name}: {error}")))?;
        encoding.push((name, numbers));
    }
    let edges = (0..14).map(|edge| format!("edge_{{}}_{edge}"));
    let inputs = (3..6).map(|node| format!("inputs_node_{{}}_{node}"));
    let names: Vec<String> = edges.chain(inputs).collect();
    let wanted = KINDS
        .iter()
        .flat_map(|kind| names.iter().map(move |name| PREFIX.to_owned() + &name.replace("{}", kind.name())));
    let wanted: Vec<String> = wanted.collect();
    if let Some(missing) = wanted.iter().find(|name| !encoding.iter().any(|(known, _)| known == *name)) {
        return Err(broken(format!("no {missing}")));
    }
    if encoding.len() != wanted.len() {
        return Err(broken(format!("{} inputs", encoding.len())));
    }
    Ok(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::zoo;

    /// The second-order cell of DARTS (Liu, Simonyan and Yang 2019).
    const DARTS: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
         ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), \
         reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), \
         ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

    fn cell(name: &str) -> Genotype {
        zoo::find(name).unwrap().genotype.clone()
    }

    #[test]
    fn a_cell_s_edges_and_sources_are_its_values() {
        let genotype = Genotype::from_text(DARTS, "darts", None).unwrap();
        let values = values(&genotype).unwrap();
        let of = |name: &str| values.get(&format!("{PREFIX}{name}")).map(String::as_str);
        // The third node of the normal cell reads states 1 and 0, by edges 6 and 5 of 14, and the fourth 0 and 2.
        assert_eq!(
            [6, 5, 7].map(|edge| of(&format!("edge_normal_{edge}"))),
            [Some("sep_conv_3x3"), Some("skip_connect"), None]
        );
        assert_eq!((of("edge_normal_9"), of("edge_normal_11")), (Some("skip_connect"), Some("dil_conv_3x3")));
        assert_eq!((of("inputs_node_normal_4"), of("inputs_node_reduce_5")), (Some("0_1"), Some("1_2")));
        assert_eq!((of("inputs_node_normal_2"), values.len()), (None, 2 * (8 + 3)));
        assert_eq!(skip_connects(&genotype), [(CellKind::Normal, 2), (CellKind::Reduce, 3)]);
        let twice =
            DARTS.replacen("('sep_conv_3x3', 1), ('skip_connect', 0)", "('sep_conv_3x3', 0), ('skip_connect', 0)", 1);
        let error = super::values(&Genotype::from_text(&twice, "darts", None).unwrap()).unwrap_err();
        assert!(error.to_string().contains("normal (node 2): expected two states"), "{error}");
    }

    #[test]
    fn cells_of_other_shapes_are_refused() {
        for name in ["NASNet", "AmoebaNet"] {
            assert_eq!(values(&cell(name)).unwrap_err().exit_code(), 2);
        }
        assert!(read_encoding("{}", "encoding.json").unwrap_err().to_string().contains("edge_normal_0"));
    }
}
