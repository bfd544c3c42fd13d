"""The pieces that screens are made of; they know no screen, app, store or session."""
