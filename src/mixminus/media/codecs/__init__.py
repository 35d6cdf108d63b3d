"""Payloads to samples and back, a file per codec."""
