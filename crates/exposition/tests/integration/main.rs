//! The server over real sockets, spoken to byte by byte.

mod auth;
mod certificates;
mod client;
mod endpoints;
mod exporter;
mod lifecycle;
mod limits;
mod live;
mod reload;
mod tls;
