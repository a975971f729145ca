#![cfg_attr(fuzzing, no_main)]
//! The fuzz target `game_lcores`: its body is in the library.

gannet_fuzz::target!(game_lcores);
