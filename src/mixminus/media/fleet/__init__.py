"""The media workers as the control process sees them: which there are, what each is doing, and the ports they share."""
