#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `icmp`: its body is in the library.

gannet_fuzz::target!(icmp);
