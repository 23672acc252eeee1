#![no_std]
//! The broker.
