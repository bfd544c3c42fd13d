"""Screens of plugins in processes of their own: what one draws is shown here, what is typed here goes there."""
