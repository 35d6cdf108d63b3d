"""Many ticks in one pass, for virtual time."""
