"""One screen a file; a screen is handed the session and posts messages up."""
