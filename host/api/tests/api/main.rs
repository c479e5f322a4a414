//! The API as a caller sees it: the real router, the real SQLite store and the real vault. Only the
//! edges that need WebAssembly are small stand-ins, see `edges`.

mod access;
mod audit;
mod callbacks;
mod connections;
mod cross_tenant;
mod docs;
mod edges;
mod harness;
mod health;
mod letters;
mod logged;
mod oidc;
mod plugins;
mod problems;
mod quotas;
mod repairs;
mod runs;
mod tokens;
mod workflows;
