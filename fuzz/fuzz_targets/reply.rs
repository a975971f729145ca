#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `reply`: its body is in the library.

gannet_fuzz::target!(reply);
