"""The screens of plugins that run in processes of their own, by name; what is said of one that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver.errors import PluginFailed

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    from palaver.session import Session
    from palaver_tui.places import Place
    from palaver_tui.screens.hosted import HostedScreen


class Hosted:
    """Those that were opened and have not ended."""

    def __init__(self) -> None:
        self._open: dict[str, HostedScreen] = {}

    def screen(self, place: Place, session: Session, app: App[None]) -> HostedScreen | None:
        """The screen of a place, made at the first visit and when its files have changed; None for one of this process.

        Raises:
            PluginFailed: its plugin is set aside.
        """
        from palaver.plugins.failures import read_failures, why_aside
        from palaver.plugins.found import stamp
        from palaver.plugins.remote_things import RemoteScreen
        from palaver_tui.screens.hosted import HostedScreen

        kind = place.kind
        before = self._open.get(place.name)
        if not isinstance(kind, RemoteScreen):
            return None
        if before is not None and (before.link is None or before.link.stamp == stamp(kind.found)):
            return before
        if before is not None:
            self._forget(before, app)
        if reason := why_aside(kind.found.name, read_failures()):
            raise PluginFailed(f"the plugin {kind.found.name} {reason}")
        made = self._open[place.name] = HostedScreen(kind.found, place.name, session.store.path)
        return made

    def shown(self, screen: Screen[object]) -> HostedScreen | None:
        """This screen, where it is one of these."""
        return next((one for one in self._open.values() if one is screen), None)

    def ended(self, screen: HostedScreen, reason: str) -> str:
        """Count it, and what the user hears; nothing of one that closed itself."""
        from palaver.plugins.failures import add_failure, clear_failures, read_failures, why_aside

        if self._open.get(screen.shown) is screen:
            del self._open[screen.shown]
        plugin = screen.found.name
        if not reason:
            clear_failures(plugin, f"screen {screen.shown}")
            return ""
        add_failure(plugin, f"screen {screen.shown}", reason)
        said = f"the screen {screen.shown} broke and was closed: {reason.rstrip('.')}. The conversation is as it was"
        if aside := why_aside(plugin, read_failures()):
            return f"{said}; its plugin {aside}"
        return f"{said}; go there again to try anew, or switch it off: palaver plugins disable {plugin}"

    def _forget(self, screen: HostedScreen, app: App[None]) -> None:
        """Of files that have changed meanwhile: it is made anew."""
        screen.close()
        del self._open[screen.shown]
        while screen in app.screen_stack and len(app.screen_stack) > 1:
            app.pop_screen()
        if app.is_screen_installed(screen.shown):
            app.uninstall_screen(screen)
        if screen.is_attached:
            screen.remove()
