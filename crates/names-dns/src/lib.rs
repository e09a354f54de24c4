//! DNS: an authority, a forwarder and a client.
