"""Texts that have broken programs like ours, and one plain sentence in each of twelve scripts."""

from __future__ import annotations

HOSTILE = (
    "",
    " ",
    "\n\n\n",
    "[/",
    "[/x]",
    "[@click=app.quit]quit[/]",
    "z [b + c",
    "arr[i][j]",
    "{0} {name} %s %(name)s ${HOME}",
    "{{ 7 * 7 }} {% for x in y %}",
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;aGVsbG8=\x07",
    "\x1b]0;title\x1b\\",
    "\x9b31mC1",
    "nul\x00byte",
    "bell\x07 back\x08space",
    "line\u2028separator\u2029paragraph\x85next",
    "\u202eright to left\u202c",
    "zero\u200bwidth\ufeff",
    "\ud800 lone surrogate",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "e\u0301 and é",
    "漢字かなカナ한국어",
    "<script>alert(1)</script> &amp;",
    '{"json": [1, 2, NaN]}',
    "```\ncode without an end",
    "word " * 20_000,
)
"""Any of them may be what a user types or a model answers."""

SCRIPTS = {
    "Latin": "The council voted to close the old harbour before the winter storms arrive.",
    "Greek": "Το συμβούλιο αποφάσισε να κλείσει το παλιό λιμάνι πριν από τις χειμερινές καταιγίδες.",
    "Cyrillic": "Совет проголосовал за закрытие старой гавани до прихода зимних штормов.",
    "Hebrew": "המועצה הצביעה בעד סגירת הנמל הישן לפני בוא סערות החורף.",
    "Arabic": "صوت المجلس على إغلاق الميناء القديم قبل وصول عواصف الشتاء.",
    "Devanagari": "परिषद ने सर्दियों के तूफानों से पहले पुराने बंदरगाह को बंद करने के लिए मतदान किया।",
    "Bengali": "পরিষদ শীতের ঝড় আসার আগে পুরানো বন্দর বন্ধ করার পক্ষে ভোট দিয়েছে।",
    "Thai": "สภาลงมติให้ปิดท่าเรือเก่าก่อนที่พายุฤดูหนาวจะมาถึง",
    "Han": "议会投票决定在冬季风暴来临之前关闭旧港口。",
    "Kana": "ぎかいはふゆのあらしがくるまえにふるいみなとをとじることをけつぎした。",
    "Hangul": "의회는 겨울 폭풍이 오기 전에 오래된 항구를 폐쇄하기로 표결했다.",
    "Georgian": "საბჭომ ხმა მისცა ძველი ნავსადგურის დახურვას ზამთრის ქარიშხლების მოსვლამდე.",
}
"""The same sentence, long enough for four-grams of words where a script has words."""
