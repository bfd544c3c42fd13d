"""Guess the language of a text from its script and its commonest words; no more than a hint for choosing a model."""

from __future__ import annotations

import re
from functools import lru_cache

_SCRIPTS = (
    ("ja", "\u3040-\u30ff"), ("ko", "\uac00-\ud7af\u1100-\u11ff"), ("zh", "\u4e00-\u9fff\u3400-\u4dbf"),
    ("el", "\u0370-\u03ff"), ("he", "\u0590-\u05ff"), ("th", "\u0e00-\u0e7f"), ("ka", "\u10a0-\u10ff"),
    ("hi", "\u0900-\u097f"), ("bn", "\u0980-\u09ff"), ("ta", "\u0b80-\u0bff"), ("te", "\u0c00-\u0c7f"),
    ("ar", "\u0600-\u06ff"), ("ru", "\u0400-\u04ff"),
)  # fmt: skip
"""Scripts that one language of ours, or one above all, is written in; kana before Han, which Japanese has too."""

_LETTERS = {"ru": (("uk", "іїєґ"), ("sr", "ђћџљњј")), "ar": (("fa", "پچژگ"), ("ur", "ٹڈڑے"))}
"""Letters that tell another language of the same script."""

_WORDS = {
    "en": "the of and to in is that it for was on are with as be at this have from or by not but what all were when "
    "you your we can there which their has had will would i me my he she they his her how who where do a an "
    "been more about into then than very just time people man woman some one two out up good morning hello",
    "fr": "le la les des du de et est un une que qui dans pour pas sur avec ce cette au aux il elle nous vous je ne "
    "se l d deux homme femme sont par plus mais ou où son sa ses leur été être ont avait c'est bonjour merci",
    "de": "der die das und ist ein eine nicht mit den dem zu von im am auf für auch sich es ich du wir sie er war "
    "wird zwei mann frau haben hat sind als bei aus nach noch oder wie einen einem einer guten morgen",
    "es": "el la los las de y que en un una es por con para no se del al lo como más su sus pero fue son está este "
    "esta hay muy yo usted ella ellos nos buenos días hola",
    "it": "il lo la gli le di e che un una è per non con del della dei delle nel nella sono si da al come più ma "
    "anche questo questa ha hanno era io tu lui lei noi buongiorno ciao",
    "pt": "o a os as de e que um uma é para não com do da dos das em no na por se mais como mas foi são ao seu sua "
    "ele ela você nós isso este esta está à homem mulher dois duas bom dia olá",
    "nl": "de het een en van is dat in te op met voor niet zijn er aan die ook was om als bij maar naar uit ik je "
    "hij zij wij wordt heeft hebben nog goedemorgen",
    "sv": "och att det som en på är av för med den till inte om ett har jag men var sig så från vi du kan när nu han "
    "hon de skulle god morgon",
    "da": "og at det som en på er af for med den til ikke om et har jeg men var sig så fra vi du kan når nu han hun "
    "de der blev efter eller godmorgen",
    "no": "og at det som en på er av for med den til ikke om et har jeg men var seg så fra vi du kan når nå han hun "
    "de etter eller ble også",
    "pl": "i w na z do nie się to jest że o jak ale po co tak za od jego jej być są był była dla przez oraz już "
    "tylko dzień dobry",
    "cs": "a v na se je že to s z do o jako ale po za by tak jsem jsou byl byla pro nebo když které který také dobré "
    "ráno",
    "ro": "și în de la cu pe nu este un o că să din pentru mai care sunt a al ale fi fost dar după bună dimineața",
    "fi": "ja on ei se että oli hän mutta ovat ole kun niin joka myös tai kuin sen minä sinä me he hyvää huomenta",
    "hu": "a az és hogy nem is egy ez van volt meg csak de már még mint vagy ki kell jó reggelt",
    "tr": "ve bir bu da de için ile ne var çok daha gibi olarak değil ben sen o biz siz günaydın",
    "id": "yang dan di dengan untuk tidak ini itu dari dalam pada adalah ke akan juga saya kamu mereka selamat pagi",
    "vi": "và của là có trong không được cho một người những với các này đã để tôi bạn",
    "ca": "el la els les de i que en un una és per amb no es del al com més però són aquest aquesta bon dia",
}  # fmt: skip
_MARKS = {
    "ñ¿¡": "es", "ãõ": "pt", "ß": "de", "œêûî": "fr", "łąężźśćń": "pl", "řůěťď": "cs", "șțăâ": "ro", "őű": "hu",
    "ğış": "tr", "ơưạảấầếềộớợ": "vi", "ìò": "it", "ø": "da no", "å": "sv da no", "ä": "de sv fi", "ü": "de tr hu",
}  # fmt: skip
"""Letters that speak for few languages."""

_LONGEST = 4000
"""Characters that are looked at."""


@lru_cache(maxsize=1)
def _languages_by_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for code, words in _WORDS.items():
        for word in set(words.split()):
            found[word] = (*found.get(word, ()), code)
    return found


def guess_language(text: str) -> str:
    """The ISO 639-1 code of the language that the text seems to be in; empty where nothing speaks for one alone."""
    text = text[:_LONGEST].casefold()
    letters = sum(map(str.isalpha, text))
    for code, span in _SCRIPTS:
        if letters and len(re.findall(f"[{span}]", text)) > (0.05 if code == "ja" else 0.4) * letters:
            return next((other for other, marks in _LETTERS.get(code, ()) if any(m in text for m in marks)), code)
    known = _languages_by_word()
    votes: dict[str, float] = {}
    for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text):
        codes = known.get(word) or known.get(word.partition("'")[0]) or ()
        for code in codes:
            votes[code] = votes.get(code, 0.0) + 1 / len(codes)
    for letters_of_few, told in _MARKS.items():
        if any(letter in text for letter in letters_of_few):
            for code in told.split():
                votes[code] = votes.get(code, 0.0) + 0.5 / len(told.split())
    ranked = sorted(votes.items(), key=lambda vote: -vote[1])
    if not ranked or (len(ranked) > 1 and ranked[1][1] > 0.8 * ranked[0][1]):
        return ""
    return ranked[0][0]
