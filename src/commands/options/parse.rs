//! Words of the command line that are no plain numbers or texts.

use super::{AreaChoice, BatchChoice, DeviceChoice};
use crate::model::HandDesigned;
use crate::registry::{Choice, Registered};
use clap::builder::{PossibleValue, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use std::ffi::OsStr;
use std::ops::RangeBounds;

/// The greatest whole number that a configuration can hold.
const GREATEST: u64 = i64::MAX as u64;

/// More GPUs than any machine has.
const GREATEST_DEVICE: usize = 1023;

/// The hand-designed networks by their names.
pub fn hand_designed() -> impl TypedValueParser<Value = HandDesigned> {
    let names = PossibleValuesParser::new(HandDesigned::ALL.map(HandDesigned::name));
    names.map(|name| HandDesigned::named(&name).expect("one of the names above"))
}

/// Every whole number that a configuration can hold.
pub fn whole_number() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(..=GREATEST)
}

/// Whole numbers of this range that a configuration can hold.
pub fn count(range: impl RangeBounds<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(..=GREATEST).range(range)
}

/// All that can be chosen by name, with what it is.
pub fn known<T: Registered>(all: Vec<Choice<T>>, about: fn(&T) -> &'static str) -> PossibleValuesParser {
    all.into_iter().map(|one| PossibleValue::new(one.name()).help(about(&one))).into()
}

/// `auto`, or a whole number.
#[derive(Debug, Clone)]
pub(super) struct BatchParser;

impl TypedValueParser for BatchParser {
    type Value = BatchChoice;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<BatchChoice, clap::Error> {
        if value == "auto" {
            return Ok(BatchChoice::Auto);
        }
        count(..).parse_ref(command, argument, value).map(BatchChoice::Of)
    }
}

pub(super) fn device(typed: &str) -> Result<DeviceChoice, String> {
    match typed.split_once(':') {
        None if typed == "auto" => Ok(DeviceChoice::Auto),
        None if typed == "cpu" => Ok(DeviceChoice::Cpu),
        None if typed == "cuda" => Ok(DeviceChoice::Cuda(0)),
        Some(("cuda", index)) => match index.parse() {
            Ok(index) if index <= GREATEST_DEVICE => Ok(DeviceChoice::Cuda(index)),
            _ => Err(format!("cuda:N takes a number of 0 to {GREATEST_DEVICE}")),
        },
        _ => Err("expected auto, cpu, cuda or cuda:N".to_owned()),
    }
}

pub(super) fn area(typed: &str) -> Result<AreaChoice, String> {
    match typed.parse() {
        Ok(area @ 1..=6) => Ok(AreaChoice::One(area)),
        _ if typed == "all" => Ok(AreaChoice::All),
        _ => Err("expected 1, 2, 3, 4, 5, 6 or all".to_owned()),
    }
}
