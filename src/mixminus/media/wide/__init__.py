"""Legs of G.722 and Opus, and mixing above 8 kHz."""
