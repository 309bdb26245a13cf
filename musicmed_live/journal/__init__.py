"""What happened in the sessions: written as it happens, read again, told on one page, and forgotten."""
