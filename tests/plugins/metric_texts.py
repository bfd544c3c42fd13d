"""Texts that the metric tests share: short ones here, real ones where the data folder exists."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from palaver.example import Example

SHARED = Path(os.environ.get("PALAVER_SHARED", Path(__file__).resolve().parents[3] / "shared"))

SCRIPTS = {
    "Latin": "Le résumé est arrivé hier soir",
    "Chinese": "我们今天在图书馆看书",
    "Japanese": "今日は図書館で本を読みました",
    "Korean": "오늘 우리는 도서관에서 책을 읽었다",
    "Thai": "วันนี้เราอ่านหนังสือที่ห้องสมุด",
    "Hindi": "आज हमने पुस्तकालय में किताब पढ़ी",
    "Arabic": "قرأنا اليوم كتابا في المكتبة",
    "Russian": "Сегодня мы читали книгу в библиотеке",
    "Greek": "Σήμερα διαβάσαμε ένα βιβλίο στη βιβλιοθήκη",
    "Hebrew": "היום קראנו ספר בספרייה הגדולה",
    "Georgian": "დღეს ჩვენ ბიბლიოთეკაში წიგნი წავიკითხეთ",
    "Tamil": "இன்று நாங்கள் நூலகத்தில் ஒரு புத்தகம் படித்தோம்",
    "Armenian": "Այսօր մենք գրադարանում գիրք կարդացինք միասին",
    "Amharic": "ዛሬ በቤተ መጻሕፍት ውስጥ መጽሐፍ አነበብን",
    "emoji": "😀 🎉 📚 ☕ 🚀",
    "punctuation": "! ? … — ;",
}


def example(*references: str, language: str = "") -> Example:
    return Example({}, references, language=language)


def multi30k(language: str, lines: int) -> list[str]:
    """The first lines of a test set of captions, or skip."""
    path = SHARED / "data" / "multi30k" / f"test_2016_flickr.{language}.gz"
    if not path.exists():
        pytest.skip("needs the Multi30k test set (PALAVER_SHARED)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line, _ in zip(file, range(lines), strict=False)]


def scitldr(pairs: int) -> list[tuple[str, tuple[str, ...]]]:
    """Leads of papers as summaries, a line each sentence, with the reference summaries, or skip."""
    path = SHARED / "data" / "scitldr" / "test.jsonl.gz"
    if not path.exists():
        pytest.skip("needs the SciTLDR test set (PALAVER_SHARED)")
    found: list[tuple[str, tuple[str, ...]]] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, _ in zip(file, range(pairs), strict=False):
            row = json.loads(line)
            found.append(("\n".join(row["source"][:3]), tuple(row["target"])))
    return found
