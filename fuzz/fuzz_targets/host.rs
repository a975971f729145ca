#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `host`: its body is in the library.

gannet_fuzz::target!(host);
