#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `arp_ndp`: its body is in the library.

gannet_fuzz::target!(arp_ndp);
