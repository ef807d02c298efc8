//! Which GPUs a libtorch has kernels for, as its CUDA part tells it: the flags by which it was compiled.
//!
//! `-gencode;arch=compute_75,code=sm_75` made machine code for compute capability 7.5; it also runs on later ones of
//! the same generation (7.x). `code=compute_90` is PTX, from which the driver makes machine code for every later GPU.

use std::fmt;

use super::machine::{Capability, cuda_config};

/// What one flag made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    /// Machine code of a generation, from a variant on.
    From(Capability),
    /// Machine code of this GPU alone (`sm_90a`).
    Only(Capability),
    /// PTX, for this GPU and all later ones.
    Ptx(Capability),
}

impl Code {
    /// `sm_75`, `sm_90a`, `sm_100f`, `compute_120`.
    fn parse(word: &str) -> Option<Self> {
        let (kind, number) = word.split_once('_')?;
        let digits = number.trim_end_matches(['a', 'f']);
        let number_of_both: i32 = digits.parse().ok()?;
        let capability = Capability { major: number_of_both / 10, minor: number_of_both % 10 };
        match (kind, number.ends_with('a')) {
            ("sm", true) => Some(Self::Only(capability)),
            ("sm", false) => Some(Self::From(capability)),
            ("compute", false) => Some(Self::Ptx(capability)),
            _ => None,
        }
    }

    fn runs_on(self, gpu: Capability) -> bool {
        match self {
            Self::From(least) => gpu.major == least.major && gpu >= least,
            Self::Only(one) => gpu == one,
            Self::Ptx(least) => gpu >= least,
        }
    }

    fn capability(self) -> Capability {
        match self {
            Self::From(capability) | Self::Only(capability) | Self::Ptx(capability) => capability,
        }
    }
}

/// The GPUs that a libtorch serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architectures(Vec<Code>);

impl Architectures {
    /// From what libtorch's CUDA part tells about its build; `None` where it does not say.
    pub fn parse(config: &str) -> Option<Self> {
        let flags = config.split("code=").skip(1);
        let words = flags.flat_map(|flag| {
            let end = flag.find([';', ' ', '\n']).unwrap_or(flag.len());
            flag[..end].split(['[', ']', ',', '"', '\''])
        });
        let mut codes: Vec<Code> = words.filter_map(Code::parse).collect();
        codes.sort_by_key(|code| (code.capability(), *code));
        codes.dedup();
        (!codes.is_empty()).then_some(Self(codes))
    }

    /// True where there are kernels for this GPU.
    pub fn serve(&self, gpu: Capability) -> bool {
        self.0.iter().any(|code| code.runs_on(gpu))
    }

    /// The first GPU that is served.
    pub fn least(&self) -> Capability {
        self.0[0].capability()
    }
}

/// `7.5, 8.0, 9.0 and newer`.
impl fmt::Display for Architectures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, code) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match code {
                Code::From(capability) => write!(f, "{comma}{capability}")?,
                Code::Only(capability) => write!(f, "{comma}{capability} (exactly)")?,
                Code::Ptx(capability) => write!(f, "{comma}{capability} and newer")?,
            }
        }
        Ok(())
    }
}

/// CUDA's version that a libtorch was built with, from what its CUDA part tells: `13.0`.
pub fn cuda_version(config: &str) -> Option<String> {
    // Where the library of another version is loaded, a second line names that of the build.
    let before = ["Built with CUDA Runtime ", "CUDA Runtime "];
    let (_, rest) = before.iter().find_map(|before| config.split_once(before))?;
    Some(rest.lines().next()?.trim().to_owned())
}

/// What the CUDA part that is loaded serves; `None` where there is none, or where it does not say.
pub fn served() -> Option<Architectures> {
    Architectures::parse(&cuda_config().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of the wheel torch 2.11.0 of PyPI, read from its libtorch_cuda.so.
    const CUDA_13: &str = "  - CUDA Runtime 13.0\n  - NVCC architecture flags: -gencode;arch=compute_75,code=sm_75;\
                           -gencode;arch=compute_80,code=sm_80;-gencode;arch=compute_86,code=sm_86;\
                           -gencode;arch=compute_90,code=sm_90;-gencode;arch=compute_100,code=sm_100;\
                           -gencode;arch=compute_120,code=sm_120\n  - CuDNN 91.9\n";

    fn gpu(major: i32, minor: i32) -> Capability {
        Capability { major, minor }
    }

    #[test]
    fn libtorch_for_cuda_13_serves_turing_and_later_and_no_volta() {
        let served = Architectures::parse(CUDA_13).unwrap();
        assert_eq!(served.to_string(), "7.5, 8.0, 8.6, 9.0, 10.0, 12.0");
        assert_eq!(served.least(), gpu(7, 5));
        for (major, minor, expected) in [
            (6, 1, false),
            (7, 0, false),
            (7, 5, true),
            (8, 0, true),
            (8, 9, true),
            (9, 0, true),
            (10, 3, true),
            (11, 0, false),
            (12, 1, true),
            (13, 0, false),
        ] {
            assert_eq!(served.serve(gpu(major, minor)), expected, "{major}.{minor}");
        }
        assert_eq!(cuda_version(CUDA_13).as_deref(), Some("13.0"));
    }

    #[test]
    fn code_for_one_gpu_and_for_all_later_ones() {
        let flags = "-gencode;arch=compute_90a,code=sm_90a -gencode=arch=compute_120,code=[sm_120,compute_120]\n";
        let served = Architectures::parse(flags).unwrap();
        assert_eq!(served.to_string(), "9.0 (exactly), 12.0, 12.0 and newer");
        assert!(served.serve(gpu(9, 0)) && served.serve(gpu(13, 0)) && !served.serve(gpu(10, 0)));
    }

    #[test]
    fn a_build_that_does_not_say_is_not_judged() {
        assert_eq!(Architectures::parse("CUDA part of a stand-in"), None);
        assert_eq!(cuda_version("CUDA part of a stand-in"), None);
        let both = "  - CUDA Runtime 13.1\n  - Built with CUDA Runtime 13.0\n";
        assert_eq!(cuda_version(both).as_deref(), Some("13.0"));
    }
}
