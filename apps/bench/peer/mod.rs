//! The peers: programs of others that do what we do.

pub(crate) mod testpmd;
