"""A call leg: its state machine, and what carries out its decisions."""
