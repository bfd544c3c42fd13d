"""Say a text in another language."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from palaver import Example, Request, Task, guess_language

# ISO 639-1 codes that people type; the metric chooses its tokenizer by them.
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ka": "Georgian", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_BY_NAME = {name.casefold(): code for code, name in LANGUAGES.items()}


def language_code(text: str) -> str:
    """The ISO 639-1 code that a code or an English name means.

    Raises:
        ValueError: neither is known.
    """
    wanted = text.strip().casefold()
    code = wanted if wanted in LANGUAGES else _BY_NAME.get(wanted, "")
    if not code:
        raise ValueError(f"'{text}' is no language known here; a code or a name, as in: /translate fr Good morning")
    return code


@dataclass(frozen=True)
class Translate(Task):
    """Translate a text or a file."""

    name = "translate"
    metrics = ("bleu", "chrf", "ter")
    arguments = ("target",)
    baseline = "copy"
    target: str
    """Language to translate into: `fr`, `German`."""
    source: str = field(default="", metadata={"aliases": ("from",)})
    """Language of the text. Without it, it is guessed for choosing a model of that pair."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", language_code(self.target))
        if self.source:
            object.__setattr__(self, "source", language_code(self.source))

    def prepare(self, example: Example) -> Example:
        if known := self.source or example.source_language:
            return replace(example, language=self.target, source_language=known)
        found = guess_language(example.inputs.get("text", ""))
        metadata = {**example.metadata, "guessed": "source_language"} if found else example.metadata
        return replace(example, language=self.target, source_language=found, metadata=metadata)

    def request(self, example: Example) -> Request:
        origin = f" from {LANGUAGES[self.source]}" if self.source else ""
        return self.ask(
            f"Translate the text{origin} into {LANGUAGES[self.target]}. Answer with the translation only.",
            example["text"],
            example=example,
        )
