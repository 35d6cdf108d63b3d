"""RTP and RTCP wire formats (RFC 3550) as values and as arrays; pure."""
