"""From packets to an even stream of samples, whatever the network did to them."""
