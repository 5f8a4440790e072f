//! Pluggable components: other processes, reached over Unix sockets.
