"""``<Conference>`` and the Conference resource: rooms by name on the same engine. A pure machine and its shell."""
