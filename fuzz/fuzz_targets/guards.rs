#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `guards`: its body is in the library.

gannet_fuzz::target!(guards);
