//! Components, through the whole host.

mod bodies;
mod ends;
mod guest;
mod kinds;
mod measure;
mod reach;
mod rust;
