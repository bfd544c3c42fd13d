"""Languages by code and name: what people type and what models call them become one code, and that a model's token.

The code of a language is its ISO 639-1 code, else that of ISO 639-3. A script that the language is not commonly written
in stands behind it: `zh_Hant`. The languages are those of NLLB-200, M2M-100 and mBART-50.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

# By the script that NLLB-200 writes them in first: ISO 639-1, the ISO 639-3 code of NLLB-200, name.
_TABLE = {
    "Latn":
    "ace/Acehnese af/afr/Afrikaans ak/aka/Akan ast/Asturian ay/ayr/Aymara az/azj/Azerbaijani bm/bam/Bambara "
    "ban/Balinese bem/Bemba bjn/Banjar br/bre/Breton bs/bos/Bosnian bug/Buginese ca/cat/Catalan ceb/Cebuano "
    "cjk/Chokwe crh/Crimean_Tatar cs/ces/Czech cy/cym/Welsh da/dan/Danish de/deu/German dik/Dinka dyu/Dyula "
    "ee/ewe/Ewe en/eng/English eo/epo/Esperanto es/spa/Spanish et/est/Estonian eu/eus/Basque ff/fuv/Fulah "
    "fi/fin/Finnish fj/fij/Fijian fo/fao/Faroese fon/Fon fr/fra/French fur/Friulian fy/fry/Western_Frisian "
    "ga/gle/Irish gd/gla/Scottish_Gaelic gl/glg/Galician gn/grn/Guarani ha/hau/Hausa hr/hrv/Croatian "
    "ht/hat/Haitian_Creole hu/hun/Hungarian id/ind/Indonesian ig/ibo/Igbo ilo/Ilocano is/isl/Icelandic "
    "it/ita/Italian jv/jav/Javanese kab/Kabyle kac/Kachin kam/Kamba kbp/Kabiye kea/Kabuverdianu kg/kon/Kongo "
    "ki/kik/Kikuyu kmb/Kimbundu kr/knc/Kanuri ku/kmr/Kurdish lb/ltz/Luxembourgish lg/lug/Ganda "
    "li/lim/Limburgish lij/Ligurian lmo/Lombard ln/lin/Lingala lt/lit/Lithuanian ltg/Latgalian lua/Luba-Lulua "
    "luo/Luo lus/Mizo lv/lvs/Latvian mg/plt/Malagasy mi/mri/Maori min/Minangkabau mos/Mossi ms/zsm/Malay "
    "mt/mlt/Maltese nl/nld/Dutch nn/nno/Norwegian_Nynorsk no/nob/Norwegian nso/Northern_Sotho nus/Nuer "
    "ny/nya/Nyanja oc/oci/Occitan om/gaz/Oromo pag/Pangasinan pap/Papiamento pl/pol/Polish pt/por/Portuguese "
    "qu/quy/Quechua rn/run/Rundi ro/ron/Romanian rw/kin/Kinyarwanda sc/srd/Sardinian scn/Sicilian sg/sag/Sango "
    "sk/slk/Slovak sl/slv/Slovenian sm/smo/Samoan sn/sna/Shona so/som/Somali sq/als/Albanian ss/ssw/Swati "
    "st/sot/Southern_Sotho su/sun/Sundanese sv/swe/Swedish sw/swh/Swahili szl/Silesian taq/Tamasheq "
    "tk/tuk/Turkmen tl/tgl/Tagalog tn/tsn/Tswana tpi/Tok_Pisin tr/tur/Turkish ts/tso/Tsonga tum/Tumbuka "
    "tw/twi/Twi umb/Umbundu uz/uzn/Uzbek vec/Venetian vi/vie/Vietnamese war/Waray wo/wol/Wolof xh/xho/Xhosa "
    "yo/yor/Yoruba zu/zul/Zulu",
    "Arab":
    "acm/Mesopotamian_Arabic acq/Ta'izzi-Adeni_Arabic aeb/Tunisian_Arabic ajp/South_Levantine_Arabic "
    "apc/North_Levantine_Arabic ar/arb/Arabic ars/Najdi_Arabic ary/Moroccan_Arabic arz/Egyptian_Arabic "
    "azb/South_Azerbaijani ckb/Central_Kurdish fa/pes/Persian ks/kas/Kashmiri prs/Dari ps/pbt/Pashto "
    "sd/snd/Sindhi ug/uig/Uyghur ur/urd/Urdu",
    "Cyrl":
    "ba/bak/Bashkir be/bel/Belarusian bg/bul/Bulgarian kk/kaz/Kazakh ky/kir/Kyrgyz mk/mkd/Macedonian "
    "mn/khk/Mongolian ru/rus/Russian sr/srp/Serbian tg/tgk/Tajik tt/tat/Tatar uk/ukr/Ukrainian",
    "Deva":
    "awa/Awadhi bho/Bhojpuri hi/hin/Hindi hne/Chhattisgarhi mag/Magahi mai/Maithili mr/mar/Marathi "
    "ne/npi/Nepali sa/san/Sanskrit",
    "Beng": "as/asm/Assamese bn/ben/Bengali mni/Manipuri sat/Santali",
    "Ethi": "am/amh/Amharic ti/tir/Tigrinya",
    "Tibt": "bo/bod/Tibetan dz/dzo/Dzongkha",
    "Hebr": "he/heb/Hebrew yi/ydd/Yiddish",
    "Mymr": "my/mya/Burmese shn/Shan",
    "Grek": "el/ell/Greek",
    "Gujr": "gu/guj/Gujarati",
    "Armn": "hy/hye/Armenian",
    "Jpan": "ja/jpn/Japanese",
    "Geor": "ka/kat/Georgian",
    "Khmr": "km/khm/Khmer",
    "Knda": "kn/kan/Kannada",
    "Hang": "ko/kor/Korean",
    "Laoo": "lo/lao/Lao",
    "Mlym": "ml/mal/Malayalam",
    "Orya": "or/ory/Odia",
    "Guru": "pa/pan/Punjabi",
    "Sinh": "si/sin/Sinhala",
    "Taml": "ta/tam/Tamil",
    "Telu": "te/tel/Telugu",
    "Thai": "th/tha/Thai",
    "Tfng": "tzm/Central_Atlas_Tamazight",
    "Hant": "yue/Cantonese",
    "Hans": "zh/zho/Chinese",
}  # fmt: skip

_OTHER_SCRIPTS = {
    "ace_Arab": "Acehnese in Arabic letters",
    "ar_Latn": "Arabic in Latin letters",
    "bjn_Arab": "Banjar in Arabic letters",
    "kr_Arab": "Kanuri in Arabic letters",
    "ks_Deva": "Kashmiri in Devanagari",
    "min_Arab": "Minangkabau in Arabic letters",
    "sr_Latn": "Serbian in Latin letters",
    "taq_Tfng": "Tamasheq in Tifinagh",
    "zh_Hant": "Traditional Chinese",
}
_MEANT = {
    "nb": "no", "iw": "he", "in": "id", "fil": "tl", "ns": "nso", "mo": "ro", "sh": "sr", "tgl": "tl", "cmn": "zh",
    # Macrolanguages of ISO 639-3, and the codes of ISO 639-2 for books.
    "ara": "ar", "aym": "ay", "aze": "az", "fas": "fa", "ful": "ff", "kau": "kr", "kur": "ku", "lav": "lv",
    "mlg": "mg", "mon": "mn", "msa": "ms", "nep": "ne", "nor": "no", "ori": "or", "orm": "om", "pus": "ps",
    "que": "qu", "sqi": "sq", "swa": "sw", "uzb": "uz", "yid": "yi", "alb": "sq", "arm": "hy", "baq": "eu",
    "bur": "my", "chi": "zh", "cze": "cs", "dut": "nl", "fre": "fr", "geo": "ka", "ger": "de", "gre": "el",
    "ice": "is", "mac": "mk", "mao": "mi", "may": "ms", "per": "fa", "rum": "ro", "slo": "sk", "tib": "bo",
    "wel": "cy", "farsi": "fa", "mandarin": "zh", "simplified chinese": "zh", "flemish": "nl", "tamazight": "tzm",
}  # fmt: skip
_COMMON_WORDS = {"in", "letters", "north", "south", "northern", "southern", "central", "western", "creole"}
_TRADITIONAL = ("tw", "hk", "mo")
"""Where Chinese is written in traditional characters."""


@lru_cache(maxsize=1)
def names() -> Mapping[str, str]:
    """Every language that is known here: its code, and its name in English."""
    found = {parts[0]: parts[-1].replace("_", " ") for _, parts in _rows()}
    return dict(sorted({**found, **_OTHER_SCRIPTS}.items()))


def code_of(text: str) -> str:
    """The code that is meant by a code, a model's token or an English name: `German`, `deu_Latn`, `de_DE`, `__de__`,
    `pt-BR`. Empty where no language is known by it."""
    wanted = re.sub(r"^(?:__|>>)(.+?)(?:__|<<)$", r"\1", text.strip()).casefold()
    codes = _codes()
    if wanted in codes:
        return codes[wanted]
    base, _, rest = wanted.replace("-", "_").partition("_")
    code = codes.get(base, "") if 2 <= len(base) <= 3 else ""
    if not code or not rest:
        return code
    if len(rest) == 4:
        with_script = f"{code}_{rest.title()}"
        return with_script if with_script in _OTHER_SCRIPTS else code if rest.title() == _scripts()[code] else ""
    if code == "zh" and rest in _TRADITIONAL:
        return "zh_Hant"
    return code if re.fullmatch(r"[a-z]{2}|\d{3}", rest) else ""


def name_of(code: str) -> str:
    """The English name of a language by its code; the code itself where it has none."""
    return names().get(code, code)


def near(text: str, known: Iterable[str] = ()) -> list[str]:
    """At most three languages that share a word of their name with `text`, or whose names are spelled most like it, as
    `German (de)`; only of the `known` ones, if given."""
    among = set(known) or names().keys()
    by_name = {name.casefold(): code for code, name in names().items() if code in among}
    wanted = name_of(code_of(text) or text).casefold()
    words = set(wanted.split()) - _COMMON_WORDS
    shared = [name for name in by_name if words & set(name.split())]
    alike = difflib.get_close_matches(wanted, by_name, n=3, cutoff=0.7)
    found = dict.fromkeys((*sorted(shared, key=len), *alike))
    return [f"{name_of(by_name[one])} ({by_name[one]})" for one in found][:3]


def token_of(code: str, tokens: Iterable[str]) -> str:
    """The token of these that stands for a language: `fra_Latn`, `fr_XX`, `__fr__`, `>>fra<<`. Empty if none does."""
    return next((token for token in sorted(tokens) if is_token(token) and code_of(token) == code), "")


def is_token(token: str) -> bool:
    """The token has one of the forms by which models name languages."""
    return bool(re.fullmatch(r"__[a-z]{2,3}__|>>\w+<<|[a-z]{2}_[A-Z]{2}|[a-z]{3}_[A-Z][a-z]{3}", token))


def _rows() -> Iterable[tuple[str, list[str]]]:
    return ((script, row.split("/")) for script, rows in _TABLE.items() for row in rows.split())


@lru_cache(maxsize=1)
def _scripts() -> Mapping[str, str]:
    return {parts[0]: script for script, parts in _rows()}


@lru_cache(maxsize=1)
def _codes() -> Mapping[str, str]:
    """All that a language is called, to its code."""
    found = {name.casefold(): code for code, name in names().items()}
    found |= {code.casefold(): code for code in names()}
    found |= {long: parts[0] for _, parts in _rows() for long in parts[1:-1]}
    return {**_MEANT, **found}
