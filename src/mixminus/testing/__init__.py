"""Virtual phones, sound sources, ears and callback sinks, for this project's tests and its users'."""
