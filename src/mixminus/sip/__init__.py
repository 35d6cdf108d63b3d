"""SIP (RFC 3261): bytes in, events and bytes out; one socket shell in endpoint."""
