"""The chat as lines, for screen readers and for terminals that only print: no screen, no cursor, no redrawing."""
