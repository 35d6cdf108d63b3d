"""The server in virtual time: one process, one thread, a clock that moves only when told to."""
