"""Sound, video and faces; no torch."""
