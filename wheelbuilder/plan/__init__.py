"""What to do about each pin: upstream has it, the mirror has it, build it, or it cannot be had."""
