#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `outbox`: its body is in the library.

gannet_fuzz::target!(outbox);
