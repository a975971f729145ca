#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `parse`: its body is in the library.

gannet_fuzz::target!(parse);
