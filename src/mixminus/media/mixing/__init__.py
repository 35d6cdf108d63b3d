"""Who hears whom, and the sums that they hear."""
