"""What draws in the browser: Textual's own driver, which here ends the app when the server has gone."""

from __future__ import annotations

from textual.drivers.web_driver import WebDriver


class PageDriver(WebDriver):
    """Ends with its input: a server that was killed leaves no app behind."""

    def run_input_thread(self) -> None:
        """Read until the server closes the pipe."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.call_later(self._app.exit, None, 0)
