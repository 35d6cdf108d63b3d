"""What a multiparty call is: commands, events, state machines, and the one door to change them."""
