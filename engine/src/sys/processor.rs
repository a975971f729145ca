//! The processor: whether it has the instructions that this build was made with.

/// An instruction set of x86-64-v2 that a processor may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Feature {
    name: &'static str,
    /// Its bit in what CPUID leaf 1 gives in ECX (AMD64 manual, volume 3, appendix E).
    bit: u32,
    is_built_in: bool,
}

const fn feature(name: &'static str, bit: u32, is_built_in: bool) -> Feature {
    Feature { name, bit, is_built_in }
}

/// Those that tell x86-64-v2 from the first processors.
const FEATURES: [Feature; 6] = [
    feature("sse3", 0, cfg!(target_feature = "sse3")),
    feature("ssse3", 9, cfg!(target_feature = "ssse3")),
    feature("cmpxchg16b", 13, cfg!(target_feature = "cmpxchg16b")),
    feature("sse4.1", 19, cfg!(target_feature = "sse4.1")),
    feature("sse4.2", 20, cfg!(target_feature = "sse4.2")),
    feature("popcnt", 23, cfg!(target_feature = "popcnt")),
];

/// The processor is older than those that the program was built for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this processor has no {}, which the program was built with: run it on one of x86-64-v2 (2009 and \
     later), or build it for this one with RUSTFLAGS='-C target-cpu=native'",
    missing.join(", ")
)]
pub struct ProcessorTooOld {
    missing: Vec<&'static str>,
}

/// Whether the processor has the instructions that this build was made with. To be called first
/// of all: on one that lacks them the program would be killed (SIGILL) sooner or later.
///
/// # Errors
/// [`ProcessorTooOld`].
pub fn check_processor() -> Result<(), ProcessorTooOld> {
    // The standard library's detection takes what a build has for granted, so it is asked itself.
    #[cfg(target_arch = "x86_64")]
    return judge(std::arch::x86_64::__cpuid(1).ecx);
    #[cfg(not(target_arch = "x86_64"))]
    Ok(())
}

#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "others have no levels"))]
fn judge(ecx: u32) -> Result<(), ProcessorTooOld> {
    let is_missing = |feature: &&Feature| feature.is_built_in && ecx >> feature.bit & 1 == 0;
    let missing: Vec<_> = FEATURES.iter().filter(is_missing).map(|feature| feature.name).collect();
    if missing.is_empty() { Ok(()) } else { Err(ProcessorTooOld { missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_processor_will_do() {
        assert_eq!(check_processor(), Ok(()));
    }

    #[test]
    fn what_the_build_has_and_the_processor_lacks_is_named() {
        let built_in: Vec<_> = FEATURES.iter().filter(|f| f.is_built_in).map(|f| f.name).collect();
        match judge(0) {
            Ok(()) => assert!(built_in.is_empty(), "the build is for any processor"),
            Err(error) => {
                assert_eq!(error.missing, built_in);
                assert!(error.to_string().contains("x86-64-v2"), "{error}");
            }
        }
    }
}
