//! The panels: all of the page that is not the stage.

mod address;
mod app;
mod clients;
mod dead;
mod focus_panel;
mod help;
mod icons;
mod inspector;
mod keys;
mod ledger;
mod lesson;
mod lesson_text;
mod log;
mod message;
mod minimap;
mod parts;
mod places;
mod speech;
mod timeline;
mod top;
mod wish;
mod words;

pub(crate) use app::App;
