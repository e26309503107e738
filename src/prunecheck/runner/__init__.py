"""Runs studies: executes a plan, makes interim analyses, adds seeds where a verdict is open, writes the results."""
