#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `options`: its body is in the library.

gannet_fuzz::target!(options);
