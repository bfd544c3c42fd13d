"""The fixtures of Palaver's test kit: a scripted model, an empty history, and no network."""

pytest_plugins = ["palaver.testing.fixtures"]
