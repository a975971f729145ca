#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `game_world`: its body is in the library.

gannet_fuzz::target!(game_world);
