//! Taking files out of archives, none of which is trusted.

mod member;
pub mod tarball;
pub mod unzip;
