#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `reassembly`: its body is in the library.

gannet_fuzz::target!(reassembly);
