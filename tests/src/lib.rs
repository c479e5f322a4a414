//! The stand-ins of SaaS systems, and what the tests share.
