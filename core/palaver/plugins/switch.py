"""Switch plugins off and on: one list in the settings file, the rest of which stays as the user wrote it."""

from __future__ import annotations

import json
import re
import tomllib

from palaver.config import read_settings
from palaver.errors import UsageError
from palaver.paths import config_file, private_dir

_LIST = re.compile(r"^plugins_off[ \t]*=[ \t]*\[[^\]]*\][ \t]*(?:#[^\n]*)?\n?", re.MULTILINE)


def switch(name: str, *, is_on: bool) -> bool:
    """Take `name` out of the settings' `plugins_off`, or put it in; False if it was so already.

    Raises:
        UsageError: the settings cannot be read, or are written in a way that only a person can edit.
    """
    off = read_settings().plugins_off
    if (name not in off) == is_on:
        return False
    wanted = [one for one in off if one != name] + ([] if is_on else [name])
    path = config_file()
    text = path.read_text("utf-8") if path.exists() else ""
    edited = _with_list(text, wanted)
    expected = {**tomllib.loads(text), "plugins_off": wanted}
    if not wanted:
        del expected["plugins_off"]
    try:
        is_right = tomllib.loads(edited) == expected
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        line = f"plugins_off = {json.dumps(wanted)}"
        raise UsageError(f"The list 'plugins_off' in {path} cannot be edited safely.", fix=f"write there: {line}")
    private_dir(path.parent)
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(edited, "utf-8")
    draft.replace(path)
    return True


def _with_list(text: str, names: list[str]) -> str:
    # JSON's strings are TOML's basic strings.
    line = f"plugins_off = {json.dumps(names, ensure_ascii=False)}\n" if names else ""
    if _LIST.search(text):
        return _LIST.sub(lambda match: line, text, count=1)
    return line + text  # above the first table, where it belongs to none
