"""A multiparty call: its state machine, and what carries out its decisions."""
