"""`palaver serve`: the terminal UI in a browser on this machine, behind a token."""
