"""The one way out over HTTP: time limits, size caps, address checks, request signing."""
