#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `pcap`: its body is in the library.

gannet_fuzz::target!(pcap);
