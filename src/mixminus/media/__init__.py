"""The media engine: every call of a worker in one vectorised pass per 20 ms tick."""
