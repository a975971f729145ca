#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `arguments`: its body is in the library.

gannet_fuzz::target!(arguments);
