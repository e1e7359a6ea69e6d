//! What only MySQL and MariaDB do.

fn main() {}
