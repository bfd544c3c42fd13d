"""The ledger look: a quiet page where the numbers carry the ink, dark and light; and in the terminal's own colours."""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

DARK = Theme(
    name="ledger-dark",
    dark=True,
    primary="#62b6a5",
    secondary="#74aee6",
    accent="#62b6a5",
    foreground="#d8d5ce",
    background="#15161a",
    surface="#15161a",
    panel="#15161a",
    boost="#1c1e23",
    warning="#e39a5f",
    error="#e5786d",
    success="#74aee6",
    variables={"muted": "#928f88", "better": "#74aee6", "worse": "#e39a5f", "hairline": "#33363d"},
)
LIGHT = Theme(
    name="ledger-light",
    dark=False,
    primary="#1c6f60",
    secondary="#1d5f9e",
    accent="#1c6f60",
    foreground="#25262b",
    background="#faf9f6",
    surface="#faf9f6",
    panel="#faf9f6",
    boost="#f1efe9",
    warning="#9a4a12",
    error="#b3362b",
    success="#1d5f9e",
    variables={"muted": "#66635d", "better": "#1d5f9e", "worse": "#9a4a12", "hairline": "#c9c6be"},
)
_ANSI = {"muted": "ansi_bright_black", "better": "ansi_blue", "worse": "ansi_yellow", "hairline": "ansi_bright_black"}
ANSI_DARK = Theme(
    name="ledger-ansi-dark",
    dark=True,
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_blue",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_blue",
    variables={**BUILTIN_THEMES["ansi-dark"].variables, **_ANSI, "muted": "ansi_white"},
)
ANSI_LIGHT = Theme(
    name="ledger-ansi-light",
    dark=False,
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_blue",
    accent="ansi_blue",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    warning="ansi_red",
    error="ansi_red",
    success="ansi_blue",
    variables={**BUILTIN_THEMES["ansi-light"].variables, **_ANSI, "worse": "ansi_red"},
)
"""The terminal's own sixteen colours; how readable they are is the terminal's word."""
THEMES = (DARK, LIGHT)
ANSI_THEMES = (ANSI_DARK, ANSI_LIGHT)
VARIABLES = {"muted": "#8c8c8c", "better": "#3b8eea", "worse": "#d18616", "hairline": "#6a6a6a"}
"""The ledger's own colours, for the themes that do not know them."""
