"""The Plugins screen: what is installed, what it adds, how it is doing; it changes things by the commands it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding

from palaver.config import read_settings
from palaver.errors import PalaverError
from palaver.plugins import Plugin, look
from palaver.session import Session
from palaver.terminal import safe_line
from palaver_tui.entries import PaletteCommand
from palaver_tui.screens.plugins_words import HINTS, KEYS, LAYOUTS, TRUST, about, entry
from palaver_tui.screens.shelf import Entry, ShelfScreen
from palaver_tui.widgets.sheet import Sheet

LONGEST = 300
"""Cells that are shown of what a command has said."""


class PluginsScreen(ShelfScreen):
    """Every plugin, in the words of `palaver plugins`."""

    BINDINGS: ClassVar = [
        Binding("i", "install", "install", show=False, id="plugins.install"),
        Binding("space", "switch", "on, off", show=False, id="plugins.switch"),
        Binding("p", "update", "update", show=False, id="plugins.update"),
        Binding("d", "remove", "remove", show=False, id="plugins.remove"),
        Binding("t", "test", "self-test", show=False, id="plugins.test"),
    ]
    NAME: ClassVar = "Plugins"
    HELP_KEYS: ClassVar = KEYS
    LAYOUTS: ClassVar = LAYOUTS
    HINTS: ClassVar = HINTS
    TOLD_IN: ClassVar = ("health",)
    NOTHING: ClassVar = "No plugin is installed, not even those that come with Palaver: palaver doctor"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._plugins: dict[str, Plugin] = {}
        self._checks: dict[str, str] = {}
        """What the self-test of this window said."""
        self._to_remove = ""
        self._commands: set[subprocess.Popen[str]] = set()

    def read(self) -> tuple[str, Sequence[Entry]]:
        running = {(one.found.name, one.found.version): one for one in self.session.registry.plugins}
        found = look(off=read_settings().plugins_off)
        self._plugins = {one.found.name: _lived(one, running.get((one.found.name, one.found.version))) for one in found}
        plugins = sorted(self._plugins.values(), key=lambda one: one.health not in ("broken", "quarantined"))
        wrong = sum(one.health in ("broken", "quarantined") for one in plugins)
        state = f"{len(plugins)} installed" + (f" · {wrong} with a problem" if wrong else "")
        return state, [entry(one, self._checks.get(one.found.name, "")) for one in plugins]

    def describe(self, name: str) -> Sheet:
        return about(self._plugins[name], self._checks.get(name, ""))

    def use(self, name: str) -> None:
        """All about it."""
        self.action_open_detail()

    def action_install(self) -> None:
        """Ask what to install."""
        self.ask("install", f"a package, file or folder. {TRUST}", self._install)

    def _install(self, spec: str) -> None:
        if spec:
            self._run("", f"palaver plugins install {spec}: pip looks what it would change…", "install", "--", spec)

    def action_switch(self) -> None:
        """Use the plugin under the cursor no more, or again."""
        if (current := self.current) is not None:
            is_off = self._plugins[current.name].health in ("off", "quarantined")
            self._run(current.name, "…", "enable" if is_off else "disable", current.name)

    def action_update(self) -> None:
        """Install the newest version of the plugin under the cursor."""
        if (current := self.current) is not None:
            self._run(current.name, "updating…", "update", current.name)

    def action_remove(self) -> None:
        """At the second press uninstall the package of the plugin under the cursor."""
        if (current := self.current) is None:
            return
        if self._to_remove != current.name:
            self._to_remove = current.name
            package = self._plugins[current.name].found.distribution
            self.say(f"d again uninstalls {package}; what it wrote into history stays")
        else:
            self._to_remove = ""
            self._run(current.name, "removing…", "remove", current.name)

    def action_test(self) -> None:
        """Check the plugin under the cursor against the contract."""
        if (current := self.current) is not None:
            self.do(current.name, "checking…", partial(self._test, current.name))

    def _test(self, name: str) -> str:
        done = self._command("check", name, "--no-packaging", "--json")
        try:
            checks = [check for one in json.loads(done.stdout)["plugins"] for check in one["checks"]]
        except (ValueError, KeyError):
            raise _refusal(done) from None
        failed = [one for one in checks if one["status"] == "failed"]
        passed = sum(one["status"] == "passed" for one in checks)
        self._checks[name] = f"{passed} of {passed + len(failed)} checks"
        if not failed:
            return f"{name}: {self._checks[name]}"
        first = failed[0]
        raise PalaverError(
            f"{name}: {self._checks[name]}. {first['group']}, {first['subject']}: {first['message']}",
            fix=f"palaver plugins check {name}",
        )

    def _run(self, name: str, text: str, *arguments: str) -> None:
        self.do(name, text, partial(self._ran, arguments))

    def _ran(self, arguments: Sequence[str]) -> str:
        done = self._command(*arguments)
        if done.returncode:
            raise _refusal(done)
        said = " · ".join((done.stdout + done.stderr).splitlines())
        return safe_line(said, LONGEST) + " · this window goes on with what it has loaded"

    def _command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the command line would say; so both do the same, and whatever pip does stays out of this process."""
        command = [sys.executable, "-m", "palaver", "plugins", *arguments]
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", errors="replace", env=environment,
        ) as process:  # fmt: skip
            self._commands.add(process)
            try:
                out, err = process.communicate()
            finally:
                self._commands.discard(process)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def on_unmount(self) -> None:
        for process in list(self._commands):
            process.terminate()

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """The keys, by name."""
        yield PaletteCommand("plugins: install", "a package, file or folder", self.action_install)
        yield PaletteCommand("plugins: on or off", "the one under the cursor", self.action_switch)
        yield PaletteCommand("plugins: update", "the one under the cursor", self.action_update)
        yield PaletteCommand("plugins: remove", "the one under the cursor", self.action_remove)
        yield PaletteCommand("plugins: self-test", "check it against the contract", self.action_test)
        yield from super().palette_commands()


def _lived(plugin: Plugin, running: Plugin | None) -> Plugin:
    """How it is doing in this process, where it is used in it and nothing has been decided since."""
    if running is None or running.health not in ("ok", "broken") or plugin.health not in ("unloaded", "broken"):
        return plugin
    return running


def _refusal(done: subprocess.CompletedProcess[str]) -> PalaverError:
    """The error that a command has told."""
    lines = done.stderr.splitlines() or ["It said nothing."]
    message = next((line for line in lines if line.startswith("palaver: ")), lines[-1]).removeprefix("palaver: ")
    fix = next((line for line in lines if line.startswith("fix: ")), "").removeprefix("fix: ")
    return PalaverError(message, fix=fix)
