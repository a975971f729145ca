//! Which instructions frames are judged with, and long inputs summed.

use std::env;
use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::alike::avx512;

/// The environment variable that names a kernel for all of the process, to compare them. It is
/// read once.
pub const KERNEL_VARIABLE: &str = "GANNET_KERNEL";

/// Which vector instructions are used. A value names a kernel that runs on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For frames alike. Others are judged as with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Ssse3,
    Portable,
}

/// The environment names a kernel that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{KERNEL_VARIABLE} is '{named}', and this processor runs {}: name one of them, or unset the variable",
    Names(available)
)]
pub struct NoSuchKernel {
    named: String,
    available: Vec<Kernel>,
}

struct Names<'a>(&'a [Kernel]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|kernel| kernel.name()).collect();
        f.write_str(&names.join(", "))
    }
}

impl Kernel {
    /// The kernels that run on this processor, the best first.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let has_avx2 = is_x86_feature_detected!("avx2");
        #[cfg(target_arch = "x86_64")]
        let vectors = [
            (has_avx2 && avx512::is_there()).then_some(Kind::Avx512),
            has_avx2.then_some(Kind::Avx2),
            is_x86_feature_detected!("ssse3").then_some(Kind::Ssse3),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [None; 0];
        vectors.into_iter().flatten().chain([Kind::Portable]).map(Self).collect()
    }

    /// The one that is used: what the environment names, else the fastest on this processor. What
    /// the environment names wrongly is for the program to tell, from [`chosen`](Self::chosen).
    #[inline]
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::chosen().unwrap_or_else(|_| Self::fastest()))
    }

    /// What [`KERNEL_VARIABLE`] names, or the fastest if it is not set.
    ///
    /// # Errors
    /// [`NoSuchKernel`].
    pub fn chosen() -> Result<Self, NoSuchKernel> {
        env::var_os(KERNEL_VARIABLE).map_or(Ok(Self::fastest()), |name| Self::named(&name.to_string_lossy()))
    }

    /// The kernel of that name, if it runs on this processor.
    ///
    /// # Errors
    /// [`NoSuchKernel`].
    pub fn named(name: &str) -> Result<Self, NoSuchKernel> {
        let available = Self::available();
        let found = available.iter().copied().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| NoSuchKernel { named: name.to_owned(), available })
    }

    fn fastest() -> Self {
        Self::available().first().copied().unwrap_or(Self(Kind::Portable))
    }

    /// Whether it may use AVX2, which the processor then has.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn has_avx2(self) -> bool {
        matches!(self.0, Kind::Avx512 | Kind::Avx2)
    }

    /// Whether it turns frames alike, eight at once; else the judge looks at all.
    #[cfg(test)]
    pub(super) fn turns_alike(self) -> bool {
        self.name() != "portable"
    }

    /// `avx512`, `avx2`, `ssse3` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3 => "ssse3",
            Kind::Portable => "portable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_known_by_their_names() {
        for kernel in Kernel::available() {
            assert_eq!(Kernel::named(kernel.name()), Ok(kernel));
        }
        assert!(Kernel::available().contains(&Kernel::best()));
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_that_are() {
        let error = Kernel::named("mmx").expect_err("no kernel").to_string();
        assert!(error.starts_with("GANNET_KERNEL is 'mmx', and"), "{error}");
        assert!(error.contains("portable: name one of them"), "{error}");
    }
}
