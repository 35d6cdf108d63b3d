"""What is done to the sound of legs, heard in it, or made: gain, noise, keys, tones, prompts."""
