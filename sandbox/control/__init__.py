"""The control side: what a test or a developer steers the sandbox with, under `/_control`."""
