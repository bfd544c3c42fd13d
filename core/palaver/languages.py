"""Languages by their commonest words: guess the one of a text, and tell the words that carry no subject of its own."""

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

_STOP_WORDS = {
    "en": "the of and to in is that it for was on are with as be at this have from or by not but what all were when "
    "you your we can there which their has had will would i me my he she they his her how who where do a an "
    "been more about into then than very just some out up does did done being am him its our any no nor so "
    "only also both each few other such own same too should could because while until during before after "
    "above below between through again further once here why if these those themselves itself over under off "
    "down",
    "fr": "le la les des du de et est un une que qui dans pour pas sur avec ce cette au aux il elle nous vous je ne "
    "se l d sont par plus mais ou où son sa ses leur été être ont avait c'est même aussi leurs notre votre "
    "nos vos mon ma mes ton ta tes y en dont lui eux sans sous entre très si comme quand quel quelle quels "
    "quelles cela ceci ces était étaient fut sera a ai as es sommes êtes",
    "de": "der die das und ist ein eine nicht mit den dem zu von im am auf für auch sich es ich du wir sie er war "
    "wird haben hat sind als bei aus nach noch oder wie einen einem einer dass daß aber wenn dann doch nur so "
    "sehr schon sein seine seiner seinem seinen ihre ihrer ihrem ihren unser euer dieser diese dieses diesem "
    "diesen jener jede jeder jedes was wer wo wann warum welche welcher welches über unter vor zwischen durch "
    "gegen ohne um bis werden wurde wurden worden kann können muss müssen soll sollen will wollen hatte "
    "hatten bin bist seid waren ihm ihn uns euch mich dich mir dir in an ins zum zur vom beim",
    "es": "el la los las de y que en un una es por con para no se del al lo como más su sus pero fue son está este "
    "esta hay muy yo usted ella ellos nos sin sobre entre cuando donde quien cual cuales qué cómo ya también "
    "porque desde hasta todo todos toda todas estos estas ese esa esos esas aquel aquella le les me te os mi "
    "mis tu tus ha han había ser era eran fueron están",
    "it": "il lo la gli le di e che un una è per non con del della dei delle nel nella sono si da al come più ma "
    "anche questo questa ha hanno era io tu lui lei noi i un' uno dello degli agli alle alla allo dai dalle "
    "dalla sul sulla su tra fra se perché quando dove chi cui quale quali quello quella quelli quelle ci vi "
    "mi ti suo sua suoi sue loro mio mia essere stato stata erano ed o né già solo",
    "pt": "o a os as de e que um uma é para não com do da dos das em no na por se mais como mas foi são ao seu sua "
    "ele ela você nós isso este esta está à olá",
    "nl": "de het een en van is dat in te op met voor niet zijn er aan die ook was om als bij maar naar uit ik je "
    "hij zij wij wordt heeft hebben nog",
    "sv": "och att det som en på är av för med den till inte om ett har jag men var sig så från vi du kan när nu "
    "han hon de skulle",
    "da": "og at det som en på er af for med den til ikke om et har jeg men var sig så fra vi du kan når nu han hun "
    "de der blev efter eller",
    "no": "og at det som en på er av for med den til ikke om et har jeg men var seg så fra vi du kan når nå han hun "
    "de etter eller ble også",
    "pl": "i w na z do nie się to jest że o jak ale po co tak za od jego jej być są był była dla przez oraz już "
    "tylko",
    "cs": "a v na se je že to s z do o jako ale po za by tak jsem jsou byl byla pro nebo když které který také",
    "ro": "și în de la cu pe nu este un o că să din pentru mai care sunt a al ale fi fost dar după",
    "fi": "ja on ei se että oli hän mutta ovat ole kun niin joka myös tai kuin sen minä sinä me he",
    "hu": "a az és hogy nem is egy ez van volt meg csak de már még mint vagy ki kell",
    "tr": "ve bir bu da de için ile ne var çok daha gibi olarak değil ben sen o biz siz",
    "id": "yang dan di dengan untuk tidak ini itu dari dalam pada adalah ke akan juga saya kamu mereka",
    "vi": "và của là có trong không được cho một người những với các này đã để tôi bạn",
    "ca": "el la els les de i que en un una és per amb no es del al com més però són aquest aquesta",
}  # fmt: skip
_COMMON_WORDS = {
    "en": "time people man woman one two good morning hello",
    "fr": "deux homme femme bonjour merci",
    "de": "zwei mann frau guten morgen",
    "es": "buenos días hola",
    "it": "buongiorno ciao",
    "pt": "homem mulher dois duas bom dia",
    "nl": "goedemorgen",
    "sv": "god morgon",
    "da": "godmorgen",
    "pl": "dzień dobry",
    "cs": "dobré ráno",
    "ro": "bună dimineața",
    "fi": "hyvää huomenta",
    "hu": "jó reggelt",
    "tr": "günaydın",
    "id": "selamat pagi",
    "ca": "bon dia",
}  # fmt: skip
"""Words that are common in a language too, but mean something."""
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
    for code, words in _STOP_WORDS.items():
        for word in {*words.split(), *_COMMON_WORDS.get(code, "").split()}:
            found[word] = (*found.get(word, ()), code)
    return found


@lru_cache(maxsize=32)
def stop_words(language: str) -> frozenset[str]:
    """Words of a language, by its ISO 639-1 code, that tell nothing about a text's subject; none for one unknown.

    The lists are short: articles, pronouns, prepositions, forms of "to be", as in Luhn 1958 and after.
    """
    return frozenset(_STOP_WORDS.get(language.casefold().partition("-")[0], "").split())


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
