//! A network in ONNX's format, as far as the surrogate of NAS-Bench-301 needs it: fourteen operators on a few small
//! tensors.
//!
//! `prost` reads the messages, of which those fields stand here that are used. `tract-onnx` runs this network too, but
//! brings over a hundred crates for the matrix products that libtorch makes (`benches/results/nb301-surrogate.md`).

use crate::error::{Error, Result};
use prost::Message;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueProto {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

/// ONNX's numbers of element types.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;

/// A network that was read.
pub struct Graph {
    origin: String,
    nodes: Vec<NodeProto>,
    weights: BTreeMap<String, Tensor>,
    inputs: Vec<String>,
    output: String,
}

impl Graph {
    /// Reads a network; `origin` begins the message of every error.
    ///
    /// # Errors
    /// Bytes that are no network with an output, or that hold a tensor of an unknown type.
    pub fn of_bytes(bytes: &[u8], origin: &str) -> Result<Self> {
        let broken = |found: String| Error::invalid(origin, "a network in ONNX's format", found);
        let model = ModelProto::decode(bytes).map_err(|error| broken(error.to_string()))?;
        let graph = model.graph.ok_or_else(|| broken("no graph".to_owned()))?;
        let output =
            graph.output.first().map(|value| value.name.clone()).ok_or_else(|| broken("no output".to_owned()))?;
        let weights = graph.initializer.iter().map(|weight| Ok((weight.name.clone(), tensor(weight, origin)?)));
        let weights: BTreeMap<String, Tensor> = weights.collect::<Result<_>>()?;
        let inputs =
            graph.input.into_iter().map(|value| value.name).filter(|name| !weights.contains_key(name)).collect();
        Ok(Self { origin: origin.to_owned(), nodes: graph.node, weights, inputs, output })
    }

    /// The names of what is put in.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// The first output. Panics as libtorch does where shapes do not fit each other.
    ///
    /// # Errors
    /// A node that reads what is not there, or with an unknown operator.
    pub fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Tensor> {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), value.shallow_clone()));
        let mut values: BTreeMap<String, Tensor> = inputs.collect();
        for node in &self.nodes {
            let read = node.input.iter().map(|name| self.find(name, &values));
            let result = self.apply(node, &read.collect::<Result<Vec<_>>>()?)?;
            if let Some(name) = node.output.first() {
                values.insert(name.clone(), result);
            }
        }
        self.find(&self.output, &values)
    }

    fn find(&self, name: &str, values: &BTreeMap<String, Tensor>) -> Result<Tensor> {
        let found = values.get(name).or_else(|| self.weights.get(name)).map(Tensor::shallow_clone);
        found.ok_or_else(|| Error::invalid(&self.origin, format!("a tensor named '{name}'"), "none"))
    }

    fn apply(&self, node: &NodeProto, inputs: &[Tensor]) -> Result<Tensor> {
        let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
        let whole = |name: &str| attribute(name).map_or(0, |attribute| attribute.i);
        Ok(match (node.op_type.as_str(), inputs) {
            ("Constant", []) => match attribute("value").and_then(|attribute| attribute.t.as_ref()) {
                Some(value) => tensor(value, &self.origin)?,
                None => return Err(self.unknown(node)),
            },
            ("Gather", [table, places]) => gather(table, places, whole("axis")),
            ("Concat", parts) => Tensor::cat(parts, whole("axis")),
            ("Unsqueeze", [x]) => match attribute("axes").map(|axes| &axes.ints[..]) {
                Some([axis]) => x.unsqueeze(*axis),
                _ => return Err(self.unknown(node)),
            },
            ("Cast", [x]) => match whole("to") {
                FLOAT => x.to_kind(Kind::Float),
                INT32 | INT64 => x.to_kind(Kind::Int64),
                _ => return Err(self.unknown(node)),
            },
            ("Add", [x, y]) => x + y,
            ("Sub", [x, y]) => x - y,
            ("Mul", [x, y]) => x * y,
            ("Div", [x, y]) => x / y,
            ("Sigmoid", [x]) => x.sigmoid(),
            ("Selu", [x]) if node.attribute.is_empty() => x.selu(),
            ("Gemm", [x, weight, bias]) => {
                let one = |name: &str| attribute(name).is_none_or(|attribute| attribute.f == 1.0);
                if !one("alpha") || !one("beta") || whole("transA") != 0 || whole("transB") != 1 {
                    return Err(self.unknown(node));
                }
                x.linear(weight, Some(bias))
            }
            ("Shape", [x]) => Tensor::from_slice(&x.size()),
            ("ConstantOfShape", [shape]) => {
                let value = attribute("value").and_then(|attribute| attribute.t.as_ref());
                let value =
                    value.map_or_else(|| Ok(Tensor::from_slice(&[0.0_f32])), |value| tensor(value, &self.origin))?;
                let shape = Vec::<i64>::try_from(shape.to_kind(Kind::Int64)).map_err(|_| self.unknown(node))?;
                value.flatten(0, -1).select(0, 0).expand(&shape, false)
            }
            _ => return Err(self.unknown(node)),
        })
    }

    fn unknown(&self, node: &NodeProto) -> Error {
        let expected = "a network of the surrogate's operators";
        Error::invalid(&self.origin, expected, format!("{} of {} inputs", node.op_type, node.input.len()))
            .with_hint("is this the surrogate of NAS-Bench-301 that YAHPO Gym publishes?")
    }
}

/// The elements of `table` along an axis whose places are told; where one place is, the axis goes.
fn gather(table: &Tensor, places: &Tensor, axis: i64) -> Tensor {
    let places = places.to_kind(Kind::Int64);
    let mut shape = table.size();
    let at = usize::try_from(axis).unwrap_or(0).min(shape.len());
    let end = (at + 1).min(shape.len());
    shape.splice(at..end, places.size());
    table.index_select(axis, &places.flatten(0, -1)).view(shape.as_slice())
}

/// Its numbers in fp32 or as whole numbers.
fn tensor(proto: &TensorProto, origin: &str) -> Result<Tensor> {
    let wrong =
        |found: String| Error::invalid(format!("{origin}: tensor '{}'", proto.name), "numbers of its shape", found);
    let flat = match i64::from(proto.data_type) {
        FLOAT if proto.raw_data.is_empty() => Tensor::from_slice(&proto.float_data),
        FLOAT => numbers(&proto.raw_data, f32::from_le_bytes)
            .map(|numbers| Tensor::from_slice(&numbers))
            .ok_or_else(|| wrong("a broken number".to_owned()))?,
        INT64 if proto.raw_data.is_empty() => Tensor::from_slice(&proto.int64_data),
        INT64 => numbers(&proto.raw_data, i64::from_le_bytes)
            .map(|numbers| Tensor::from_slice(&numbers))
            .ok_or_else(|| wrong("a broken number".to_owned()))?,
        other => return Err(wrong(format!("elements of type {other}"))),
    };
    let length = proto.dims.iter().try_fold(1_i64, |product, side| product.checked_mul(*side).filter(|_| *side >= 0));
    if length != i64::try_from(flat.numel()).ok() {
        return Err(wrong(format!("{} numbers for a shape of {:?}", flat.numel(), proto.dims)));
    }
    Ok(flat.view(proto.dims.as_slice()).to_device(Device::Cpu))
}

fn numbers<const N: usize, T>(bytes: &[u8], of: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (whole, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| whole.iter().map(|bytes| of(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op_type: &str, input: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
        let input = input.iter().map(|name| (*name).to_owned()).collect();
        NodeProto { input, output: vec![output.to_owned()], op_type: op_type.to_owned(), attribute }
    }

    fn whole(name: &str, i: i64) -> AttributeProto {
        AttributeProto { name: name.to_owned(), i, ..AttributeProto::default() }
    }

    fn model(node: Vec<NodeProto>) -> Vec<u8> {
        let value = |name: &str| ValueProto { name: name.to_owned() };
        let weight = TensorProto {
            dims: vec![3, 2],
            data_type: 1,
            float_data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            name: "w".to_owned(),
            ..TensorProto::default()
        };
        let graph = GraphProto { node, initializer: vec![weight], input: vec![value("x")], output: vec![value("y")] };
        ModelProto { graph: Some(graph) }.encode_to_vec()
    }

    #[test]
    fn nodes_are_applied_in_their_order() {
        let nodes =
            vec![node("Gather", &["w", "x"], "g", vec![whole("axis", 0)]), node("Add", &["g", "g"], "y", vec![])];
        let graph = Graph::of_bytes(&model(nodes), "net.onnx").unwrap();
        let y = graph.run(&[("x", Tensor::from_slice(&[2_i64, 0]))]).unwrap();
        assert_eq!(Vec::<f32>::try_from(y.flatten(0, -1)).unwrap(), [8.0, 10.0, 0.0, 2.0]);
        assert_eq!(graph.inputs(), ["x"]);
    }

    #[test]
    fn what_can_t_be_computed_is_told() {
        let failed = |nodes| {
            let graph = Graph::of_bytes(&model(nodes), "net.onnx").unwrap();
            graph.run(&[("x", Tensor::from_slice(&[0_i64]))]).unwrap_err().to_string()
        };
        assert!(failed(vec![node("Conv", &["x", "w"], "y", vec![])]).contains("found Conv of 2 inputs"));
        assert!(failed(vec![node("Add", &["x", "z"], "y", vec![])]).contains("expected a tensor named 'z'"));
        assert_eq!(Graph::of_bytes(b"{\"a\": 1}", "net.onnx").err().unwrap().exit_code(), 2);
        assert_eq!(Graph::of_bytes(b"", "net.onnx").err().unwrap().exit_code(), 2);
    }
}
