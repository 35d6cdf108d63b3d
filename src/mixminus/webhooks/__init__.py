"""Events to the vendor's callback fields, and their delivery in order."""
