"""From spool to verified file: journal first, announced last."""
