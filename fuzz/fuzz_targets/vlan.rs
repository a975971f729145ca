#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `vlan`: its body is in the library.

gannet_fuzz::target!(vlan);
