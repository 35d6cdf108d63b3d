"""Prompts, music and announcements in rooms: what is to be heard, and the players that see it through."""
